"""Training the own labeller from labelled volumes, each of which may know other structures.

Voxels that a labelling says nothing about teach nothing: for such a volume the background is "none of
the structures that were looked for", so the network's probabilities of the others are added to that of the
background before the cross-entropy is taken. Source: the marginal loss of Shi et al., Medical Image Analysis
70:101979 (2021).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pipeline_training.errors import LabellerError, TrainingError
from pipeline_training.labelling.own_input import network_volume
from pipeline_training.labelling.own_network import SIZE_MULTIPLE, ThoraxNet, normalised
from pipeline_training.synthesise import synthesise_ct
from pipeline_training.volumes import LabelMap

CHECKPOINT = "labeller.pt"
LEFT_OUT = frozenset({"body", "muscle", "face", "bronchi", "diaphragm"})
"""Labels that the projection does not need, or that differ too much between sources."""

HEART = "heart"
"""Chambers and walls are learned as this: most labellings do not part it, and one that does would contradict
one that does not."""

WEIGHT_POWER = -0.5
"""Power of a class's voxels in the patch that is its weight in the cross-entropy. Unweighted, the background
drowns a trachea: 700 steps taught nothing but lobes, liver and heart (measured on four bodies)."""

DICE_SMOOTHING = 30.0
SCALE, ROTATION_DEG, SHIFT_HU, GAIN, NOISE_HU = (0.85, 1.18), 7.0, 40.0, 0.08, 30.0
"""Ranges of the augmentation: size along each axis, rotation, HU added, HU multiplied, noise."""

POSITION_JITTER = 0.04
"""Of the lungs' box, standard deviation: it is found by a rule that errs."""


@dataclass(frozen=True)
class LabellerOptions:
    """How the own labeller is trained.

    Attributes:
        out: Folder of `labeller.pt`; one that is there goes on.
        steps: Of one patch each.
        patch: (slices, rows, columns) of a patch, multiples of 8.
        learning_rate: Peak; AdamW, linear warm-up over 20 steps, cosine down to 0.
        widths: Channels at the four resolutions.
        seed: Draws weights and patches.
        checkpoint_every: Steps.
    """

    out: Path
    steps: int = 600
    patch: tuple[int, int, int] = (72, 56, 72)
    learning_rate: float = 3e-3
    widths: tuple[int, ...] = (16, 32, 64, 96)
    seed: int = 1
    checkpoint_every: int = 50


@dataclass(frozen=True, eq=False)
class Lesson:
    """A volume as the network learns from it, at GRID_MM.

    Attributes:
        volume: float32 (4, slices, rows, columns): HU and positions.
        labels: int64 of the grid: class numbers, 0 for none.
        known: bool (classes,): which classes the labelling looked for; 0 is always known.
    """

    volume: torch.Tensor
    labels: torch.Tensor
    known: torch.Tensor


def classes_of(volumes: Sequence[LabelMap]) -> tuple[str, ...]:
    """Return the structures that some volume holds, sorted; class 0, none, comes before them."""
    return tuple(
        sorted({_learned_as(name) for volume in volumes for name in volume.names.values()} - LEFT_OUT)
    )


def _learned_as(name: str) -> str:
    return HEART if name.startswith((HEART, "atrial_appendage")) else name


def make_lesson(volume: LabelMap, classes: Sequence[str], seed: int) -> Lesson:
    """Return a labelled volume as a lesson; its CT is invented where it has none.

    Raises:
        LabellerError: If its lungs cannot be found.
    """
    generator = np.random.default_rng([seed, *volume.case.encode()])
    hu = volume.hu if volume.hu is not None else synthesise_ct(volume, generator)
    seen = network_volume(hu, volume.spacing_mm, volume.case)
    table = np.zeros(256, np.int64)
    for number, name in volume.names.items():
        table[number] = classes.index(_learned_as(name)) + 1 if _learned_as(name) in classes else 0
    small = _nearest(volume.labels, tuple(seen.shape[1:]))
    told = {_learned_as(name) for name in volume.vocabulary | set(volume.names.values())}
    known = torch.tensor([True, *(name in told for name in classes)])
    return Lesson(seen, torch.from_numpy(table[small]), known)


