"""Masks on the radiograph's own pixel grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ai.errors import RadiographError
from ai.uncertainty import Trust


@dataclass(frozen=True, eq=False)
class Mask:
    """One structure's pixels, stored inside their bounding box; what is worked out of them is kept.

    Attributes:
        pixels: bool, shape (height, width): the crop. At least one pixel is True.
        top: Row of the crop's first row in the radiograph.
        left: Column of the crop's first column in the radiograph.
    """

    pixels: npt.NDArray[np.bool_]
    top: int
    left: int

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.bool_ or not self.pixels.any():
            raise RadiographError("a mask is a non-empty 2D bool array; leave empty structures out")
        if self.top < 0 or self.left < 0:
            raise RadiographError(f"a mask lies inside its image, found top {self.top}, left {self.left}")

    @classmethod
    def from_dense(cls, dense: npt.NDArray[np.bool_]) -> "Mask | None":
        """Return the mask of a bool array (rows, columns), cropped to its bounding box; None if empty."""
        rows = np.flatnonzero(dense.any(axis=1))
        if not rows.size:
            return None
        band = dense[rows[0] : rows[-1] + 1]
        columns = np.flatnonzero(band.any(axis=0))
        return cls(band[:, columns[0] : columns[-1] + 1].copy(), int(rows[0]), int(columns[0]))

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.pixels))

    @property
    def bottom(self) -> int:
        """One past the crop's last row in the radiograph."""
        return self.top + int(self.pixels.shape[0])

    @property
    def right(self) -> int:
        """One past the crop's last column in the radiograph."""
        return self.left + int(self.pixels.shape[1])

    @cached_property
    def largest_piece(self) -> float:
        """Share of the pixels in the largest piece; pieces are joined by sides, not by corners."""
        return _largest_area(self.pixels) / self.area

    @cached_property
    def centroid(self) -> tuple[float, float]:
        """(column, row) of the centre of area, image coordinates: pixel (0, 0) covers [0, 1) x [0, 1)."""
        height, width = self.pixels.shape
        columns = int(np.count_nonzero(self.pixels, axis=0) @ np.arange(width))
        rows = int(np.count_nonzero(self.pixels, axis=1) @ np.arange(height))
        return columns / self.area + self.left + 0.5, rows / self.area + self.top + 0.5

    def dense(self, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Return the mask as a bool array of the radiograph's shape (rows, columns)."""
        full = np.zeros(shape, np.bool_)
        full[self.top : self.bottom, self.left : self.right] = self.pixels
        return full


def _largest_area(pixels: npt.NDArray[np.bool_]) -> int:
    """Return the pixels of the largest piece; pieces are put together from the runs of their rows."""
    from scipy.sparse import coo_array  # here, for a bundle is read without it
    from scipy.sparse.csgraph import connected_components

    padded = np.pad(pixels, ((0, 0), (1, 1)))
    edges = np.flatnonzero(padded[:, 1:] != padded[:, :-1])  # a row has one place more than it has pixels
    begins, ends = edges[::2], edges[1::2]
    row = padded.shape[1] - 1
    first = np.searchsorted(ends, begins + row, side="right")
    after = np.searchsorted(begins, ends + row, side="left")
    below = np.maximum(after - first, 0)  # runs of the next row that lie under each
    upper = np.repeat(np.arange(len(begins)), below)
    lower = np.arange(len(upper)) + np.repeat(first - (np.cumsum(below) - below), below)
    joined = coo_array((np.ones(len(upper), np.bool_), (upper, lower)), shape=(len(begins),) * 2)
    _, piece = connected_components(joined, directed=False)
    return int(np.bincount(piece, weights=ends - begins).max())


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights made a result: bundle id, version, and sha256 of model.onnx.

    `rules` is a digest of what else decides about masks and measurements: labels, thresholds and curves of
    trust; "" for a model without curves.
    """

    id: str
    version: str
    sha256: str
    rules: str = ""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a model found in one radiograph.

    Attributes:
        shape: (rows, columns) of the radiograph.
        masks: By label name (the `name` of ai/labels.csv), in label-table order; never an empty one.
        model: The weights that made it.
        empty: Labels that the model supports and did not find here, or whose masks were withheld (`repairs`
            tells which).
        unsupported: Labels of the table that the model was not trained for.
        repairs: What post-processing changed, one sentence each.
        frontal_probability: That the view is frontal, judged from the pixels, in [0, 1]; None if unjudged.
        trust: How far each mask may be trusted; masks that are not in it were not judged.
    """

    shape: tuple[int, int]
    masks: Mapping[str, Mask]
    model: ModelIdentity
    empty: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    frontal_probability: float | None = field(default=None)
    trust: Mapping[str, Trust] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, mask in self.masks.items():
            if mask.bottom > self.shape[0] or mask.right > self.shape[1]:
                raise RadiographError(f"mask {name!r} reaches beyond its image of {self.shape} pixels")
