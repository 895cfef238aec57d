"""Training: one visible loop.

The network learns from projections of which almost every structure is known and from radiographs of which a
few are; the loss looks at what is known. A checkpoint carries the whole run, so that a killed one goes on
where it was.
"""

import csv
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline_training.checkpoint import read_checkpoint
from pipeline_training.dataset import Batch, Batches, read_sources, supported_labels
from pipeline_training.errors import TrainingError
from pipeline_training.network import SIZE_MULTIPLE, AnatomyNet, Outputs
from pipeline_training.projections import NAMES
from pipeline_training.radiograph_folders import read_set

VIEW_WEIGHT = 0.1
DICE_SMOOTHING = 20.0
"""Grid cells added to both sides of the Dice ratio, so that an absent structure costs little (V-Net,
smoothed)."""
WARM_UP_STEPS = 50
ENTROPY_WEIGHT = 4.0
GRADIENT_NORM = 1.0
WEIGHT_DECAY = 1e-2
AVERAGING = 0.995
"""Share of the averaged weights that a step keeps, once there are enough steps to average."""

FREE_TO_CHANGE = frozenset({"projections", "out", "radiographs", "checkpoint_every", "threads"})
"""Options that a resumed run may state differently; folders move, and data may have been added."""

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"


@dataclass(frozen=True)
class TrainOptions:
    """What `paxnode-train train` does.

    Attributes:
        projections: Folder made by `paxnode-train project`.
        out: Folder for checkpoint.pt and log.csv.
        radiographs: Folders of real radiographs with masks (one set each) to learn from as well.
        steps: Steps at each of `sizes`, in order.
        sizes: Input sizes, multiples of 32; starting small saves time.
        batch: Samples in a step.
        real_share: Share of a batch that is real, where there are real ones.
        learning_rate: Peak; AdamW with a warm-up and half a cosine.
        widths: Channels at the five strides.
        seed: Draws weights and data.
        checkpoint_every: Steps.
        threads: CPU threads for the network.
    """

    projections: Path
    out: Path
    radiographs: Sequence[Path] = ()
    steps: tuple[int, ...] = (1200, 300)
    sizes: tuple[int, ...] = (256, 320)
    batch: int = 8
    real_share: float = 0.375
    learning_rate: float = 2e-3
    widths: tuple[int, ...] = (24, 48, 80, 128, 160)
    seed: int = 1
    checkpoint_every: int = 100
    threads: int = 2

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.sizes) or not self.steps:
            raise TrainingError(
                f"each size has its number of steps: found sizes {self.sizes}, steps {self.steps}"
            )
        if wrong := [size for size in self.sizes if size % SIZE_MULTIPLE]:
            raise TrainingError(f"sizes are multiples of {SIZE_MULTIPLE}, found {wrong[0]}")
        if not 0 <= self.real_share < 1 or self.batch < 2:
            raise TrainingError(
                "real_share lies in [0, 1) and batch is 2 or more (batch norm): "
                f"found {self.real_share} and {self.batch}"
            )


def train(options: TrainOptions) -> Path:
    """Train, or go on training, and return the checkpoint's path.

    Raises:
        TrainingError: If the checkpoint in `out` cannot be read or belongs to a run with other options, if no
            structure is seen often enough, or if the loss is no longer a number.
        DatasetError: If there is nothing to learn from.
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    sources = read_sources(options.projections, [read_set(folder) for folder in options.radiographs])
    stored = _checkpoint_in_hand(options)
    labels = _labels(stored) if stored else supported_labels(sources)
    if not labels:
        raise TrainingError("no structure is seen in enough projections to learn it")
    network, average = _new_network(options, labels), _new_network(options, labels)
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=WEIGHT_DECAY)
    step = _resume(stored, network, average, optimiser) if stored else 0
    _cut_log(options.out / LOG, step)
    network.train()
    started = time.monotonic()
    batches = Batches(sources, labels, 0, options.batch, options.real_share, options.seed)
    for batch in _in_phases(options, batches, step):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(options, step)
        outputs = network(batch.image.contiguous(memory_format=torch.channels_last))
        loss, parts = loss_of(outputs, batch)
        _demand_finite(parts, step + 1)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
        optimiser.step()
        follow(average, network, min(AVERAGING, (step + 1) / (step + 10)))
        step += 1
        _log(options.out / LOG, step, parts, time.monotonic() - started)
        if step % options.checkpoint_every == 0 or step == sum(options.steps):
            _save(options, labels, step, network, average, optimiser)
    return options.out / CHECKPOINT


def _new_network(options: TrainOptions, labels: Sequence[int]) -> AnatomyNet:
    network = AnatomyNet(len(labels), options.widths)
    convert: Any = network.to  # its type hints lack memory_format
    convert(memory_format=torch.channels_last)
    return network


def learning_rate(options: TrainOptions, step: int) -> float:
    """Return the rate of a step: linear warm-up, then half a cosine down to 1 % of the peak."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    fall = 0.5 * (1 + math.cos(math.pi * step / max(sum(options.steps), 1)))
    return options.learning_rate * warm * (0.01 + 0.99 * fall)


