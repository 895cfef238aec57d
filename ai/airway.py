"""The trachea's centre line and borders, row by row, and the place where it parts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ai.availability import absent, lungs, missing
from ai.mask_geometry import outer_edges
from ai.radiograph import PixelSpacing
from ai.segmentation import Segmentation

Vector = npt.NDArray[np.float64]

MIN_SLENDERNESS = 2.0
"""Least height of the trachea inside the chest over its width. From the thoracic inlet to the carina it is
about 60 mm long, and at most 25 mm wide (Breatnach E, Abbott GC, Fraser RG, Dimensions of the normal human
trachea, AJR 142:903, 1984)."""

MAX_WIDENING = 1.5
"""The trachea ends above the first row that is wider than so many times the median: there the main bronchi
begin, of which the label holds stubs beside the bifurcation (seen on projections of three CT volumes)."""

WIDTH_MM = (5.0, 50.0)
"""Width of a trachea in mm: half of the least and twice of the largest normal one of Breatnach 1984, 10 to
25 mm, for stenosis and dilatation are what a reader looks for."""


@dataclass(frozen=True, eq=False)
class Trachea:
    """The trachea between the apices of the lungs and the carina.

    Attributes:
        rows: (n,) image coordinates of the rows' middles, from above.
        right: (n,) column of the border on the patient's right, which is the image's left.
        left: (n,) column of the other border.
    """

    rows: Vector
    right: Vector
    left: Vector

    @property
    def centre(self) -> Vector:
        """(n,) column of the centre line."""
        return np.asarray((self.right + self.left) / 2, np.float64)


def trachea(segmentation: Segmentation, spacing: PixelSpacing | None) -> Trachea | str:
    """Return the trachea in the chest, or why nothing can be measured on it.

    Both lungs have been found. It may leave the image at its top: what lies above the apices does not count.
    """
    reason = missing(segmentation, ["trachea"], top_matters=False)
    if reason:
        return reason
    mask, pair = segmentation.masks["trachea"], [segmentation.masks[name] for name in lungs(segmentation)]
    rows = np.asarray(np.arange(mask.top, mask.bottom) + 0.5, np.float64)
    right, left = (outer_edges(mask, side) for side in ("left", "right"))
    below = split_top(segmentation)
    kept = ~np.isnan(right) & (rows > min(lung.top for lung in pair)) & (rows < below)
    if not kept.any():
        return "the trachea does not lie between the lungs"
    found = _above_bronchi(Trachea(rows[kept], right[kept], left[kept]))
    return _implausible(found, segmentation, spacing) or found


def _above_bronchi(found: Trachea) -> Trachea:
    """Return the trachea down to the first row that is too wide for it."""
    widths = found.left - found.right
    wide = np.flatnonzero(widths > MAX_WIDENING * float(np.median(widths)))
    end = int(wide[0]) if wide.size else len(widths)
    return Trachea(found.rows[:end], found.right[:end], found.left[:end])


def split_top(segmentation: Segmentation) -> float:
    """Return the row where the bifurcation begins, or infinity where none was found between the lungs."""
    known = not (absent(segmentation, "tracheal bifurcation") or bifurcation_misplaced(segmentation))
    return float(segmentation.masks["tracheal bifurcation"].top) if known else float("inf")


def bifurcation_misplaced(segmentation: Segmentation) -> str | None:
    """Return a sentence if the bifurcation was found and not between the centres of both lungs."""
    if absent(segmentation, "tracheal bifurcation"):
        return None
    right, left = (segmentation.masks[name].centroid[0] for name in lungs(segmentation))
    if right < segmentation.masks["tracheal bifurcation"].centroid[0] < left:
        return None
    return "the bifurcation does not lie between the lungs"


def _implausible(found: Trachea, segmentation: Segmentation, spacing: PixelSpacing | None) -> str | None:
    if not len(found.rows):
        return "the trachea is implausible: too wide at its top"
    right, left = (segmentation.masks[name].centroid[0] for name in lungs(segmentation))
    middle, width = float(np.median(found.centre)), float(np.median(found.left - found.right))
    if not right < middle < left:
        return "the trachea does not lie between the lungs"
    aspect = spacing.row_mm / spacing.column_mm if spacing else 1.0
    if len(found.rows) * aspect < MIN_SLENDERNESS * width:
        return "the trachea is implausible: too short for its width"
    if spacing and not WIDTH_MM[0] <= width * spacing.column_mm <= WIDTH_MM[1]:
        return f"the trachea is implausible: it would be {width * spacing.column_mm:.0f} mm wide"
    return None
