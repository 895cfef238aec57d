"""Widths of the upper mediastinum and of the aortic arch."""

from dataclasses import dataclass

import numpy as np

from ai.airway import Trachea, bifurcation_misplaced, trachea
from ai.availability import length_remarks, missing, not_frontal
from ai.mask_geometry import Extent, outer_edges
from ai.measure_diaphragm import LUNGS
from ai.measure_heart import Width, inner_thorax, unfit_for_lengths
from ai.measure_plausibility import lungs_implausible
from ai.measurement import Drawing, Measurement, NotComputed, Unit
from ai.radiograph import Radiograph, View
from ai.segmentation import Segmentation

ARCH_FRACTION = 0.65
"""How far the middle of the aortic arch lies on the way from the apices of the lungs down to the carina.
Measured on projections of three CT volumes (127 frontal views, bent and turned at random): 0.64, 0.65 and
0.66 on average, standard deviation 0.04 at most; the arch reaches from 0.43 to 0.85."""

LOWEST_ARCH = 0.5
"""The level does not lie below this share of the way from the apices to the bottom of the lungs: the arch
stands at the fourth thoracic vertebra, in the upper half of the chest (Gray's Anatomy)."""

MEDIASTINUM_TO_THORAX = (0.04, 0.6)
"""Width of the mediastinum over that of the thorax. Between readers' lungs, 15 to 40 % of their height below
the apices, it lies between 0.049 and 0.364 (243 films of JSRT and Wingspan)."""

MAX_ARCH_TO_THORAX = 0.4
"""Largest width of the aortic arch over that of the thorax, our choice: about 115 mm."""

MAX_KNOB_GAP = 0.03
"""Largest distance of the arch's lateral border from the left lung's medial one, in widths of the thorax: the
knob is seen because lung lies beside it. Of the default model's arches on 67 films of JSRT and Wingspan,
64 lie within 0.015; in the other three it is 0.048 or more, and the mask lies beside the knob."""


@dataclass(frozen=True)
class Level:
    """The row on which the mediastinum is measured, and what told it."""

    row: int
    structure: str
    remarks: tuple[str, ...] = ()


