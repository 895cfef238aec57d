"""Ribs are counted where they leave the spine: their cross-sections in sagittal planes, from the top.

A rib looks like the next one, so a registration may well lay it on its neighbour. But some 5 cm beside the
spine the twelve ribs of a side lie one below the other, and nothing else as dense lies between them. The
first is known by its place: it leaves the spine much further forward than the second.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.float64]

DENSE_HU = 170
"""Of bone after light smoothing; strongly enhanced vessels are denser, too."""

SMOOTHING_VOXELS = 0.6

MIN_PIECE_ML = 1.0

RIBS = 12
SIDES = ("right", "left")

PLANES_MM = (48.0, 51.0, 54.0, 57.0, 60.0)
"""Beside the middle of the spine: beyond the transverse processes, before the shoulder blades."""

IN_FRONT_MM = 30.0
"""What lies further in front of the spine is a clavicle, or the front end of a rib."""

FIRST_FORWARD_MM = 12.0
"""So much further forward than the second rib the first one leaves the spine, at least."""

SECTION_MM2 = (22.0, 700.0)
"""Area of a rib's cross-section; a larger one is a shoulder blade, or contrast."""

SAME_RIB_MM = 14.0
"""Cross-sections of one rib in neighbouring planes lie no further apart."""

TOP_SLICES = 2
"""Lungs that reach so near to the upper edge are cut, and the first rib may be missing."""

LEVEL_MM = 15.0
"""Ribs of one number lie no further apart in height, left and right, in the mean of all."""

FIRST_STEP, NEXT_STEP, LAST_STEP = 0.8, 1.3, 1.8
"""Steps between ribs grow downwards. The first is at most so much of the second; others are at most so many
times the next one, and the one before. In four CTs they were at most 0.6, 1.25 and 1.6 times those; where a
rib is left out they are about twice."""

FORWARD_MM = 8.0
"""Only the first rib lies so far in front of the spine's middle where it is counted."""

SAME_WAY_RAD, BEHIND_MM = 0.07, 8.0
"""A cross-section in the same direction as another, and so far behind it, is a shoulder blade."""

UP_RAD = -0.6
"""Towards the front, the angle up to which a cross-section may belong to the first rib."""


@dataclass(frozen=True, eq=False)
class SpineAxis:
    """Where the spine's bone lies in each slice.

    Attributes:
        rows: Of its middle, by slice.
        columns: Likewise.
    """

    rows: Places
    columns: Places


@dataclass(frozen=True, eq=False)
class Section:
    """A cross-section of a bone in a sagittal plane.

    Attributes:
        centre: Slice and row.
        places: (n, 3) slices, rows, columns of its voxels.
    """

    centre: tuple[float, float]
    places: npt.NDArray[np.intp]


def dense(volume: CtVolume, inside: Mask) -> Mask:
    """Return what is as dense as bone, without crumbs.

    Args:
        volume: The CT.
        inside: The body, without table.
    """
    smooth = ndimage.gaussian_filter(volume.hu.astype(np.float32), SMOOTHING_VOXELS)
    pieces, _ = ndimage.label((smooth > DENSE_HU) & inside)
    large = np.bincount(pieces.ravel()) * volume.spacing_mm**3 / 1000 >= MIN_PIECE_ML
    large[0] = False
    return np.asarray(large[pieces])


def spine_axis(bone: Mask, lungs: Mask) -> SpineAxis:
    """Return the middle of the dense voxels between the lungs, followed up and down from their centre.

    Args:
        bone: Dense voxels.
        lungs: Both lungs.
    """
    centre = centre_of(lungs)
    half, reach = 27, 30
    rows, columns = (np.full(len(bone), centre[axis]) for axis in (1, 2))
    middle = int(centre[0])
    for order in (range(middle, -1, -1), range(middle + 1, len(bone))):
        row, column = None, centre[2]
        for z in order:
            left, top = (
                max(0, int(column) - half),
                int(centre[1]) if row is None else max(0, int(row) - reach),
            )
            bottom = bone.shape[1] if row is None else int(row) + reach
            found = np.nonzero(bone[z, top:bottom, left : int(column) + half])
            if found[0].size > 40:
                row = _eased(row, top + float(np.median(found[0])))
                column = _eased(column, left + float(np.median(found[1])))
            rows[z], columns[z] = centre[1] if row is None else row, column
    return SpineAxis(ndimage.gaussian_filter1d(rows, 5), ndimage.gaussian_filter1d(columns, 5))


def _eased(old: float | None, new: float) -> float:
    return new if old is None else 0.8 * old + 0.2 * new


