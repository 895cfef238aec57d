"""Where one vertebra ends and the next begins: at the endplates, counted from the ribs that join the spine.

A registration that lays a spine on another is easily wrong by half a vertebra. The heads of the ribs tell
roughly where each level lies; within that the brightest places along the vertebral bodies are taken, as far
apart as levels are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.labelling.prior_vertebrae import LEVELS

Labels = npt.NDArray[np.uint8]
Places = npt.NDArray[np.float64]

T1 = LEVELS.index("vertebrae_T1")
LAST_RIB = 12

BODY_MM = 7.5
"""Radius of the disc within the vertebral body whose HU are looked at."""

BEHIND_MM = 15.0
"""The heads of the ribs lie so far behind the middle of the vertebral bodies."""

LEAST_SLICES = 5
"""Of 1.5 mm, between two borders."""

STIFF = 25.0
"""Weight of unequal levels against brightness."""

TRUST_RIBS, TRUST_ATLAS = 0.15, 0.05
"""Weight of the squared distance from where a border is awaited, in units of three voxels."""

LOWER_STEP = 0.45
"""The twelfth rib's head lies so far above the lower border of its vertebra, in levels."""

MIN_BODY = 30
"""Voxels of a vertebral body in a slice."""


@dataclass(frozen=True, eq=False)
class BodyLine:
    """The line through the vertebral bodies.

    Attributes:
        rows: By slice.
        columns: By slice.
        first: The lowest slice in which a body was seen.
        last: The highest.
    """

    rows: Places
    columns: Places
    first: int
    last: int


def body_line(levels: Labels, cord: npt.NDArray[np.bool_]) -> BodyLine | None:
    """Return the line through the vertebral bodies, None where there are none.

    Args:
        levels: Place in `LEVELS` + 1 of each voxel, 0 outside.
        cord: The spinal cord; the bodies lie before it.
    """
    found = []
    for z in np.flatnonzero(cord.any(axis=(1, 2)) & (levels > 0).any(axis=(1, 2))):
        row, column = np.argwhere(cord[z]).mean(axis=0)
        body = np.argwhere(levels[z, : max(0, int(row) - 2)] > 0)
        body = body[np.abs(body[:, 1] - column) < 14] if len(body) else body
        if len(body) >= MIN_BODY:
            found.append((z, body[:, 0].mean(), column))
    if len(found) < 2:
        return None
    z, row, column = np.array(found).T
    slices = np.arange(len(levels))
    rows, columns = (ndimage.gaussian_filter1d(np.interp(slices, z, each), 4) for each in (row, column))
    return BodyLine(rows, columns, int(z[0]), int(z[-1]))


def brightness(hu: npt.NDArray[np.int16], line: BodyLine, spacing_mm: float) -> Places:
    """Return the median HU of a small disc across the line, by slice; 0 beyond its ends."""
    radius = int(BODY_MM / spacing_mm)
    a, b = np.meshgrid(np.arange(-radius, radius + 1), np.arange(-radius, radius + 1), indexing="ij")
    inside = a**2 + b**2 <= radius**2
    a, b = a[inside], b[inside]
    slope = np.gradient(line.rows)
    values = hu.astype(np.float32, copy=False)
    found = np.zeros(len(hu))
    for z in range(line.first, line.last + 1):
        along = np.hypot(1, slope[z])
        places = np.stack([z - a * slope[z] / along, line.rows[z] + a / along, line.columns[z] + b])
        found[z] = np.median(ndimage.map_coordinates(values, places, order=1))
    return found


def borders_in(levels: Labels, line: BodyLine) -> dict[int, float]:
    """Return the slice of the border below each level that the next one follows, by its place in `LEVELS`."""
    seen: dict[int, list[int]] = {}
    for z in range(line.first, line.last + 1):
        row, column = int(line.rows[z]), int(line.columns[z])
        box = levels[z, max(0, row - 4) : row + 5, max(0, column - 4) : column + 5]
        if box.any():
            seen.setdefault(int(np.bincount(box[box > 0]).argmax()) - 1, []).append(z)
    return {level: _between(slices, seen[level + 1]) for level, slices in seen.items() if level + 1 in seen}


def _between(upper: list[int], lower: list[int]) -> float:
    """Return the border of two levels, from their middles and how many slices each has."""
    return float((np.median(upper) * len(lower) + np.median(lower) * len(upper)) / (len(upper) + len(lower)))