def loss_of(outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
    """Return cross-entropy plus soft Dice over known channels plus the view's cross-entropy, and these parts.

    Dice is taken over the whole batch, structure by structure.
    """
    known = batch.known[:, :, None, None].float()
    scale = known.expand_as(outputs.logits).sum().clamp_min(1)
    entropy = nn.functional.binary_cross_entropy_with_logits(
        outputs.logits, batch.target, weight=known, reduction="sum"
    )
    found = torch.sigmoid(outputs.logits) * known
    overlap = (found * batch.target).sum(dim=(0, 2, 3))
    total = found.sum(dim=(0, 2, 3)) + (batch.target * known).sum(dim=(0, 2, 3))
    asked = batch.known.any(dim=0)
    dice = 1 - ((2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING))[asked].mean()
    view = nn.functional.cross_entropy(outputs.view, batch.view)
    loss = ENTROPY_WEIGHT * entropy / scale + dice + VIEW_WEIGHT * view
    parts = {"entropy": (entropy / scale).item(), "dice": dice.item(), "view": view.item()}
    return loss, parts


def _demand_finite(parts: Mapping[str, float], step: int) -> None:
    if not all(math.isfinite(value) for value in parts.values()):
        raise TrainingError(f"the loss of step {step} is no number ({parts}); lower the learning rate")


def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the averaged weights towards the network's in place: keep * average + (1 - keep) * network."""
    with torch.no_grad():
        for ours, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if ours.dtype.is_floating_point:
                ours.lerp_(theirs, 1 - keep)
            else:
                ours.copy_(theirs)


def _in_phases(options: TrainOptions, batches: Batches, done: int) -> Iterator[Batch]:
    """Yield the batches that are still to come, each phase at its size."""
    begin = 0
    for size, steps in zip(options.sizes, options.steps, strict=True):
        batches.size = size
        yield from batches.steps(max(done, begin), max(done, begin + steps))
        begin += steps


def _log(path: Path, step: int, parts: dict[str, float], seconds: float) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", *parts, "seconds"])
        writer.writerow([step, *(f"{value:.5f}" for value in parts.values()), f"{seconds:.1f}"])


def _save(
    options: TrainOptions, labels: list[int], step: int, network: nn.Module, average: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> None:  # fmt: skip
    """Write the checkpoint; it replaces the last one only when it is complete."""
    described = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()}
    described["radiographs"] = [str(folder) for folder in options.radiographs]
    torn = options.out / f"{CHECKPOINT}.part"
    content = {
        "options": described, "labels": [NAMES[i] for i in labels], "step": step, "network":
        network.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict(),
    }  # fmt: skip
    torch.save(content, torn)
    torn.rename(options.out / CHECKPOINT)


def _checkpoint_in_hand(options: TrainOptions) -> dict[str, Any] | None:
    """Return the checkpoint in `out`, or None where there is none yet."""
    path = options.out / CHECKPOINT
    if not path.exists():
        return None
    stored = read_checkpoint(path)
    theirs = stored["options"]
    for key, ours in asdict(options).items():
        if key not in FREE_TO_CHANGE and theirs.get(key) != ours:
            raise TrainingError(f"{path} was trained with {key} {theirs.get(key)}, not {ours}")
    return stored


def _labels(stored: dict[str, Any]) -> list[int]:
    """Return the labels of a checkpoint, so that data added since do not change the network."""
    if unknown := [name for name in stored["labels"] if name not in NAMES]:
        raise TrainingError(f"the checkpoint was trained for {unknown[0]!r}, which is no structure of ours")
    return [NAMES.index(name) for name in stored["labels"]]


def _resume(
    stored: dict[str, Any], network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> int:
    """Load a checkpoint and return the steps done."""
    network.load_state_dict(stored["network"])
    average.load_state_dict(stored["average"])
    optimiser.load_state_dict(stored["optimiser"])
    return int(stored["step"])


def _cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps that were made after the checkpoint and are made again."""
    if path.exists():
        heading, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and int(line.split(",")[0]) <= step]
        path.write_text("".join([heading, *kept]), encoding="utf-8")
