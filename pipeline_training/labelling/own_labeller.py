"""The own labeller: a trained `ThoraxNet` on a whole CT, its answer brought back to the CT's grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.own_input import network_volume
from pipeline_training.labelling.own_network import ThoraxNet, normalised
from pipeline_training.labelling.own_training import read_labeller, whole_volume

MIN_DICE = 0.7
"""On the bodies it was trained with; a class below this was not learned, and is not in its vocabulary."""


class OwnLabeller:
    """A labeller trained by `paxnode-train train-labeller`.

    Args:
        checkpoint: Its `labeller.pt`.

    Raises:
        LabellerError: If it cannot be read.
    """

    name = "paxnode's own"

    def __init__(self, checkpoint: Path) -> None:
        stored = read_labeller(checkpoint)
        if "scores" not in stored:
            raise LabellerError(f"{checkpoint}: its training has not come to an end; train-labeller goes on")
        self._classes = tuple(stored["classes"])
        self._learned = [name for name in self._classes if stored["scores"][name] >= MIN_DICE]
        learned = set(self._learned)
        self._unlearned = [n for n, name in enumerate(self._classes, start=1) if name not in learned]
        self._network = ThoraxNet(len(self._classes) + 1, stored["options"]["widths"])
        try:
            self._network.load_state_dict(stored["network"])
        except RuntimeError as exc:
            raise LabellerError(f"{checkpoint} does not hold the network that it describes: {exc}") from exc
        self._network.eval()

    @property
    def vocabulary(self) -> frozenset[str]:
        """The structures that it was trained for and has learned; it has no say in any other."""
        return frozenset(self._learned)

    def label(self, volume: CtVolume) -> LabelVote:
        """Return its answer; confidence is the softmax of the class chosen.

        Raises:
            LabellerError: If no lungs can be found in the volume.
        """
        seen = network_volume(volume.hu, volume.spacing_mm, volume.case)
        logits = whole_volume(self._network, torch.cat([normalised(seen[:1]), seen[1:]]))
        logits[self._unlearned] = -torch.inf
        numbers, confidence = _upsampled(torch.softmax(logits, dim=0).numpy(), volume.hu.shape)
        present = np.unique(numbers)
        names = {int(n): self._classes[n - 1] for n in present if n}
        return LabelVote(self.name, numbers, names, self.vocabulary, confidence)


Grid = npt.NDArray[np.float32]


def _upsampled(shares: Grid, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.uint8], Grid]:
    """Return the most probable class of every fine voxel, and its probability.

    Classes are brought up one after another, and only where they can win: memory does not grow with their
    number, and time grows with their size.
    """
    numbers = np.zeros(shape, np.uint8)
    best = upsampled(shares[0], [Axis.between(c, f) for c, f in zip(shares.shape[1:], shape, strict=True)])
    for number in range(1, len(shares)):
        places = np.nonzero(shares[number] > 1 / len(shares))
        if not places[0].size:
            continue
        spans = [(int(p.min()) - 1, int(p.max()) + 1) for p in places]
        axes = [Axis.between(c, f, span) for c, f, span in zip(shares.shape[1:], shape, spans, strict=True)]
        box = tuple(slice(axis.first, axis.first + len(axis.weight)) for axis in axes)
        share = upsampled(shares[number], axes)
        more = share > best[box]
        numbers[box][more], best[box][more] = number, share[more]
    return numbers, best


@dataclass(frozen=True, eq=False)
class Axis:
    """Which coarse samples make which fine ones along an axis; centres of the grids' first cells differ.

    Attributes:
        first: The first fine sample.
        below: Coarse sample at or before each fine one.
        above: The one after it.
        weight: Of the one after it.
    """

    first: int
    below: npt.NDArray[np.intp]
    above: npt.NDArray[np.intp]
    weight: Grid

    @classmethod
    def between(cls, coarse: int, fine: int, span: tuple[int, int] | None = None) -> Self:
        """Return the fine samples that take part of coarse ones `span[0]` to `span[1]`, both included."""
        where = np.clip((np.arange(fine) + 0.5) * coarse / fine - 0.5, 0, coarse - 1)
        low, high = span or (0, coarse - 1)
        taken = np.flatnonzero((where >= low) & (where <= high))
        below = np.floor(where[taken]).astype(np.intp)
        above = np.minimum(below + 1, coarse - 1)
        return cls(int(taken[0]), below, above, (where[taken] - below).astype(np.float32))


def upsampled(share: Grid, axes: Sequence[Axis]) -> Grid:
    """Return a coarse grid, interpolated linearly at the fine samples of its axes."""
    for number, axis in enumerate(axes):
        weight = axis.weight.reshape([-1 if n == number else 1 for n in range(share.ndim)])
        below, above = np.take(share, axis.below, number), np.take(share, axis.above, number)
        share = below + (above - below) * weight
    return share
