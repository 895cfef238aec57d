"""Projected areas of lungs and heart."""

from collections.abc import Iterable

from ai.availability import length_remarks, lungs, missing, not_frontal, trusted_part, view_remarks
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


def areas(radiograph: Radiograph, segmentation: Segmentation, names: Iterable[str]) -> dict[str, float | str]:
    """Return the projected area of each structure in cm2, or why there is none, in words.

    Lungs and heart have one under the conditions of their measurements. Any other structure has one where
    it is whole and trusted, in a frontal view whose lengths may be given.
    """
    trusted = trusted_part(segmentation)
    unfit = unfit_for_lengths(radiograph, trusted)
    return {name: _square_cm(name, radiograph, trusted, unfit) for name in names}


def _area(
    name: str, structure: str, radiograph: Radiograph, segmentation: Segmentation
) -> Measurement | NotComputed:
    unfit = unfit_for_lengths(radiograph, segmentation)
    value = _square_cm(structure, radiograph, segmentation, unfit)
    if isinstance(value, str):
        return NotComputed(name, value, (structure,))
    remarks = length_remarks(radiograph) + (view_remarks(radiograph) if structure == "heart" else ())
    return Measurement(
        name, value, Unit.SQUARE_CENTIMETRE, _drawings(structure, segmentation), (structure,), remarks
    )


def _square_cm(
    structure: str, radiograph: Radiograph, segmentation: Segmentation, unfit: str | None
) -> float | str:
    """Return the area of a structure in cm2, or why there is none; `unfit`: why no length may be given."""
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, [structure])
    if reason is None and structure in lungs(segmentation):
        reason = lungs_implausible(segmentation)
    if reason is None and structure == "heart":
        reason = heart_implausible(segmentation) or heart_unchecked(radiograph, segmentation)
    reason = reason or unfit
    if reason or radiograph.spacing is None:
        return reason or radiograph.why_no_spacing
    pixel = radiograph.spacing.row_mm * radiograph.spacing.column_mm / SQUARE_MM_PER_SQUARE_CM
    return segmentation.masks[structure].area * pixel


def _drawings(structure: str, segmentation: Segmentation) -> tuple[Drawing, ...]:
    paths = outlines(segmentation.masks[structure])
    return tuple(Drawing(f"outline of {structure}", path, closed=True) for path in paths)