def _nearest(labels: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    picks = [
        np.minimum(((np.arange(n) + 0.5) * many / n).astype(int), many - 1)
        for n, many in zip(shape, labels.shape, strict=True)
    ]
    return labels[np.ix_(*picks)]


def train_labeller(lessons: Sequence[Lesson], classes: Sequence[str], options: LabellerOptions) -> Path:
    """Train, or go on, and return the checkpoint's path; the same lessons and options give the same weights.

    Raises:
        TrainingError: If the checkpoint in `out` is of another run, or the loss is no number.
    """
    torch.manual_seed(options.seed)
    network = ThoraxNet(len(classes) + 1, options.widths)
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=1e-3)
    path = options.out / CHECKPOINT
    options.out.mkdir(parents=True, exist_ok=True)
    done = _resume(path, network, optimiser, classes, options) if path.exists() else 0
    network.train()
    for step in range(done, options.steps):
        for group in optimiser.param_groups:
            group["lr"] = _rate(options, step)
        volume, labels, known = draw_patch(lessons, options, step)
        logits = network(volume[None])[0]
        loss = marginal_loss(logits, labels, known)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss of step {step + 1} is no number; lower the learning rate")
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        _log(options.out / "log.csv", step + 1, loss.item())
        if (step + 1) % options.checkpoint_every == 0 or step + 1 == options.steps:
            _save(path, network, optimiser, classes, options, step + 1)
    _add_scores(path, score(network, lessons, classes))
    return path


def _rate(options: LabellerOptions, step: int) -> float:
    warm = min(1.0, (step + 1) / 20)
    return float(options.learning_rate * warm * 0.5 * (1 + np.cos(np.pi * step / options.steps)))


