"""Which structures a trained network finds at all: Dice on looks at projections that training did not draw.

Of the bodies of the training a good figure proves little; a bad one is reason enough to withhold the
structure from the bundle (`withheld` in the model card), and the node names it as not supported. A body that
was held out proves more, of the structures that are labelled in it.
"""

from pathlib import Path

import numpy as np
import torch

from pipeline_training.dataset import FRONTAL, make_sample, read_sources
from pipeline_training.export import THRESHOLD, load_network
from pipeline_training.mirror import logits_of
from pipeline_training.projections import NAMES

SEED = 20_000_000
"""Looks are drawn from here; training draws from the seed of its run."""

LEAST_CELLS = 30
"""Of the network's grid; of slivers at a picture's edge Dice says little."""


def screen(
    checkpoint: Path, projections: Path, size: int = 320, looks: int = 80, mirror_bones: bool = False
) -> dict[str, float | None]:
    """Return the mean Dice of every structure of a checkpoint over `looks` frontal looks, worst first.

    Where a look does not tell what is true, nothing is counted; for a structure a look counts when its truth
    covers LEAST_CELLS. What no look shows on so many has None, and comes first. `mirror_bones`: asked about
    bones of the mirrored picture as well (`ai.mirroring`), as a bundle can be.

    Raises:
        pipeline_training.errors.ExportError: If the checkpoint cannot be read.
        pipeline_training.errors.DatasetError: If there are no projections.
    """
    network, labels = load_network(checkpoint)
    indices = [NAMES.index(name) for name in labels]
    sources = [source for source in read_sources(projections, ()) if source.view == FRONTAL]
    scores: dict[str, list[float]] = {name: [] for name in labels}
    for look in range(looks):
        generator = np.random.default_rng([SEED, look])
        sample = make_sample(sources[look * len(sources) // looks], indices, size, generator)
        logits = torch.from_numpy(logits_of(network, sample.image[None], labels, mirror_bones))
        found = torch.sigmoid(logits[0]) > THRESHOLD
        found, truth = found & sample.truths, (sample.target > 0.5) & sample.truths
        overlap = (
            2 * (found & truth).sum(dim=(1, 2)) / (found.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))).clamp_min(1)
        )
        shown = sample.known & (truth.sum(dim=(1, 2)) >= LEAST_CELLS)
        for name, dice, counts in zip(labels, overlap.tolist(), shown.tolist(), strict=True):
            if counts:
                scores[name].append(dice)
    means = {name: float(np.mean(values)) if values else None for name, values in scores.items()}
    return dict(sorted(means.items(), key=lambda item: -1 if item[1] is None else item[1]))
