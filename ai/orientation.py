r"""How a frontal radiograph lies in its pixel grid, and the way to the usual one and back.

The usual one is Patient Orientation L\F (PS3.3 C.7.6.1.1.1): columns run to the patient's left, rows to the
feet. The tags of a DICOM object, the EXIF of a picture and a judge all state one; they add up.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ai.appearance import Presentation
from ai.radiograph import PixelSpacing
from ai.segmentation import Mask

T = TypeVar("T", bound=np.generic)
Point = tuple[float, float]


@dataclass(frozen=True)
class Orientation:
    """Steps from the stored grid to the usual one, in this order.

    Attributes:
        transpose: Rows and columns change places.
        flip_rows: The rows are turned over: what was at the bottom comes to the top.
        flip_columns: The columns are turned over: what was at the right comes to the left.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @property
    def is_usual(self) -> bool:
        """Whether the stored grid is the usual one already."""
        return not (self.transpose or self.flip_rows or self.flip_columns)

    def to_usual(self, stored: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return an array (rows, columns) of the stored grid as it lies in the usual one."""
        turned = stored.T if self.transpose else stored
        turned = turned[::-1] if self.flip_rows else turned
        turned = turned[:, ::-1] if self.flip_columns else turned
        return np.ascontiguousarray(turned)

    def to_stored(self, usual: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return an array of the usual grid as it lies in the stored one."""
        turned = usual[:, ::-1] if self.flip_columns else usual
        turned = turned[::-1] if self.flip_rows else turned
        return np.ascontiguousarray(turned.T if self.transpose else turned)

    def mask_to_stored(self, mask: Mask, shape: tuple[int, int]) -> Mask:
        """Return a mask of the usual grid, whose shape is given, as it lies in the stored one."""
        if self.is_usual:
            return mask
        top = shape[0] - mask.bottom if self.flip_rows else mask.top
        left = shape[1] - mask.right if self.flip_columns else mask.left
        if self.transpose:
            top, left = left, top
        return Mask(self.to_stored(mask.pixels), top, left)

    def point_to_stored(self, point: Point, shape: tuple[int, int]) -> Point:
        """Return a (column, row) of the usual grid, whose shape is given, in the stored one."""
        column, row = point
        column = shape[1] - column if self.flip_columns else column
        row = shape[0] - row if self.flip_rows else row
        return (row, column) if self.transpose else (column, row)

    def then(self, other: "Orientation") -> "Orientation":
        """Return the steps of this one followed by those of another, as one orientation."""
        rows, columns = self.flip_rows, self.flip_columns
        if other.transpose:
            rows, columns = columns, rows
        return Orientation(
            self.transpose != other.transpose, rows != other.flip_rows, columns != other.flip_columns
        )

    @property
    def letters(self) -> tuple[str, str]:
        """Patient Orientation of the stored grid (PS3.3 C.7.6.1.1.1)."""
        across, down = ("R" if self.flip_columns else "L"), ("H" if self.flip_rows else "F")
        return (down, across) if self.transpose else (across, down)

    def spacing_to_usual(self, spacing: PixelSpacing) -> PixelSpacing:
        """Return the spacing of the usual grid."""
        if not self.transpose:
            return spacing
        return PixelSpacing(spacing.column_mm, spacing.row_mm, spacing.source, spacing.calibrated)


USUAL = Orientation()

_TURNED = {
    0: USUAL,
    90: Orientation(transpose=True, flip_columns=True),
    180: Orientation(flip_rows=True, flip_columns=True),
    270: Orientation(transpose=True, flip_rows=True),
}
"""By degrees clockwise that bring the picture upright."""


def seen_orientation(presentation: Presentation) -> Orientation:
    """Return the steps that bring a picture which is shown in this way to the usual grid.

    >>> seen_orientation(Presentation(turn=90))
    Orientation(transpose=True, flip_rows=False, flip_columns=True)
    """
    mirror = Orientation(flip_columns=presentation.mirrored)
    return _TURNED[presentation.turn].then(mirror)
