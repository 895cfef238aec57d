"""How a network does on patients that it is not learning from, while it learns."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ai.labels import label
from pipeline_training.dataset import Sample, Source, make_sample
from pipeline_training.metrics import border
from pipeline_training.network import AnatomyNet
from pipeline_training.projections import NAMES

SEED = 30_000_000
"""Looks at held-back patients are drawn from here, the same every time."""

MAX_LOOKS = 64
PICTURES = 6
DRAWN = (
    "visible lung right",
    "visible lung left",
    "heart",
    "aorta",
    "clavicle left",
    "clavicle right",
    "trachea",
)


def looks(
    sources: Sequence[Source], labels: Sequence[int], size: int, count: int = MAX_LOOKS
) -> list[Sample]:
    """Return at most `count` looks at sources, evenly spaced among them, always the same."""
    chosen = sorted({round(i) for i in np.linspace(0, len(sources) - 1, min(count, len(sources)))})
    return [make_sample(sources[i], labels, size, np.random.default_rng([SEED, i])) for i in chosen]


@torch.no_grad()
def mean_dice(network: AnatomyNet, samples: Sequence[Sample], device: str = "cpu") -> float:
    """Return the mean Dice over samples and the structures that are known and there; 0 if none is."""
    scores: list[float] = []
    network.eval()
    for sample in samples:
        found = network(sample.image[None].to(device)).logits[0].float().cpu() > 0
        truth = (sample.target > 0.5) & sample.truths
        found &= sample.truths
        shown = sample.known & truth.any(dim=2).any(dim=1)
        total = found.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
        dice = 2 * (found & truth).sum(dim=(1, 2)) / total.clamp_min(1)
        scores += dice[shown].tolist()
    network.train()
    return float(np.mean(scores)) if scores else 0.0


@torch.no_grad()
def write_pictures(
    path: Path, network: AnatomyNet, samples: Sequence[Sample], labels: Sequence[int], device: str = "cpu"
) -> None:
    """Write a sheet: each look alone, with what is true outlined, and with what the network finds."""
    network.eval()
    columns = []
    for sample in samples[:PICTURES]:
        found = network(sample.image[None].to(device)).logits[0].float().cpu() > 0
        grey = (sample.image[0].numpy() * 255).astype(np.uint8)
        plain = np.repeat(grey[:, :, None], 3, axis=2)
        truth = (sample.target > 0.5) & sample.known[:, None, None]
        columns.append(
            np.vstack([plain, *(_outlined(plain, masks.numpy(), labels) for masks in (truth, found))])
        )
    network.train()
    Image.fromarray(np.hstack(columns)).save(path)


def _outlined(
    plain: npt.NDArray[np.uint8], masks: npt.NDArray[np.bool_], labels: Sequence[int]
) -> npt.NDArray[np.uint8]:
    drawn = plain.copy()
    factor = len(plain) // masks.shape[1]
    for row, index in enumerate(labels):
        if NAMES[index] in DRAWN and masks[row].any():
            drawn[border(np.kron(masks[row], np.ones((factor, factor), np.bool_)))] = label(
                NAMES[index]
            ).colour
    return drawn