def mediastinal_width(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the width of the upper mediastinum at the level of the aortic arch.

    Definition: the horizontal distance of the medial edges of the visible lungs on the middle row of the
    aortic arch. Where the arch is not known, on the row that lies ARCH_FRACTION of the way from the apices of
    the lungs to the carina, which the remark tells.
    Unit: mm.
    Source: Seltzer SE, D'Orsi C, Kirshner R, DeWeese JA, Traumatic aortic rupture: plain radiographic
    findings, AJR 137:1011 (1981).
    """
    name = "mediastinal width"
    found = _mediastinum(radiograph, segmentation)
    if isinstance(found, str):
        return NotComputed(name, found, LUNGS)
    width, level = found
    reason = unfit_for_lengths(radiograph, segmentation)
    if reason or radiograph.spacing is None:
        return NotComputed(name, reason or radiograph.why_no_spacing, width.structures)
    value = width.pixels * radiograph.spacing.column_mm
    remarks = (*level.remarks, *_magnified(radiograph), *length_remarks(radiograph))
    return Measurement(name, value, Unit.MILLIMETRE, width.drawings, width.structures, remarks)


def mediastinal_ratio(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the width of the upper mediastinum over the inner width of the thorax.

    Unit: 1. Both widths are horizontal, so pixel spacing is not needed.
    Source: after the mediastinal-width to chest-width ratio of Seltzer 1981, see `mediastinal_width`; the
    width of the thorax is that of `ai.measure_heart.thoracic_width`, on the widest row.
    """
    name = "mediastinal ratio"
    found, thorax = _mediastinum(radiograph, segmentation), inner_thorax(radiograph, segmentation)
    if isinstance(found, str):
        return NotComputed(name, found, LUNGS)
    width, level = found
    if isinstance(thorax, str):
        return NotComputed(name, thorax, width.structures)
    drawings, remarks = width.drawings + thorax.drawings, (*level.remarks, *_magnified(radiograph))
    return Measurement(name, width.pixels / thorax.pixels, Unit.RATIO, drawings, width.structures, remarks)


def aortic_arch_width(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the width of the aortic arch (aortic knob).

    Definition: the largest horizontal distance, on any one row, from the trachea's border on the patient's
    left to the lateral border of the aortic arch.
    Unit: mm.
    Source: the aortic knob width as it is customary, such as in Halilu et al., The usefulness of aortic arch
    width measurements on chest radiographs, North Niger J Clin Res 7:51 (2018).
    """
    name, structures = "aortic arch width", ("aortic arch", "trachea")
    width = _arch(radiograph, segmentation)
    if isinstance(width, str):
        return NotComputed(name, width, structures)
    reason = unfit_for_lengths(radiograph, segmentation)
    if reason or radiograph.spacing is None:
        return NotComputed(name, reason or radiograph.why_no_spacing, structures)
    value = width.pixels * radiograph.spacing.column_mm
    remarks = (*_magnified(radiograph), *length_remarks(radiograph))
    return Measurement(name, value, Unit.MILLIMETRE, width.drawings, structures, remarks)


def _mediastinum(radiograph: Radiograph, segmentation: Segmentation) -> tuple[Width, Level] | str:
    """Return the mediastinum's width and the level where it was taken, or why there is none."""
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, LUNGS)
    reason = reason or lungs_implausible(segmentation)
    level = reason or _level(radiograph, segmentation)
    if isinstance(level, str):
        return level
    right, left = (segmentation.masks[name] for name in LUNGS)
    if not all(lung.top <= level.row < lung.bottom for lung in (right, left)):
        return "the level of the aortic arch lies beside the lungs"
    medial = (
        outer_edges(right, "right")[level.row - right.top],
        outer_edges(left, "left")[level.row - left.top],
    )
    extent = Extent(*((float(column), level.row + 0.5) for column in medial))
    line = Drawing("mediastinal width", (extent.left, extent.right))
    width = Width(extent.width, extent, (line,), (*LUNGS, level.structure))
    return _odd_width(radiograph, segmentation, width) or (width, level)


def _odd_width(radiograph: Radiograph, segmentation: Segmentation, width: Width) -> str | None:
    thorax = inner_thorax(radiograph, segmentation)
    if isinstance(thorax, str):
        return f"the mediastinum cannot be checked against the thorax: {thorax}"
    ratio = width.pixels / thorax.pixels
    if MEDIASTINUM_TO_THORAX[0] <= ratio <= MEDIASTINUM_TO_THORAX[1]:
        return None
    return f"the mediastinum is implausible: it would have {ratio:.2f} of the thoracic width"


def _level(radiograph: Radiograph, segmentation: Segmentation) -> Level | str:
    """Return where the mediastinum is measured, or why that is not known."""
    masks = [segmentation.masks[name] for name in LUNGS]
    apices, bottom = sum(mask.top for mask in masks) / 2, max(mask.bottom for mask in masks)
    arch, carina = (missing(segmentation, [name]) for name in ("aortic arch", "tracheal bifurcation"))
    arch = arch or _misplaced(radiograph, segmentation)
    carina = carina or bifurcation_misplaced(segmentation)
    if arch is None:
        level = Level(int(segmentation.masks["aortic arch"].centroid[1]), "aortic arch")
    elif carina is None:
        split = segmentation.masks["tracheal bifurcation"].centroid[1]
        told = f"the level is {ARCH_FRACTION:.0%} of the way from the apices to the carina: {arch}"
        level = Level(int(apices + ARCH_FRACTION * (split - apices)), "tracheal bifurcation", (told,))
    else:
        return f"the level of the aortic arch is not known: {arch}; {carina}"
    if apices < level.row < apices + LOWEST_ARCH * (bottom - apices):
        return level
    return f"{level.structure} is implausible: it does not lie in the upper half of the chest"


def _arch(radiograph: Radiograph, segmentation: Segmentation) -> Width | str:
    """Return the width of the aortic arch, or why there is none."""
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, [*LUNGS, "aortic arch"])
    reason = reason or lungs_implausible(segmentation) or _misplaced(radiograph, segmentation)
    level = reason or _level(radiograph, segmentation)
    if isinstance(level, str):
        return level
    airway = trachea(segmentation, radiograph.spacing)
    if isinstance(airway, str):
        return airway
    extent = _knob(airway, segmentation)
    if isinstance(extent, str):
        return extent
    width = Width(extent.width, extent, (Drawing("aortic arch width", (extent.left, extent.right)),), ())
    thorax = inner_thorax(radiograph, segmentation)
    if isinstance(thorax, str):
        return f"the aortic arch cannot be checked against the thorax: {thorax}"
    if width.pixels > MAX_ARCH_TO_THORAX * thorax.pixels:
        return f"the aortic arch is implausible: {width.pixels / thorax.pixels:.2f} of the thoracic width"
    return width


def _misplaced(radiograph: Radiograph, segmentation: Segmentation) -> str | None:
    """Return why the arch, which was found, is not the knob; None if it is, or if that cannot be checked."""
    airway, thorax = trachea(segmentation, radiograph.spacing), inner_thorax(radiograph, segmentation)
    if isinstance(airway, str) or isinstance(thorax, str):
        return None
    knob = _knob(airway, segmentation)
    if isinstance(knob, str):
        return None
    lung, (column, row) = segmentation.masks[LUNGS[1]], knob.right
    if lung.top <= row < lung.bottom:
        gap = abs(outer_edges(lung, "left")[int(row) - lung.top] - column)
        if gap <= MAX_KNOB_GAP * thorax.pixels:
            return None
    return "the aortic arch is implausible: its lateral border does not lie beside the left lung"


def _knob(airway: Trachea, segmentation: Segmentation) -> Extent | str:
    """Return the widest line from the trachea to the lateral border of the arch."""
    arch = segmentation.masks["aortic arch"]
    lateral = np.full(segmentation.shape[0], np.nan)
    lateral[arch.top : arch.bottom] = outer_edges(arch, "right")
    rows = airway.rows.astype(int)
    widths = lateral[rows] - airway.left
    if np.count_nonzero(~np.isnan(widths)) < (arch.bottom - arch.top) / 2:
        return "the trachea was not found beside most of the aortic arch"
    widest = int(np.nanargmax(widths))
    if widths[widest] <= 0:
        return "the aortic arch does not lie on the left of the trachea"
    row = rows[widest] + 0.5
    return Extent((float(airway.left[widest]), row), (float(lateral[rows[widest]]), row))


def _magnified(radiograph: Radiograph) -> tuple[str, ...]:
    """Return what the view does to the mediastinum."""
    if radiograph.view is View.AP:
        return ("view AP: the mediastinum is magnified",)
    if radiograph.view is View.UNKNOWN:
        return ("the view is not stated: in an AP view the mediastinum is magnified",)
    return ()
