"""How much higher one dome of the diaphragm stands than the other."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ai.availability import absent, length_remarks, missing, not_frontal
from ai.mask_geometry import Point, level_edges
from ai.measure_heart import Width, inner_thorax, unfit_for_lengths
from ai.measure_plausibility import heart_implausible
from ai.measure_spine import SQUARE_PIXELS
from ai.measurement import Drawing, Measurement, NotComputed, Unit
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation

LUNGS = ("visible lung right", "visible lung left")
HEMIDIAPHRAGMS = ("right hemidiaphragm", "left hemidiaphragm")

MIN_BASE = 0.1
"""Least share of a lung's width, from its lowest point to the heart, in which its dome is looked for. Of
readers' lungs and hearts it is 0.096 at least on the 113 films of JSRT; the largest hearts of Wingspan leave
less."""

MAX_DIFFERENCE = 0.3
"""Largest difference of the domes, as a share of the thoracic width. Of readers' lungs it lies between -0.058
(left higher) and 0.140 on JSRT, and between -0.040 and 0.221 on Wingspan."""


BESIDE_HEART = "the diaphragm is not looked at behind the heart: a dome there would be missed"


@dataclass(frozen=True)
class Domes:
    """The highest point of the diaphragm's border on either side, and the structures whose edge it is."""

    right: Point
    left: Point
    structures: tuple[str, ...]

    @property
    def rows(self) -> float:
        """By how many rows the right dome stands higher; negative if the left one does."""
        return self.left[1] - self.right[1]

    @property
    def drawing(self) -> Drawing:
        """A step from dome to dome: level at either one, upright halfway between them."""
        middle = (self.right[0] + self.left[0]) / 2
        step = (self.right, (middle, self.right[1]), (middle, self.left[1]), self.left)
        return Drawing("step between the domes of the diaphragm", step)

    @property
    def remark(self) -> str:
        """Which dome stands higher, in words."""
        if self.rows == 0:
            return "the domes stand at the same height"
        return f"the {'right' if self.rows > 0 else 'left'} dome stands higher"


