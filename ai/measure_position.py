"""How the patient stood and breathed: ribs above the diaphragm, and clavicles about the spine."""

import numpy as np
import numpy.typing as npt

from ai.availability import absent, missing, not_frontal
from ai.mask_geometry import Point, horizontal_extent
from ai.measure_airway import NOT_COMPARED
from ai.measure_diaphragm import LUNGS, border_structures, diaphragm_border
from ai.measure_heart import inner_thorax
from ai.measure_plausibility import lungs_implausible
from ai.measurement import DIGITS, Drawing, Measurement, NotComputed, Unit
from ai.radiograph import Radiograph
from ai.segmentation import Mask, Segmentation
from ai.spine_line import spine_line

ORDINALS = ("1st", "2nd", "3rd", *(f"{number}th" for number in range(4, 13)))
CLAVICLES = ("clavicle right", "clavicle left")

CLAVICLE_RATIO = (0.5, 2.0)
"""Width of the right clavicle over that of the left one; readers' lie between 0.77 and 1.33 (JSRT)."""

CLAVICLE_GAP = (0.02, 0.4)
"""Distance of the clavicles' medial ends from each other, over the width of the thorax; readers' lie between
0.098 and 0.182 (113 films of JSRT)."""


UNEVEN = 2.0
"""So many times as far from the spine as the other one a clavicle may end: films turned further are taken
anew, and a mask that is wrong at its end soon gives as much."""