def awaited(heads: Mapping[int, float], line: BodyLine, spacing_mm: float) -> dict[int, float]:
    """Return where borders must be by the ribs, by the place of the level above in `LEVELS`.

    The second to tenth rib joins the disc above its vertebra, the eleventh and twelfth their own vertebra.

    Args:
        heads: Slice at which a rib joins the spine, by its number.
        line: Through the vertebral bodies.
        spacing_mm: Edge length of a voxel.
    """
    slope = np.gradient(line.rows)
    found = {}
    for rib in range(2, LAST_RIB - 1):
        if rib in heads:
            tilt = slope[int(np.clip(heads[rib], 0, len(slope) - 1))]
            found[T1 + rib - 2] = heads[rib] + BEHIND_MM / spacing_mm * tilt
    if LAST_RIB - 1 in heads and LAST_RIB in heads:
        upper, lower = heads[LAST_RIB - 1], heads[LAST_RIB]
        found[T1 + LAST_RIB - 2] = (upper + lower) / 2
        found[T1 + LAST_RIB - 1] = lower - LOWER_STEP * (upper - lower)
    return found


def find_borders(
    bright: Places, line: BodyLine, atlas: Mapping[int, float], ribs: Mapping[int, float]
) -> dict[int, int]:
    """Return the slice of the border below each level: bright, evenly spaced and near to where it is awaited.

    Args:
        bright: Of `brightness`.
        line: Through the vertebral bodies.
        atlas: Borders as the registration has them.
        ribs: Borders as the ribs have them; they are believed first, and needed.
    """
    places = {**_shifted(atlas, ribs), **ribs}
    levels = [k for k in sorted(places) if line.first - 3 <= places[k] <= line.last + 3]
    if not ribs or len(levels) < 2:
        return {}
    steps = -np.diff([places[k] for k in levels])
    steps = ndimage.gaussian_filter1d(steps, 1.2, mode="nearest")
    slices = np.arange(line.first, line.last + 1)
    dull = -_relative(bright)[slices]
    down = slices[None, :] - slices[:, None]
    costs, back = np.zeros(0), []
    for i, level in enumerate(levels):
        trust = TRUST_RIBS if level in ribs else TRUST_ATLAS
        own = dull + trust * ((slices - places[level]) / 3.0) ** 2
        if i:
            uneven = STIFF * ((down - steps[i - 1]) / steps[i - 1]) ** 2
            way = costs[None, :] + np.where(down <= LEAST_SLICES, 1e6, uneven)
            back.append(way.argmin(axis=1))
            own = own + way.min(axis=1)
        costs = own
    chosen = [int(costs.argmin())]
    for arrows in reversed(back):
        chosen.append(int(arrows[chosen[-1]]))
    return {level: int(slices[place]) for level, place in zip(levels, reversed(chosen), strict=True)}


def _shifted(atlas: Mapping[int, float], ribs: Mapping[int, float]) -> dict[int, float]:
    """Return the atlas' borders moved as the nearest one is that the ribs know, too."""
    both = [level for level in ribs if level in atlas]
    if not both:
        return dict(atlas)
    near = {level: min(both, key=lambda known: abs(known - level)) for level in atlas}
    return {level: place + ribs[near[level]] - atlas[near[level]] for level, place in atlas.items()}


def _relative(bright: Places) -> Places:
    """Return brightness relative to what is around, in standard deviations."""
    fine, around = ndimage.gaussian_filter1d(bright, 1.6), ndimage.gaussian_filter1d(bright, 9)
    spread = np.sqrt(ndimage.gaussian_filter1d((fine - around) ** 2, 15)) + 1e-3
    return np.asarray(np.clip((fine - around) / spread, -2, 2.5))


def moved(levels: Labels, before: Mapping[int, float], after: Mapping[int, int]) -> Labels:
    """Return the levels, slid along the body's axis until their borders lie where they were found.

    Args:
        levels: Place in `LEVELS` + 1 of each voxel.
        before: The borders in it.
        after: Where they must be.
    """
    both = sorted(set(before) & set(after), reverse=True)
    if not both:
        return np.zeros_like(levels)
    goal, source = (np.array([each[k] for k in both], np.float64) for each in (after, before))
    slices = np.arange(len(levels))
    from_ = slices + np.interp(slices, goal, source - goal)
    return np.asarray(levels[np.clip(np.rint(from_), 0, len(levels) - 1).astype(int)])
