"""The whole outline of a mask as closed rings: every piece, and the holes that can be seen."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ai.mask_geometry import Point, simplify, trace
from ai.segmentation import Mask

HOLE_FRACTION = 0.002
"""Holes below this fraction of the mask are not drawn: specks, of which a reader would see a dot at most."""

MIN_HOLE_PIXELS = 16
"""Nor are those of fewer pixels than 4 x 4."""

Piece = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]
"""Pixels in their crop, and the crop's (column, row)."""


def rings(mask: Mask) -> tuple[tuple[Point, ...], ...]:
    """Return the closed outlines of a mask, each ending where it begins, the topmost piece first.

    They run through the middles of the pixel edges between inside and outside and are simplified by
    `ai.mask_geometry.simplify`: half a pixel where its limit of points allows it.
    """
    offset = np.array([mask.left, mask.top], np.float64)
    return tuple(_closed(simplify(path) + offset) for path in _paths(mask))


def _paths(mask: Mask) -> Iterator[npt.NDArray[np.float64]]:
    least = max(MIN_HOLE_PIXELS, round(HOLE_FRACTION * mask.area))
    for piece, corner in _pieces(mask.pixels):
        yield trace(piece) + corner
        around = np.pad(~piece, 1, constant_values=True)
        for hole, at in list(_pieces(around))[1:]:  # the first one is what lies outside
            if np.count_nonzero(hole) >= least:
                yield trace(hole) + corner + at - 1


def _pieces(pixels: npt.NDArray[np.bool_]) -> Iterator[Piece]:
    """Yield what hangs together by sides, the topmost first."""
    numbered, _ = ndimage.label(pixels)
    for number, where in enumerate(ndimage.find_objects(numbered), start=1):
        yield numbered[where] == number, np.array([where[1].start, where[0].start], np.float64)


def _closed(path: npt.NDArray[np.float64]) -> tuple[Point, ...]:
    points = [(float(column), float(row)) for column, row in path]
    return (*points, points[0])