def draw_patch(
    lessons: Sequence[Lesson], options: LabellerOptions, step: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (volume, labels, known) of a step: a turned, scaled piece of one lesson, its HU varied."""
    generator = np.random.default_rng([options.seed, step])
    lesson = lessons[step % len(lessons)]
    grid = _draw_grid(lesson, options.patch, generator)
    sampled = torch.nn.functional.grid_sample(
        lesson.volume[None], grid, padding_mode="border", align_corners=False
    )[0]
    numbered = lesson.labels[None, None].float()
    labels = torch.nn.functional.grid_sample(numbered, grid, mode="nearest", align_corners=False)[0, 0]
    noise = torch.from_numpy(generator.normal(0, generator.uniform(0, NOISE_HU), labels.shape))
    hu = sampled[0] * (1 + generator.normal(0, GAIN)) + generator.normal(0, SHIFT_HU) + noise.float()
    jitter = torch.from_numpy(generator.normal(0, POSITION_JITTER, (3, 1, 1, 1))).float()
    return torch.cat([normalised(hu)[None], sampled[1:] + jitter]), labels.long(), lesson.known


def _draw_grid(lesson: Lesson, patch: tuple[int, int, int], generator: np.random.Generator) -> torch.Tensor:
    """Return where each voxel of a patch is taken from, (1, slices, rows, columns, 3), x first."""
    shape = np.array(lesson.labels.shape)
    scale = generator.uniform(*SCALE, 3)
    turn = np.radians(generator.normal(0, ROTATION_DEG / 2, 3))
    matrix = _rotation(turn) @ np.diag(scale)
    slack = np.maximum(shape - np.array(patch), 0) / 2
    centre = shape / 2 + generator.uniform(-1, 1, 3) * (slack + 4)
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    taken = points @ torch.from_numpy(matrix.T).float() + torch.from_numpy(centre).float()
    unit = taken / torch.from_numpy(shape).float() * 2 - 1
    return unit.flip(-1)[None]


def _rotation(turn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rotation = np.eye(3)
    for axis, angle in enumerate(turn):
        one, two = [n for n in range(3) if n != axis]
        step = np.eye(3)
        step[[one, one, two, two], [one, two, one, two]] = [
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        ]
        rotation = step @ rotation
    return rotation


def marginal_loss(logits: torch.Tensor, labels: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy plus soft Dice of a patch, unknown classes counted as background.

    Args:
        logits: (classes, slices, rows, columns).
        labels: int64 of the grid; only known classes occur.
        known: bool (classes,).
    """
    merged = known.clone()
    merged[0] = False
    background = torch.logsumexp(logits[~merged], dim=0, keepdim=True)
    told = torch.cat([background, logits[merged]])
    numbers = torch.zeros(len(known), dtype=torch.long)
    numbers[merged] = torch.arange(1, int(merged.sum()) + 1)
    target = numbers[labels]
    count = torch.bincount(target.flatten(), minlength=len(told)).float()
    entropy = nn.functional.cross_entropy(told[None], target[None], weight=count.clamp(min=1) ** WEIGHT_POWER)
    found = torch.softmax(told, dim=0).flatten(1)
    overlap = torch.zeros(len(told)).index_add(
        0, target.flatten(), found.gather(0, target.flatten()[None])[0]
    )
    dice = (2 * overlap + DICE_SMOOTHING) / (found.sum(dim=1) + count + DICE_SMOOTHING)
    seen = count > 0
    return entropy + (1 - dice[seen]).mean()


def _log(path: Path, step: int, loss: float) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{step},{loss:.4f}\n")


def score(network: ThoraxNet, lessons: Sequence[Lesson], classes: Sequence[str]) -> dict[str, float]:
    """Return the Dice of each class over all lessons that know it, 0.0 where none shows it.

    These bodies were seen in training: a low figure proves that a class was not learned, a high one that it
    was learned, not that it will be found in another body.
    """
    network.eval()
    sums = torch.zeros(3, len(classes) + 1)
    for lesson in {id(lesson): lesson for lesson in lessons}.values():
        found = whole_volume(network, torch.cat([normalised(lesson.volume[:1]), lesson.volume[1:]])).argmax(0)
        for row, voxels in enumerate((found[found == lesson.labels], found, lesson.labels)):
            sums[row] += torch.bincount(voxels.flatten(), minlength=len(classes) + 1) * lesson.known
    dice = 2 * sums[0] / (sums[1] + sums[2]).clamp(min=1)
    return {name: round(float(dice[number]), 4) for number, name in enumerate(classes, start=1)}


def whole_volume(network: ThoraxNet, volume: torch.Tensor) -> torch.Tensor:
    """Return logits (classes, slices, rows, columns) of a normalised volume (4, slices, rows, columns)."""
    shape = volume.shape[1:]
    margins = [(-n) % SIZE_MULTIPLE for n in shape]
    padding = [part for margin in reversed(margins) for part in (0, margin)]
    padded = nn.functional.pad(volume[None], padding, mode="replicate")
    with torch.no_grad():
        logits = network(padded)[0]
    return torch.Tensor(logits[:, : shape[0], : shape[1], : shape[2]])


def _add_scores(path: Path, scores: Mapping[str, float]) -> None:
    torn = path.with_suffix(".part")
    torch.save({**read_labeller(path), "scores": dict(scores)}, torn)
    torn.rename(path)


def _save(
    path: Path,
    network: ThoraxNet,
    optimiser: torch.optim.Optimizer,
    classes: Sequence[str],
    options: LabellerOptions,
    step: int,
) -> None:
    torn = path.with_suffix(".part")
    described = {
        key: value for key, value in asdict(options).items() if key not in {"out", "checkpoint_every"}
    }
    torch.save(
        {
            "network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step,
            "classes": list(classes), "options": described,
        },
        torn,
    )  # fmt: skip
    torn.rename(path)


def _resume(
    path: Path,
    network: ThoraxNet,
    optimiser: torch.optim.Optimizer,
    classes: Sequence[str],
    options: LabellerOptions,
) -> int:
    stored = read_labeller(path)
    for key, value in asdict(options).items():
        if key in stored["options"] and stored["options"][key] != value:
            raise TrainingError(f"{path} was trained with {key} {stored['options'][key]}, not {value}")
    if stored["classes"] != list(classes):
        raise TrainingError(f"{path} was trained for other structures")
    network.load_state_dict(stored["network"])
    optimiser.load_state_dict(stored["optimiser"])
    return int(stored["step"])


def read_labeller(path: Path) -> Mapping[str, Any]:
    """Return the content of a labeller's checkpoint.

    Raises:
        LabellerError: If it is none.
    """
    try:
        stored: dict[str, Any] = torch.load(path, weights_only=True)
        if not {"network", "classes", "options", "step"} <= set(stored):
            raise KeyError("network, classes, options or step")
    except (OSError, EOFError, ValueError, LookupError, TypeError, RuntimeError, UnpicklingError) as exc:
        kind = type(exc).__name__  # torch says many lines, and to load it unsafely
        raise LabellerError(f"{path} is no checkpoint of paxnode-train train-labeller ({kind})") from exc
    return stored