def centre_of(mask: Mask) -> Places:
    """Return the centre of mass, from sums along the axes: no list of all voxels is made."""
    sums = [mask.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
    return np.array([float(each @ np.arange(each.size)) / max(float(each.sum()), 1.0) for each in sums])


def numbered_sections(bone: Mask, lungs: Mask, axis: SpineAxis, spacing_mm: float) -> npt.NDArray[np.uint8]:
    """Return the ribs' cross-sections beside the spine: 1 to 12 on the right, 13 to 24 on the left, else 0.

    Raises:
        LabellerError: If the ribs cannot be counted: the lungs are cut above, the planes do not agree, the
            first cross-section does not lie where a first rib leaves the spine, steps from rib to rib are
            uneven, or left and right are counted differently.
    """
    if lungs[-TOP_SLICES:].any():
        raise LabellerError("the ribs cannot be counted: the lungs' tops are not in the volume")
    numbers = np.zeros(bone.shape, np.uint8)
    heights: list[dict[int, float]] = []
    for side, name in enumerate(SIDES):
        sign = -1 if name == "right" else 1
        planes = [
            _sections(bone, axis, sign * offset / spacing_mm, centre_of(lungs), spacing_mm)
            for offset in PLANES_MM
        ]
        counted = _agreed(planes, name, spacing_mm)
        for rib, section in counted:
            numbers[tuple(section.places.T)] = rib + RIBS * side
        heights.append({rib: section.centre[0] for rib, section in counted})
        _check_first(planes, axis, name, spacing_mm)
    _check_sides(heights, spacing_mm)
    return numbers


def _sections(bone: Mask, axis: SpineAxis, offset: float, centre: Places, spacing_mm: float) -> list[Section]:
    """Return the cross-sections behind the spine's front, ordered around the lungs' centre from the top."""
    columns = np.rint(axis.columns + offset).astype(int)
    inside = (columns >= 1) & (columns < bone.shape[2] - 1)
    plane = np.zeros(bone.shape[:2], np.bool_)
    for z in np.flatnonzero(inside).tolist():
        plane[z] = bone[z, :, columns[z] - 1 : columns[z] + 2].sum(axis=1) >= 2
    plane &= np.arange(bone.shape[1]) > (axis.rows - IN_FRONT_MM / spacing_mm)[:, None]
    filled = ndimage.binary_fill_holes(plane | ndimage.binary_closing(plane))
    pieces, count = ndimage.label(filled)
    found = []
    for number in range(1, count + 1):
        places = np.argwhere(pieces == number)
        height, row = (float(each) for each in places.mean(axis=0))
        angle = float(np.arctan2(row - centre[1], height - centre[0]))
        if SECTION_MM2[0] <= len(places) * spacing_mm**2 <= SECTION_MM2[1] and angle > UP_RAD:
            away = float(np.hypot(row - centre[1], height - centre[0])) * spacing_mm
            section = Section((height, row), np.column_stack([places, columns[places[:, 0]]]))
            found.append((angle, away, section))
    return _in_order(found, axis, float(centre[0]), spacing_mm)


def _in_order(
    found: list[tuple[float, float, Section]], axis: SpineAxis, middle: float, spacing_mm: float
) -> list[Section]:
    """Return the cross-sections that may be ribs by their angle, nothing far before.

    Above the middle of the lungs, where shoulder blades are, nothing behind another one either.
    """
    ordered = sorted(found, key=lambda each: each[0])
    front = [
        section.centre[1] <= axis.rows[int(section.centre[0])] - FORWARD_MM / spacing_mm
        for _, _, section in ordered
    ]
    rest = [each for each, early in zip(ordered[1:], front[1:], strict=True) if not early]
    seen = [
        section
        for angle, away, section in rest
        if not any(
            section.centre[0] > middle and abs(angle - other) < SAME_WAY_RAD and away > nearer + BEHIND_MM
            for other, nearer, _ in rest
        )
    ]
    return [section for _, _, section in ordered[:1]] + seen


def _agreed(planes: list[list[Section]], side: str, spacing_mm: float) -> list[tuple[int, Section]]:
    """Return the cross-sections with their ribs' numbers, of the planes that count as most planes do."""
    count, how_many = Counter(len(each) for each in planes).most_common(1)[0]
    if how_many * 2 <= len(planes):
        raise LabellerError(
            f"the ribs on the {side} cannot be counted: {', '.join(str(len(each)) for each in planes)}"
        )
    good = [each for each in planes if len(each) == count]
    middle = good[len(good) // 2]
    _check_steps([section.centre[0] for section in middle], side)
    return [
        (number, section)
        for plane in good
        for number, (section, usual) in enumerate(zip(plane[:RIBS], middle[:RIBS], strict=True), start=1)
        if np.hypot(*np.subtract(section.centre, usual.centre)) * spacing_mm <= SAME_RIB_MM
    ]


def _check_first(planes: list[list[Section]], axis: SpineAxis, side: str, spacing_mm: float) -> None:
    """Refuse a count that does not begin at the first rib."""
    steps = []
    for plane in planes:
        ahead = [row - axis.rows[int(z)] for z, row in (section.centre for section in plane[:2])]
        steps += [ahead[1] - ahead[0]] if len(ahead) == 2 else []
    if not steps or np.median(steps) * spacing_mm < FIRST_FORWARD_MM:
        raise LabellerError(f"the ribs on the {side} cannot be counted: the first one is not found")


def _check_steps(heights: list[float], side: str) -> None:
    """Refuse a count in which a rib is left out, or which holds something that is none."""
    steps = [above - below for above, below in pairwise(heights)]
    limits = [(steps[0], FIRST_STEP * steps[1])] if len(steps) > 1 else []
    limits += [(step, NEXT_STEP * below) for step, below in pairwise(steps[1 : RIBS - 2])]
    limits += [(step, LAST_STEP * above) for above, step in pairwise(steps[1 : RIBS - 1])]
    if any(step > limit for step, limit in limits):
        raise LabellerError(f"the ribs on the {side} cannot be counted: steps between them are uneven")


def _check_sides(heights: list[dict[int, float]], spacing_mm: float) -> None:
    """Refuse counts of which one side's has a rib too many or too few: from there on sides part by a step.

    One shoulder may be higher than the other, so that the upper ribs of a side are; that changes slowly.
    """
    right, left = heights
    both = sorted(set(right) & set(left))
    apart = [left[rib] - right[rib] for rib in both]
    steps = [(right[a] - right[b] + left[a] - left[b]) / 2 for a, b in pairwise(both)]
    jumps = [abs(below - above) for above, below in pairwise(apart)]
    if float(np.mean(np.abs(apart))) * spacing_mm > LEVEL_MM or any(
        jump > step / 2 for jump, step in list(zip(jumps, steps, strict=True))[1:]
    ):
        raise LabellerError("the ribs cannot be counted: left and right do not lie at the same heights")
