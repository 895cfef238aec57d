"""Widths of heart and thorax, and the cardiothoracic ratio."""

from dataclasses import dataclass

import numpy as np

from ai.availability import length_remarks, lungs, missing, not_frontal, view_remarks
from ai.mask_geometry import Extent, horizontal_extent, outer_edges
from ai.measure_plausibility import (
    heart_implausible,
    lungs_implausible,
    ratio_implausible,
    spine_misplaced,
    thorax_implausible,
)
from ai.measurement import Drawing, Measurement, NotComputed, Unit
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation


@dataclass(frozen=True)
class Width:
    """A horizontal distance in pixels with the lines that make it up."""

    pixels: float
    extent: Extent
    drawings: tuple[Drawing, ...]
    structures: tuple[str, ...]


def cardiothoracic_ratio(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the largest width of the heart over the largest inner width of the thorax.

    Definition: (MRD + MLD) / ID, where MRD and MLD are the largest horizontal distances of the right and the
    left border of the heart from the midline, and ID is the inner diameter of the thorax (see
    `thoracic_width`).
    Unit: 1. Both widths are horizontal, so pixel spacing is not needed.
    Source: Danzer CS, The cardiothoracic ratio, Am J Med Sci 157:513 (1919).
    """
    name = "cardiothoracic ratio"
    heart, thorax = _heart(radiograph, segmentation), inner_thorax(radiograph, segmentation)
    if isinstance(heart, str):
        return NotComputed(name, heart, ("heart", *lungs(segmentation)))
    if isinstance(thorax, str):
        return NotComputed(name, thorax, ("heart", *lungs(segmentation)))
    structures = (*heart.structures, *thorax.structures)
    reason = ratio_implausible(heart.pixels, thorax.pixels)
    if reason:
        return NotComputed(name, reason, structures)
    ratio, drawings = heart.pixels / thorax.pixels, heart.drawings + thorax.drawings
    return Measurement(name, ratio, Unit.RATIO, drawings, structures, view_remarks(radiograph))


def heart_width(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the largest width of the heart: MRD + MLD of the cardiothoracic ratio.

    Unit: mm.
    Source: Danzer 1919, see `cardiothoracic_ratio`.
    """
    width = unfit_for_lengths(radiograph, segmentation) or _heart(radiograph, segmentation)
    if isinstance(width, Width):
        width = heart_unchecked(radiograph, segmentation) or width
    return _in_mm("heart width", radiograph, width, view_remarks(radiograph))


def thoracic_width(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the largest inner width of the thorax.

    Definition: the largest horizontal distance, on any one row, between the lateral edges of the right and
    the left lung (the visible lungs where the model knows them), which run along the inner border of the
    ribs. Both lungs must have the row. A median along the edges removes spurs.
    Unit: mm.
    Source: the inner diameter of Danzer 1919; taken on the widest row, as CXAS does, for the level of the
    right dome of the diaphragm is often hidden.
    """
    width = unfit_for_lengths(radiograph, segmentation) or inner_thorax(radiograph, segmentation)
    return _in_mm("thoracic width", radiograph, width, ())


def unfit_for_lengths(radiograph: Radiograph, segmentation: Segmentation) -> str | None:
    """Return why no length or area should be made of lungs and heart; None if it may.

    The widths refute each other, or the thorax is no adult's. Where a width cannot be had, it is not judged.
    """
    heart, thorax = _heart(radiograph, segmentation), inner_thorax(radiograph, segmentation)
    if isinstance(heart, Width) and isinstance(thorax, Width):
        reason = ratio_implausible(heart.pixels, thorax.pixels)
        if reason:
            return reason
    return unfit_spacing(radiograph, segmentation)


def heart_unchecked(radiograph: Radiograph, segmentation: Segmentation) -> str | None:
    """Return why the heart's size cannot be held against that of the thorax; None if it can."""
    thorax = inner_thorax(radiograph, segmentation)
    return f"the heart cannot be checked against the thorax: {thorax}" if isinstance(thorax, str) else None


def unfit_spacing(radiograph: Radiograph, segmentation: Segmentation) -> str | None:
    """Return why no millimetres should be given: the thorax is no adult's; None if they may."""
    thorax = inner_thorax(radiograph, segmentation)
    return None if isinstance(thorax, str) else thorax_implausible(thorax.pixels, radiograph.spacing)


def _in_mm(
    name: str, radiograph: Radiograph, width: Width | str, remarks: tuple[str, ...]
) -> Measurement | NotComputed:
    if isinstance(width, str):
        return NotComputed(name, width)
    if radiograph.spacing is None:
        return NotComputed(name, radiograph.why_no_spacing, width.structures)
    value = width.pixels * radiograph.spacing.column_mm
    remarks += length_remarks(radiograph)
    return Measurement(name, value, Unit.MILLIMETRE, width.drawings, width.structures, remarks)


def _heart(radiograph: Radiograph, segmentation: Segmentation) -> Width | str:
    """Return the heart's width, or why there is none."""
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, ["heart"], top_matters=False)
    reason = reason or heart_implausible(segmentation)
    if reason:
        return reason
    extent = horizontal_extent(segmentation.masks["heart"])
    middle = midline(segmentation)
    if middle is None or not extent.left[0] < middle < extent.right[0]:
        row = segmentation.masks["heart"].centroid[1]
        lines: tuple[Drawing, ...] = (
            Drawing("heart width", ((extent.left[0], row), (extent.right[0], row))),
        )
    else:
        lines = (
            Drawing("maximal right heart distance", (extent.left, (middle, extent.left[1]))),
            Drawing("maximal left heart distance", ((middle, extent.right[1]), extent.right)),
        )
    return Width(extent.width, extent, lines, ("heart",))


def inner_thorax(radiograph: Radiograph, segmentation: Segmentation) -> Width | str:
    """Return the inner width of the thorax as `thoracic_width` defines it, or why there is none."""
    right, left = lungs(segmentation)
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, [right, left], top_matters=False)
    reason = reason or lungs_implausible(segmentation)
    if reason:
        return reason
    right_edge, left_edge = (np.full(segmentation.shape[0], np.nan) for _ in range(2))
    for edges, name, side in ((right_edge, right, "left"), (left_edge, left, "right")):
        mask = segmentation.masks[name]
        edges[mask.top : mask.bottom] = outer_edges(mask, side)
    widths = left_edge - right_edge
    if np.isnan(widths).all():
        return f"{right} and {left} have no row in common"
    widest = np.flatnonzero(widths == np.nanmax(widths))
    row = int(widest[len(widest) // 2])
    extent = Extent((float(right_edge[row]), row + 0.5), (float(left_edge[row]), row + 0.5))
    line = Drawing("inner thoracic width", (extent.left, extent.right))
    return Width(extent.width, extent, (line,), (right, left))


def midline(segmentation: Segmentation) -> float | None:
    """Return the column of the patient's midline: the median of the thoracic vertebrae's centres.

    Where those are not known, or lie beside the lungs' middle, it is the middle between the centres of the
    lungs; None without either.
    """
    masks = segmentation.masks
    centres = np.array([masks[name].centroid[0] for name in masks if name.startswith("vertebrae T")])
    if centres.size and spine_misplaced(segmentation, centres) is None:
        return float(np.median(centres))
    pair = lungs(segmentation)
    if all(name in masks for name in pair):
        return sum(masks[name].centroid[0] for name in pair) / 2
    return None