def dome_difference(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return how much higher the right dome of the diaphragm stands than the left one.

    Definition: the dome is the highest point of the diaphragm's border between the lung's lowest point (the
    costophrenic angle) and the nearest column of the heart. The border is the upper edge of the
    hemidiaphragms where the model has both, else the lower edge of the visible lungs; `structures` tells
    which. Behind the heart it is not looked for: there the default model's left hemidiaphragm has a false
    peak, 50 mm above the border beside the heart (median of 60 films of JSRT).
    Unit: mm, positive if the right dome stands higher.
    Source: Lennon EA, Simon G, The height of the diaphragm in the chest radiograph of normal adults, Br J
    Radiol 38:937 (1965).
    """
    name, domes = "dome height difference", _domes(radiograph, segmentation)
    if isinstance(domes, str):
        return NotComputed(name, domes, LUNGS)
    reason = unfit_for_lengths(radiograph, segmentation)
    if reason or radiograph.spacing is None:
        return NotComputed(name, reason or radiograph.why_no_spacing, domes.structures)
    value = domes.rows * radiograph.spacing.row_mm
    remarks = (domes.remark, BESIDE_HEART, *length_remarks(radiograph))
    return Measurement(name, value, Unit.MILLIMETRE, (domes.drawing,), domes.structures, remarks)


def relative_dome_difference(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the difference of the domes' heights over the thoracic width.

    Unit: percent, positive if the right dome stands higher. Pixel spacing is not needed; without it the
    pixels are taken as square.
    Source: see `dome_difference` and `ai.measure_heart.thoracic_width`.
    """
    name, domes = "relative dome height difference", _domes(radiograph, segmentation)
    if isinstance(domes, str):
        return NotComputed(name, domes, LUNGS)
    thorax = inner_thorax(radiograph, segmentation)
    if isinstance(thorax, str):
        return NotComputed(name, thorax, domes.structures)
    value = 100 * _share(domes, thorax, radiograph)
    drawings = (domes.drawing, *thorax.drawings)
    structures = tuple(dict.fromkeys(domes.structures + thorax.structures))
    remarks = (domes.remark, BESIDE_HEART, *square_remarks(radiograph))
    return Measurement(name, value, Unit.PERCENT, drawings, structures, remarks)


def square_remarks(radiograph: Radiograph) -> tuple[str, ...]:
    """Return the remark of what compares rows with columns where no pixel spacing is known."""
    return (SQUARE_PIXELS.format(why=radiograph.why_no_spacing),) if radiograph.spacing is None else ()


def _share(domes: Domes, thorax: Width, radiograph: Radiograph) -> float:
    """Return the difference of the domes' heights over the width of the thorax."""
    spacing = radiograph.spacing
    aspect = 1.0 if spacing is None else spacing.row_mm / spacing.column_mm
    return domes.rows * aspect / thorax.pixels


def _domes(radiograph: Radiograph, segmentation: Segmentation) -> Domes | str:
    """Return both domes, or why they cannot be told."""
    reason = not_frontal(radiograph, segmentation)
    reason = reason or missing(segmentation, [*LUNGS, "heart"], top_matters=False)
    reason = reason or heart_implausible(segmentation)
    if reason:
        return reason
    right, left = (dome(segmentation, side) for side in ("right", "left"))
    if isinstance(right, str) or isinstance(left, str):
        return right if isinstance(right, str) else str(left)
    domes = Domes(right, left, border_structures(segmentation))
    thorax = inner_thorax(radiograph, segmentation)
    if isinstance(thorax, Width) and abs(_share(domes, thorax, radiograph)) > MAX_DIFFERENCE:
        share = 100 * abs(_share(domes, thorax, radiograph))
        return f"the diaphragm is implausible: its domes differ by {share:.0f} % of the thoracic width"
    return domes


def border_structures(segmentation: Segmentation) -> tuple[str, ...]:
    """Return the names of the structures whose edge is the border of the diaphragm."""
    known = all(absent(segmentation, name) is None for name in HEMIDIAPHRAGMS)
    return HEMIDIAPHRAGMS if known else LUNGS


def dome(segmentation: Segmentation, side: str) -> Point | str:
    """Return the highest point of the diaphragm beside the heart, or why there is none.

    Args:
        segmentation: With both visible lungs and the heart.
        side: "right" or "left" of the patient.
    """
    lung, heart = segmentation.masks[f"visible lung {side}"], segmentation.masks["heart"]
    border = diaphragm_border(segmentation, side)
    base = lung.left + int(np.median(np.flatnonzero(_lowest(level_edges(lung, "bottom")))))
    beside = slice(base, heart.left) if side == "right" else slice(heart.right, base + 1)
    rows = border[beside]
    if np.count_nonzero(~np.isnan(rows)) < MIN_BASE * (lung.right - lung.left):
        return f"the heart hides the {side} dome of the diaphragm"
    peak = np.flatnonzero(rows == np.nanmin(rows))
    column = beside.start + int(peak[len(peak) // 2])
    return column + 0.5, float(np.nanmin(rows))


def _lowest(edges: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.asarray(edges == np.nanmax(edges))


def diaphragm_border(segmentation: Segmentation, side: str) -> npt.NDArray[np.float64]:
    """Return the row of the diaphragm's border on each column of the image; NaN where no lung lies above."""
    lung = segmentation.masks[f"visible lung {side}"]
    border = np.full(segmentation.shape[1], np.nan)
    border[lung.left : lung.right] = level_edges(lung, "bottom")
    if border_structures(segmentation) == LUNGS:
        return border
    half = segmentation.masks[f"{side} hemidiaphragm"]
    upper = np.full(segmentation.shape[1], np.nan)
    upper[half.left : half.right] = level_edges(half, "top")
    return np.where(np.isnan(border), np.nan, upper)
