"""Projected areas of lungs and heart."""

from ai.availability import length_remarks, lungs, missing, not_frontal, view_remarks
from ai.mask_geometry import outlines
from ai.measure_heart import heart_unchecked, unfit_for_lengths
from ai.measure_plausibility import heart_implausible, lungs_implausible
from ai.measurement import Drawing, Measurement, NotComputed, Unit
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation

SQUARE_MM_PER_SQUARE_CM = 100.0


def right_lung_area(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the projected area of the right lung.

    Definition: the pixels of the visible lung (without what lies behind heart, mediastinum and diaphragm), or
    of the whole lung where the model does not know the visible one; `structures` tells which. Drawn as its
    outline.
    Unit: cm2.
    """
    return _area("right lung area", lungs(segmentation)[0], radiograph, segmentation)


def left_lung_area(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the projected area of the left lung, defined as that of the right one.

    Unit: cm2.
    """
    return _area("left lung area", lungs(segmentation)[1], radiograph, segmentation)


def lung_area_ratio(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the area of the right lung over that of the left one.

    Unit: 1. Both areas are counted in pixels, so pixel spacing is not needed.
    """
    name, pair = "lung area ratio", lungs(segmentation)
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, pair)
    reason = reason or lungs_implausible(segmentation)
    if reason:
        return NotComputed(name, reason, pair)
    right, left = (segmentation.masks[lung].area for lung in pair)
    drawings = (*_drawings(pair[0], segmentation), *_drawings(pair[1], segmentation))
    return Measurement(name, right / left, Unit.RATIO, drawings, pair)


def heart_area(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the projected area of the heart, drawn as its outline.

    Unit: cm2.
    """
    return _area("heart area", "heart", radiograph, segmentation)


def _area(
    name: str, structure: str, radiograph: Radiograph, segmentation: Segmentation
) -> Measurement | NotComputed:
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, [structure])
    judge = heart_implausible if structure == "heart" else lungs_implausible
    reason = reason or judge(segmentation) or unfit_for_lengths(radiograph, segmentation)
    if structure == "heart":
        reason = reason or heart_unchecked(radiograph, segmentation)
    if reason is None and radiograph.spacing is None:
        reason = radiograph.why_no_spacing
    if reason or radiograph.spacing is None:
        return NotComputed(name, reason or radiograph.why_no_spacing, (structure,))
    pixel = radiograph.spacing.row_mm * radiograph.spacing.column_mm / SQUARE_MM_PER_SQUARE_CM
    value = segmentation.masks[structure].area * pixel
    remarks = length_remarks(radiograph) + (view_remarks(radiograph) if structure == "heart" else ())
    return Measurement(
        name, value, Unit.SQUARE_CENTIMETRE, _drawings(structure, segmentation), (structure,), remarks
    )


def _drawings(structure: str, segmentation: Segmentation) -> tuple[Drawing, ...]:
    paths = outlines(segmentation.masks[structure])
    return tuple(Drawing(f"outline of {structure}", path, closed=True) for path in paths)
