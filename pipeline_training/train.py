"""Training: one visible loop.

The network learns from projections of which almost every structure is known and from radiographs of which a
few are; the loss looks at what is known. A checkpoint carries the whole run, so that a killed one goes on
where it was.
"""

import csv
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline_training.batches import Batch, Batches, Drawing
from pipeline_training.beginning import begin_with, digest_of
from pipeline_training.checkpoint import read_checkpoint
from pipeline_training.dataset import Sample, read_sources, supported_labels
from pipeline_training.errors import TrainingError
from pipeline_training.loss import loss_of
from pipeline_training.network import AnatomyNet
from pipeline_training.online import OnlineSources
from pipeline_training.projections import NAMES
from pipeline_training.radiograph_folders import read_set
from pipeline_training.ranks import Ranks, average_gradients, joined
from pipeline_training.split import is_held_back, patient_of, split
from pipeline_training.train_options import PRECISIONS, TrainOptions
from pipeline_training.validate import looks, mean_dice, write_pictures

WARM_UP_STEPS = 50
GRADIENT_NORM = 1.0
WEIGHT_DECAY = 1e-2
AVERAGING = 0.995
"""Share of the averaged weights that a step keeps, once there are enough steps to average."""

FREE_TO_CHANGE = frozenset(
    {
        "projections",
        "out",
        "radiographs",
        "checkpoint_every",
        "threads",
        "workers",
        "device",
        "online_cases",
        "online_processes",
        "begin",
    }
)
"""Options that a resumed run may state differently; folders move, and data may have been added."""

FOLDERS = ("radiographs", "online_cases")
"""Of these the names stay, wherever they have been moved to."""

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
LOG = "log.csv"
VALIDATION_LOG = "validation.csv"
PICTURES = "pictures"


def train(options: TrainOptions, tell: Callable[[str], None] = lambda words: None) -> Path:
    """Train, or go on training, and return the checkpoint's path; under torchrun, with all its ranks.

    Args:
        options: Of the run.
        tell: Is given a line or two at the start and one at each checkpoint, by the first rank.

    Raises:
        TrainingError: If the checkpoint in `out` cannot be read or belongs to a run with other options, if no
            structure is seen often enough, or if the loss is no longer a number.
        DatasetError: If there is nothing to learn from.
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    sources = read_sources(options.projections, [read_set(folder) for folder in options.radiographs])
    taught, held_back = split(sources, options.validation_share, options.seed)
    stored = _checkpoint_in_hand(options)
    labels = _labels(stored) if stored else supported_labels(taught)
    if not labels:
        raise TrainingError("no structure is seen in enough projections to learn it")
    with joined(options.device) as ranks:
        if options.batch < ranks.count:
            raise TrainingError(f"{ranks.count} ranks cannot share a batch of {options.batch}")
        run = _new_run(options, labels, ranks, stored)
        checks = looks(held_back, labels, options.sizes[-1]) if ranks.is_first else []
        online = online_of(options) if options.online_cases else None
        batches = Batches(taught, labels, options.sizes[0], _drawing_of(options), ranks, online)
        if ranks.is_first:
            if is_emulated(options, torch.cpu.get_capabilities()):
                tell('this processor has no bfloat16: precision = "float32" may be many times as fast here')
            real = sum(source.is_real for source in taught)
            tell(
                f"{len(taught) - real} projections, {real} radiographs, {len(held_back)} of both held back; "
                f"{len(labels)} structures; step {run.step} of {sum(options.steps)}"
            )
        _learn(run, batches, checks, tell)
    return options.out / CHECKPOINT


def is_emulated(options: TrainOptions, capabilities: Mapping[str, Any]) -> bool:
    """Return whether a processor works out bfloat16 by way of float32, which is slower than float32 itself.

    Args:
        options: Of the run.
        capabilities: As `torch.cpu.get_capabilities` tells them; of another than x86 nothing is said.
    """
    is_x86 = "avx2" in capabilities
    is_fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return options.precision == "bfloat16" and options.device == "cpu" and is_x86 and not is_fast


def _drawing_of(options: TrainOptions) -> Drawing:
    """Return how the batches of a run are drawn."""
    return Drawing(
        batch=options.batch,
        seed=options.seed,
        real_share=options.real_share,
        style_share=options.style_share,
        told_share=options.told_share,
        mirror_share=options.mirror_share,
        always=tuple(NAMES.index(name) for name in options.emphasised),
        fresh_share=options.online_share,
        workers=options.workers,
    )


def online_of(options: TrainOptions) -> OnlineSources:
    """Return what makes projections meanwhile, of patients that are not held back."""
    share, seed = options.validation_share, options.seed
    cases = tuple(c for c in options.online_cases if not is_held_back(patient_of(c), share, seed))
    return OnlineSources(cases, seed=seed, processes=options.online_processes)


@dataclass
class _Run:
    """A run in hand: what a checkpoint carries, and where it runs."""

    options: TrainOptions
    labels: list[int]
    ranks: Ranks
    network: AnatomyNet
    average: AnatomyNet
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: float = -1.0
    begun: str = ""


def _learn(run: _Run, batches: Batches, checks: Sequence[Sample], tell: Callable[[str], None]) -> None:
    """The loop: a batch, its loss, a step, the average, and from time to time a checkpoint."""
    options, started, begun = run.options, time.monotonic(), run.step
    kind = PRECISIONS[options.precision]
    weights = weights_of(options, run.labels).to(run.ranks.device)
    for shared in _in_phases(options, batches, run.step):
        batch = shared.to(run.ranks.device)
        for group in run.optimiser.param_groups:
            group["lr"] = learning_rate(options, run.step)
        with torch.autocast(run.ranks.device.split(":")[0], kind, enabled=kind is not None):
            outputs = run.network(batch.image.contiguous(memory_format=torch.channels_last))
        loss, parts = loss_of(outputs, batch, options.robust, weights=weights)
        _demand_finite(parts, run.step + 1)
        run.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        average_gradients(run.network, run.ranks)
        nn.utils.clip_grad_norm_(run.network.parameters(), GRADIENT_NORM)
        run.optimiser.step()
        follow(run.average, run.network, min(AVERAGING, (run.step + 1) / (run.step + 10)))
        run.step += 1
        if run.ranks.is_first:
            seconds = time.monotonic() - started
            if _note(run, parts, seconds, checks):
                left = seconds / (run.step - begun) * (sum(options.steps) - run.step)
                losses = ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
                tell(f"step {run.step}: {losses}; about {left / 60:.0f} min left at this size")


def weights_of(options: TrainOptions, labels: Sequence[int]) -> torch.Tensor:
    """Return float (labels,): what each structure weighs in the loss."""
    return torch.tensor([options.emphasis if NAMES[i] in options.emphasised else 1.0 for i in labels])


def _note(run: _Run, parts: dict[str, float], seconds: float, checks: Sequence[Sample]) -> bool:
    """Write what a step came to; at a checkpoint, and then True, look at the patients held back, too."""
    options, out = run.options, run.options.out
    _log(out / LOG, run.step, parts, seconds)
    if run.step % options.checkpoint_every and run.step != sum(options.steps):
        return False
    score = mean_dice(run.average, checks, run.ranks.device) if checks else -1.0
    is_best, run.best = score > run.best, max(score, run.best)
    if is_best:
        _save(run, BEST)
    _save(run, CHECKPOINT)  # last: what is not there yet when it is replaced would never be made
    if checks:
        _log(out / VALIDATION_LOG, run.step, {"dice": score}, seconds)
        (out / PICTURES).mkdir(exist_ok=True)
        picture = out / PICTURES / f"{run.step:06d}.png"
        write_pictures(picture, run.average, checks, run.labels, run.ranks.device)
    return True


def _new_run(options: TrainOptions, labels: list[int], ranks: Ranks, stored: dict[str, Any] | None) -> _Run:
    """Return the run at its start, or where its checkpoint left it."""
    network, average = (_new_network(options, labels, ranks.device) for _ in range(2))
    begun = str(stored["options"].get("begin") or "") if stored else digest_of(options.begin)
    if options.begin and not stored:
        begin_with(network, labels, options.begin)
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=WEIGHT_DECAY)
    run = _Run(options, labels, ranks, network.train(), average.train(), optimiser, begun=begun)
    if stored:
        network.load_state_dict(stored["network"])
        average.load_state_dict(stored["average"])
        optimiser.load_state_dict(stored["optimiser"])
        run.step, run.best = int(stored["step"]), float(stored.get("best", -1.0))
    if ranks.is_first:
        _cut_log(options.out / LOG, run.step)
        _cut_log(options.out / VALIDATION_LOG, run.step)
    return run


def _new_network(options: TrainOptions, labels: Sequence[int], device: str) -> AnatomyNet:
    network = AnatomyNet(len(labels), options.widths).to(device)
    convert: Any = network.to  # its type hints lack memory_format
    convert(memory_format=torch.channels_last)
    return network


def learning_rate(options: TrainOptions, step: int) -> float:
    """Return the rate of a step: linear warm-up, then half a cosine down to 1 % of the peak."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    fall = 0.5 * (1 + math.cos(math.pi * step / max(sum(options.steps), 1)))
    return options.learning_rate * warm * (0.01 + 0.99 * fall)


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


