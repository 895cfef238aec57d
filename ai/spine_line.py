"""The middle of the spine on a row of the image: the patient's midline where the spine is bent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ai.availability import absent, doubted, lungs
from ai.labels import LABELS
from ai.mask_geometry import outer_edges
from ai.measure_plausibility import MAX_LEVELS, spine_misplaced
from ai.segmentation import Segmentation

Vector = npt.NDArray[np.float64]

THORACIC = tuple(item.name for item in LABELS if item.name.startswith("vertebrae T"))
"""T1 to T12, from above."""

UNIONS = ("thoracic spine", "spine")
"""What stands in for single vertebrae, the narrower one first."""

MIN_VERTEBRAE = 3
"""Fewer thoracic vertebrae show no line."""

VERTEBRAE_IN_UNION = 12
"""The middle of the thoracic spine's mask is averaged over one part in twelve of its height, about one
vertebra: transverse processes and ribs make its edges ragged."""


@dataclass(frozen=True, eq=False)
class SpineLine:
    """The middle of the spine.

    Attributes:
        rows: (n,) ascending image coordinates.
        columns: (n,) where the middle lies on those rows.
        structures: Label names that it was made from.
    """

    rows: Vector
    columns: Vector
    structures: tuple[str, ...]

    def at(self, rows: Vector) -> Vector:
        """Return the middle's column on each row; NaN above the line's first and below its last row."""
        return np.asarray(np.interp(rows, self.rows, self.columns, left=np.nan, right=np.nan), np.float64)


def spine_line(segmentation: Segmentation) -> SpineLine | str:
    """Return the line through the centres of the thoracic vertebrae, or why there is none.

    Where fewer than MIN_VERTEBRAE of them were found, or more than one in a row was not, it is the middle of
    the mask of the thoracic spine, or of the spine.
    """
    levels = [level for level, name in enumerate(THORACIC) if name in segmentation.masks]
    if len(levels) >= MIN_VERTEBRAE and np.diff(levels).max() <= MAX_LEVELS:
        return _through_vertebrae(segmentation, levels)
    for name in UNIONS:
        if absent(segmentation, name) is None:
            return _through_union(segmentation, name)
    if UNIONS[0] not in segmentation.unsupported or set(THORACIC) <= set(segmentation.unsupported):
        return str(absent(segmentation, UNIONS[0]))
    told = "more than one vertebra in a row was not found"
    if len(levels) < MIN_VERTEBRAE:
        told = f"{len(levels)} thoracic vertebrae were found, {MIN_VERTEBRAE} are needed"
    doubt = doubted(segmentation, THORACIC)
    return f"{told}; {doubt}" if doubt else told


def _through_vertebrae(segmentation: Segmentation, levels: Sequence[int]) -> SpineLine | str:
    names = tuple(THORACIC[level] for level in levels)
    masks = [segmentation.masks[name] for name in names]
    columns, rows = np.array([mask.centroid for mask in masks]).T
    if (np.diff(rows) <= 0).any():
        return "the vertebrae do not lie in their order"
    half = float(np.median(np.diff(rows) / np.diff(levels))) / 2
    ends = np.concatenate([[rows[0] - half], rows, [rows[-1] + half]])
    line = SpineLine(ends, np.concatenate([columns[:1], columns, columns[-1:]]), names)
    return spine_misplaced(segmentation, columns) or line


def _through_union(segmentation: Segmentation, name: str) -> SpineLine | str:
    mask = segmentation.masks[name]
    middle = (outer_edges(mask, "left") + outer_edges(mask, "right")) / 2
    rows = np.asarray(np.arange(mask.top, mask.bottom) + 0.5, np.float64)
    kept = ~np.isnan(middle)
    window = max(1, (mask.bottom - mask.top) // VERTEBRAE_IN_UNION)
    columns = np.asarray(ndimage.uniform_filter1d(middle[kept], window, mode="nearest"), np.float64)
    between = _beside_lungs(segmentation, rows[kept])
    if not between.any():
        return "the spine does not lie between the lungs"
    return spine_misplaced(segmentation, columns[between]) or SpineLine(rows[kept], columns, (name,))


def _beside_lungs(segmentation: Segmentation, rows: Vector) -> npt.NDArray[np.bool_]:
    """Whether each row has a lung on it; all where no lung was found."""
    masks = [segmentation.masks[name] for name in lungs(segmentation) if name in segmentation.masks]
    if not masks:
        return np.ones(len(rows), np.bool_)
    top, bottom = min(mask.top for mask in masks), max(mask.bottom for mask in masks)
    return np.asarray((rows > top) & (rows < bottom))
