"""Masks that may overlap become one label map; what could not be used is told."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import VolumeError
from pipeline_training.intake.geometry import Grid, Placed, resample

MAX_LABEL = 255
KEPT_SHARE = 0.5
"""A labelling of which less lies within the CT belongs to another one, or lies elsewhere."""


@dataclass(frozen=True, eq=False)
class Labelling:
    """A label map on the working grid, and what its maker looked for.

    Attributes:
        labels: uint8 (slices, rows, columns).
        names: Structure by id; only what has voxels.
        vocabulary: Everything that was looked for.
        remarks: What was not used, and why.
        patient: As the file tells it; "" where it does not.
    """

    labels: npt.NDArray[np.uint8]
    names: dict[int, str]
    vocabulary: frozenset[str]
    remarks: tuple[str, ...] = ()
    patient: str = ""


class Painter:
    """Paints structures one by one; where two overlap, the one of fewer voxels stays."""

    def __init__(self, case: str, shape: tuple[int, ...]) -> None:
        self.case = case
        self.labels = np.zeros(shape, np.uint8)
        self.names: dict[int, str] = {}
        self.vocabulary: set[str] = set()
        self._sizes = np.full(MAX_LABEL + 1, np.iinfo(np.int64).max)

    def paint(self, name: str, mask: npt.NDArray[np.bool_]) -> None:
        """Add a structure; an empty mask is one that was looked for and not found.

        Raises:
            VolumeError: If the name was there before, or there are too many.
        """
        if name in self.vocabulary:
            raise VolumeError(f"{self.case}: two labels are named {name}")
        self.vocabulary.add(name)
        if not (size := int(np.count_nonzero(mask))):
            return
        number = len(self.names) + 1
        if number > MAX_LABEL:
            raise VolumeError(f"{self.case}: more than {MAX_LABEL} structures are labelled")
        self.names[number], self._sizes[number] = name, size
        place = np.flatnonzero(mask)
        flat = self.labels.reshape(-1)
        flat[place[self._sizes[flat[place]] > size]] = number

    def labelling(self, remarks: tuple[str, ...] = ()) -> Labelling:
        """Return what was painted."""
        return Labelling(self.labels, self.names, frozenset(self.vocabulary), remarks)


def onto(case: str, source: str, placed: Placed, grid: Grid) -> npt.NDArray[np.generic]:
    """Return labels or a mask on the working grid, by where they lie.

    Raises:
        VolumeError: If most of what is labelled lies outside the grid.
    """
    found = resample(placed, grid, order=0, outside=0)
    had = np.count_nonzero(placed.voxels) * float(np.prod(placed.spacing_mm))
    kept = np.count_nonzero(found) * grid.spacing_mm**3
    if had > grid.spacing_mm**3 * 100 and kept < KEPT_SHARE * had:
        raise VolumeError(
            f"{case}: {source} lies outside the CT: {kept / 1000:.0f} of {had / 1000:.0f} ml are within it"
        )
    return found
