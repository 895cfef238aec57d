"""Which rays of a projection tell of which structure: the scan ends, and what lies beyond was not seen.

A structure that ends before the scan does is told everywhere. Of one that the scan cuts, what is missing is
taken to lie beyond the scan's ends, no further in front or behind than `BESIDE_MM` from what is seen of it: a
ray tells of it if it is between the ends as long as it is there. A rib of which one part was seen alone, and
anything else, is told by rays that stay between the ends all along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import Anatomy
from pipeline_training.geometry import Pose, cast_rays, central_direction
from pipeline_training.scanned import Scanned, body_extent, rib_siblings

THROUGH, EVERYWHERE = 0, 1
"""Planes of every projection: told along the body's whole depth, and told by every ray."""

PLANES = 8
"""Of a projection; structures of like depth share one."""

BESIDE_MM = 20.0
"""By so much in front of what is seen of a structure, or behind it, may lie what is not seen of it."""

ROUNDED_MM = 10.0

Depth = tuple[int, int]
"""First and last voxel along the beam."""

Planes = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Told:
    """Where a projection tells of its structures.

    Attributes:
        planes: bool (PLANES, size, size); those that no structure needs are False.
        place: Index of the plane that holds for a structure; THROUGH for those that are not named.
    """

    planes: Planes
    place: Mapping[str, int]


def told(anatomy: Anatomy, scanned: Scanned, pose: Pose, size: int) -> Told:
    """Return where a view of a body tells of its structures.

    Args:
        anatomy: The body; of its structures those in `whole` end before the scan does.
        scanned: Its slices.
        pose: Of the view.
        size: Rows and columns of the projection.
    """
    axis = int(np.argmax(np.abs(central_direction(pose)[:2])))
    body = body_extent(anatomy)[1 - axis]
    cut = _depths(anatomy, 2 - axis, (body.start, body.stop - 1))
    groups = grouped(list(cut.values()), PLANES - 2)
    planes = np.zeros((PLANES, size, size), np.bool_)
    planes[EVERYWHERE] = True
    for number, depth in ((THROUGH, (body.start, body.stop - 1)), *enumerate(groups, start=2)):
        planes[number] = _between_ends(anatomy, scanned, pose, size, depth)
    place = {name: 2 + _holding(groups, depth) for name, depth in cut.items()}
    return Told(planes, place | dict.fromkeys(anatomy.whole, EVERYWHERE))


def grouped(depths: Sequence[Depth], count: int) -> list[Depth]:
    """Return at most `count` depths, sorted, of which one holds each of those given.

    The two that lose least by it become one, until there are few enough.

    >>> grouped([(0, 9), (2, 8), (40, 50), (45, 60)], 2)
    [(0, 9), (40, 60)]
    """
    groups = sorted(set(depths))
    while len(groups) > count:
        pairs = [(a, b, (a[0], max(a[1], b[1]))) for a, b in combinations(groups, 2)]
        a, b, both = min(pairs, key=lambda pair: 2 * _length(pair[2]) - _length(pair[0]) - _length(pair[1]))
        groups = sorted({*groups, both} - ({a, b} - {both}))
    return groups


def _depths(anatomy: Anatomy, axis: int, body: Depth) -> dict[str, Depth]:
    """Return, of each structure that the scan cuts, between which voxels along an axis it may lie."""
    found: dict[str, Depth] = {}
    for layer in anatomy.layers:
        boxes = ndimage.find_objects(layer.parts, max_label=layer.count)
        for name, parts in layer.structures.items():
            if name not in anatomy.whole and (seen := [boxes[p - 1][axis] for p in parts if boxes[p - 1]]):
                found[name] = min(side.start for side in seen), max(side.stop - 1 for side in seen)
    step, beside = (round(mm / anatomy.spacing_mm) or 1 for mm in (ROUNDED_MM, BESIDE_MM))
    depths = {}
    for name, (first, last) in found.items():
        others = rib_siblings(name)
        if not set(others) <= set(found):
            continue
        first, last = (
            min([first, *(found[o][0] for o in others)]),
            max([last, *(found[o][1] for o in others)]),
        )
        near, far = (first - beside) // step * step, -(-(last + beside) // step) * step
        depths[name] = max(near, body[0]), min(far, body[1])
    return depths


def _between_ends(anatomy: Anatomy, scanned: Scanned, pose: Pose, size: int, depth: Depth) -> Planes:
    """Return bool (size, size): rays that are between the scanned ends from one depth to another."""
    rays = cast_rays(pose, size)
    axis = int(np.argmax(np.abs(central_direction(pose)[:2])))
    inside = np.ones(len(rays.direction), np.bool_)
    for end in depth:
        there = (end - anatomy.centre[2 - axis]) * anatomy.spacing_mm
        reach = (there - rays.origin[:, axis]) / rays.direction[:, axis]
        level = (rays.origin[:, 2] + reach * rays.direction[:, 2]) / anatomy.spacing_mm + anatomy.centre[0]
        inside &= (level >= scanned.low - 0.5) & (level <= scanned.high + 0.5)
    return inside.reshape(size, size)


def _holding(groups: Sequence[Depth], depth: Depth) -> int:
    """Return the number of the shortest group that holds a depth."""
    holds = [n for n, group in enumerate(groups) if group[0] <= depth[0] and depth[1] <= group[1]]
    return min(holds, key=lambda number: _length(groups[number]))


def _length(depth: Depth) -> int:
    return depth[1] - depth[0] + 1