def posterior_ribs(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return how many posterior right ribs lie above the diaphragm.

    Definition: the ribs, counted from the first, whose middle lies above the border of the right
    hemidiaphragm, both on the column through the middle of the right clavicle; where a rib does not reach
    that column, both on its nearest one. Every rib down to the first one below the border must have been
    found, each with its centre of area below that of the one before.
    Unit: a count.
    Source: European Guidelines on Quality Criteria for Diagnostic Radiographic Images, EUR 16260 (1996): full
    inspiration shows 10 posterior ribs or 6 anterior ones above the diaphragm.
    """
    names = tuple(f"posterior {ordinal} rib right" for ordinal in ORDINALS)
    return _ribs("posterior ribs above the diaphragm", names, radiograph, segmentation)


def anterior_ribs(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return how many anterior right ribs lie above the diaphragm, counted as in `posterior_ribs`.

    Unit: a count. The twelfth rib has no anterior part.
    """
    names = tuple(f"anterior {ordinal} rib right" for ordinal in ORDINALS[:-1])
    return _ribs("anterior ribs above the diaphragm", names, radiograph, segmentation)


def clavicle_asymmetry(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return how unevenly the medial ends of the clavicles lie about the spine: a sign of rotation.

    Definition: (R - L) / (R + L), where R and L are the horizontal distances of the medial ends of the right
    and the left clavicle from the middle of the spine (`ai.spine_line`) on the row of each.
    Unit: percent, positive if the right clavicle ends further from the spine; pixel spacing is not needed.
    Source: EUR 16260 (see `posterior_ribs`): the medial ends of the clavicles lie at the same distance from
    the spinous processes.
    """
    name = "clavicle asymmetry"
    reason = _unfit(radiograph, segmentation) or missing(segmentation, CLAVICLES)
    spine = reason or spine_line(segmentation)
    if isinstance(spine, str):
        return NotComputed(name, spine, CLAVICLES)
    masks = [segmentation.masks[clavicle] for clavicle in CLAVICLES]
    ends = horizontal_extent(masks[0]).right, horizontal_extent(masks[1]).left
    middles = spine.at(np.array([end[1] for end in ends]))
    right, left = float(middles[0]) - ends[0][0], ends[1][0] - float(middles[1])
    structures = (*CLAVICLES, *spine.structures)
    reason = _odd_clavicles(masks, right, left) or _odd_gap(radiograph, segmentation, right + left)
    if reason:
        return NotComputed(name, reason, structures)
    drawings = (
        Drawing("right clavicle to the spine", (ends[0], (float(middles[0]), ends[0][1]))),
        Drawing("left clavicle to the spine", ((float(middles[1]), ends[1][1]), ends[1])),
    )
    value = 100 * (right - left) / (right + left)
    rounded = round(value, DIGITS[Unit.PERCENT])
    further = "right" if rounded > 0 else "left"
    told = (f"the {further} clavicle ends further from the spine",) if rounded else ()
    remarks = (*told, NOT_COMPARED)
    return Measurement(name, value, Unit.PERCENT, drawings, structures, remarks)


def _unfit(radiograph: Radiograph, segmentation: Segmentation) -> str | None:
    """Return why nothing is told about how the patient stood: the view, or the lungs."""
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, LUNGS, top_matters=False)
    return reason or lungs_implausible(segmentation)


def _odd_clavicles(masks: list[Mask], right: float, left: float) -> str | None:
    """Return why the distances of the medial ends from the spine cannot be believed; None if they can."""
    if np.isnan(right + left):
        return "the spine was not found beside the medial ends of the clavicles"
    if right <= 0 or left <= 0:
        return "a clavicle ends beyond the middle of the spine: strongly rotated, or a mask is wrong"
    if max(right, left) > UNEVEN * min(right, left):
        told = f"one clavicle ends over {UNEVEN:g} times as far from the spine as the other"
        return f"{told}: rotated, or a mask is wrong"
    ratio = masks[0].pixels.shape[1] / masks[1].pixels.shape[1]
    if CLAVICLE_RATIO[0] <= ratio <= CLAVICLE_RATIO[1]:
        return None
    return f"the clavicles are implausible: the right one is {ratio:.2g} times as wide as the left one"


def _odd_gap(radiograph: Radiograph, segmentation: Segmentation, gap: float) -> str | None:
    thorax = inner_thorax(radiograph, segmentation)
    if isinstance(thorax, str):
        return f"the clavicles cannot be checked against the thorax: {thorax}"
    share = gap / thorax.pixels
    if CLAVICLE_GAP[0] <= share <= CLAVICLE_GAP[1]:
        return None
    return f"the clavicles are implausible: their ends lie {share:.2g} of the thoracic width apart"


def _ribs(
    name: str, names: tuple[str, ...], radiograph: Radiograph, segmentation: Segmentation
) -> Measurement | NotComputed:
    reason = _unfit(radiograph, segmentation) or missing(segmentation, CLAVICLES[:1])
    if reason:
        return NotComputed(name, reason, names[:1])
    extent = horizontal_extent(segmentation.masks[CLAVICLES[0]])
    column = int((extent.left[0] + extent.right[0]) / 2)
    border = diaphragm_border(segmentation, "right")
    if np.isnan(border[column]):
        return NotComputed(name, "the right clavicle's middle does not lie above the right lung", names[:1])
    ribs = _ribs_above(segmentation, names, column, border)
    if isinstance(ribs, str):
        return NotComputed(name, ribs, names[:1])
    structures = (*names[: len(ribs)], border_structures(segmentation)[0])
    drawing = Drawing(name, (*ribs, (column + 0.5, float(border[column]))))
    return Measurement(name, float(len(ribs)), Unit.COUNT, (drawing,), structures)


def _ribs_above(
    segmentation: Segmentation, names: tuple[str, ...], column: int, border: npt.NDArray[np.float64]
) -> list[Point] | str:
    """Return where the ribs above the border lie on a column, or why they cannot be counted."""
    points: list[Point] = []
    above = -np.inf
    for name in names:
        reason = absent(segmentation, name)
        if reason:
            return reason
        mask = segmentation.masks[name]
        point, centre = _nearest(mask, column), mask.centroid[1]
        if centre <= above:
            return "the ribs do not lie in their order"
        edge = border[int(point[0])]
        if np.isnan(edge):  # beside the lung: it counts where it is clear of all of the border
            if np.nanmin(border) <= point[1] < np.nanmax(border):
                return f"{name} ends beside the right lung, on the level of its base"
            edge = np.nanmin(border)
        if point[1] >= edge:
            return points or "no rib lies above the right hemidiaphragm"
        points.append(point)
        above = centre
    return "no rib was found below the right hemidiaphragm"


def _nearest(mask: Mask, column: int) -> Point:
    """Return the middle of a mask on a column of the image, or on its nearest column."""
    at = min(max(column, mask.left), mask.right - 1) - mask.left
    filled = np.flatnonzero(mask.pixels.any(axis=0))
    nearest = int(filled[np.abs(filled - at).argmin()])
    row = float(np.flatnonzero(mask.pixels[:, nearest]).mean()) + mask.top + 0.5
    return nearest + mask.left + 0.5, row