def _save(run: _Run, name: str) -> None:
    """Write a checkpoint; it replaces the last one only when it is complete."""
    options = run.options
    described = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()}
    for key in FOLDERS:
        described[key] = [str(folder) for folder in getattr(options, key)]
    described["begin"] = run.begun
    torn = options.out / f"{name}.part"
    content = {
        "options": described,
        "labels": [NAMES[i] for i in run.labels],
        "step": run.step,
        "best": run.best,
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "optimiser": run.optimiser.state_dict(),
    }
    torch.save(content, torn)
    torn.rename(options.out / name)


def _checkpoint_in_hand(options: TrainOptions) -> dict[str, Any] | None:
    """Return the checkpoint in `out`, or None where there is none yet."""
    path = options.out / CHECKPOINT
    if not path.exists():
        return None
    stored = read_checkpoint(path)
    theirs = stored["options"]
    unknown = {each.name: each.default for each in fields(TrainOptions)}  # where its version did not know it
    for key, ours in asdict(options).items():
        if key not in FREE_TO_CHANGE and theirs.get(key, unknown[key]) != ours:
            raise TrainingError(f"{path} was trained with {key} {theirs.get(key, unknown[key])}, not {ours}")
    if options.begin and theirs.get("begin") != digest_of(options.begin):
        raise TrainingError(f"{path} did not begin with {options.begin}")
    for key in FOLDERS:
        before, now = (
            [Path(folder).name for folder in each] for each in (theirs[key], getattr(options, key))
        )
        if before != now:
            raise TrainingError(f"{path} was trained with {key} {before or 'none'}, not {now or 'none'}")
    return stored


def _labels(stored: dict[str, Any]) -> list[int]:
    """Return the labels of a checkpoint, so that data added since do not change the network."""
    if unknown := [name for name in stored["labels"] if name not in NAMES]:
        raise TrainingError(f"the checkpoint was trained for {unknown[0]!r}, which is no structure of ours")
    return [NAMES.index(name) for name in stored["labels"]]


def _cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps that were made after the checkpoint and are made again."""
    if path.exists():
        heading, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and int(line.split(",")[0]) <= step]
        path.write_text("".join([heading, *kept]), encoding="utf-8")
