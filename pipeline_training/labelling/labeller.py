"""What a labeller is, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume


@dataclass(frozen=True, eq=False)
class LabelVote:
    """One labeller's answer for one CT.

    Attributes:
        labeller: Its name, for reports.
        labels: uint8 of the CT's shape; 0 is none of its structures.
        names: Structure by id, TotalSegmentator v2's names; only what has voxels need be in it.
        vocabulary: Every structure that the labeller looks for. It says nothing of any other.
        confidence: float32 in [0, 1] of the CT's shape, the labeller's own trust in each voxel; None if it
            gives none.
    """

    labeller: str
    labels: npt.NDArray[np.uint8]
    names: Mapping[int, str]
    vocabulary: frozenset[str]
    confidence: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if strange := sorted(set(self.names.values()) - self.vocabulary):
            raise LabellerError(f"{self.labeller} labels {strange[0]!r}, which is not in its vocabulary")
        if self.confidence is not None and self.confidence.shape != self.labels.shape:
            raise LabellerError(f"{self.labeller}: labels and confidence differ in shape")

    def mask(self, name: str) -> npt.NDArray[np.bool_]:
        """Return where the labeller found a structure."""
        ids = [number for number, known in self.names.items() if known == name]
        return np.isin(self.labels, ids)


class Labeller(Protocol):
    """Something that labels CTs: a model, or a rule."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    @property
    def vocabulary(self) -> frozenset[str]:
        """The structures that it looks for."""
        ...

    def label(self, volume: CtVolume) -> LabelVote:
        """Return its answer.

        Raises:
            LabellerError: If it cannot answer: not installed, weights missing, a volume it cannot take.
        """
        ...
