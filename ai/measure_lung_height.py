"""Heights of the lungs, from apex to base, and their ratio."""

from ai.availability import length_remarks, lungs, missing, not_frontal
from ai.mask_geometry import vertical_extent
from ai.measure_heart import unfit_for_lengths
from ai.measure_plausibility import lungs_implausible
from ai.measurement import Drawing, Measurement, NotComputed, Unit
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation

HEIGHT_RATIO = (0.5, 2.0)
"""Height of the right lung over that of the left one; of readers' lungs it lies between 0.85 and 1.20 on the
113 films of JSRT, and between 0.78 and 1.80 on the 130 of Wingspan."""


def right_lung_height(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the height of the right lung.

    Definition: the vertical distance from the apex, the highest point of the visible lung, to its lowest
    point, which is the bottom of the costophrenic angle; of the whole lung where the model does not know the
    visible one. Rows that hold less than 2 % of the lung's width are spurs and do not count.
    Unit: mm.
    Source: the distance from apex to diaphragm of Lennon EA, Simon G, The height of the diaphragm in the
    chest radiograph of normal adults, Br J Radiol 38:937 (1965), there to the dome, here to the lowest point.
    """
    return _height("right lung height", lungs(segmentation)[0], radiograph, segmentation)


def left_lung_height(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the height of the left lung, defined as that of the right one.

    Unit: mm.
    """
    return _height("left lung height", lungs(segmentation)[1], radiograph, segmentation)


def lung_height_ratio(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the height of the right lung over that of the left one.

    Unit: 1. Both are counted in rows, so pixel spacing is not needed.
    """
    name, pair = "lung height ratio", lungs(segmentation)
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, pair)
    reason = reason or lungs_implausible(segmentation) or heights_implausible(segmentation)
    if reason:
        return NotComputed(name, reason, pair)
    right, left = (_rows(segmentation, lung) for lung in pair)
    drawings = tuple(_drawing(segmentation, lung) for lung in pair)
    return Measurement(name, right / left, Unit.RATIO, drawings, pair)


def heights_implausible(segmentation: Segmentation) -> str | None:
    """Return why the heights of the lungs cannot both be true; None if they can, or if one is missing."""
    pair = lungs(segmentation)
    if not all(lung in segmentation.masks for lung in pair):
        return None
    right, left = (_rows(segmentation, lung) for lung in pair)
    if HEIGHT_RATIO[0] <= right / left <= HEIGHT_RATIO[1]:
        return None
    return f"the lungs are implausible: the right one is {right / left:.2g} times as high as the left one"


def _height(
    name: str, lung: str, radiograph: Radiograph, segmentation: Segmentation
) -> Measurement | NotComputed:
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, [lung])
    reason = reason or lungs_implausible(segmentation) or heights_implausible(segmentation)
    reason = reason or unfit_for_lengths(radiograph, segmentation)
    if reason or radiograph.spacing is None:
        return NotComputed(name, reason or radiograph.why_no_spacing, (lung,))
    value = _rows(segmentation, lung) * radiograph.spacing.row_mm
    drawing = _drawing(segmentation, lung)
    return Measurement(name, value, Unit.MILLIMETRE, (drawing,), (lung,), length_remarks(radiograph))


def _rows(segmentation: Segmentation, lung: str) -> float:
    """Return the height of a lung in rows."""
    apex, base = vertical_extent(segmentation.masks[lung])
    return base[1] - apex[1]


def _drawing(segmentation: Segmentation, lung: str) -> Drawing:
    """Return the line from the apex straight down to the level of the lowest point."""
    apex, base = vertical_extent(segmentation.masks[lung])
    return Drawing(f"height of {lung}", (apex, (apex[0], base[1])))
