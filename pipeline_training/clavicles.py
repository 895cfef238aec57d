"""Clavicles: raised with the arms in a CT, level in a radiograph; each is turned as a rigid bone.

A smooth motion would take the first rib along, and a network would never see the two cross as on radiographs.
Where the bone was its surroundings go on; where it comes to lie it slides forward, off the lung and the ribs.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import TISSUES, Anatomy
from pipeline_training.paint import SKIN_HU, Box, add_room
from pipeline_training.scanned import Scanned

FORWARD_DEG = tuple(range(0, 35, 5))
"""Tried in turn, about the long axis of the body, until the bone lies free."""

FREE_SHARE = 0.05
"""Of a turned bone that may lie in lung or rib."""

RIM_MM = 3.0
"""Around a bone's label, where voxels are bone in part."""

SOFT_HU = (-150, 150)
"""Fat to muscle: what may take the place of a bone."""

BONY_HU = 120
AROUND_MM = 15.0
"""Where what takes its place is looked for."""

ROOM_MM = 30.0
"""Beside the body: a level clavicle reaches further out than a raised one."""

LEAST_DEG = 0.5
"""Smaller turns are none."""

Mask = npt.NDArray[np.bool_]
Point = tuple[float, float, float]
SIDES = (("right", -1.0), ("left", 1.0))


@dataclass(frozen=True, eq=False)
class _Turn:
    """A turn about a point: `matrix` takes (slice, row, column) relative to it to new ones."""

    pivot: npt.NDArray[np.float64]
    matrix: npt.NDArray[np.float64]

    def target(self, source: Box, shape: tuple[int, ...]) -> Box:
        """Return the part of the volume that what lies in `source` may come to lie in."""
        corners = np.array(np.meshgrid(*[(side.start, side.stop - 1) for side in source])).reshape(3, -1).T
        moved = (corners - self.pivot) @ self.matrix.T + self.pivot
        low, high = np.floor(moved.min(axis=0)), np.ceil(moved.max(axis=0)) + 1
        return _box(low, high, shape)

    def taken(
        self, values: npt.NDArray[np.float32], source: Box, target: Box, outside: float
    ) -> npt.NDArray[np.float32]:
        """Return `values`, those of `source`, turned, in `target`; linear in between."""
        first = np.array([side.start for side in target]) - self.pivot
        offset = self.matrix.T @ first + self.pivot - [side.start for side in source]
        shape = tuple(side.stop - side.start for side in target)
        turned = ndimage.affine_transform(
            values, self.matrix.T, offset, shape, order=1, mode="constant", cval=outside
        )
        return np.asarray(turned, np.float32)


def turn_clavicles(anatomy: Anatomy, tilts_deg: tuple[float, float], scanned: Scanned) -> Anatomy:
    """Return the anatomy with its clavicles turned about their inner ends, all other bones where they are.

    Args:
        anatomy: It stays as it is. Clavicles that it does not know stay, too.
        tilts_deg: (right, left); above 0 the outer end sinks.
        scanned: Its slices. What the slices above show of a bone that the scan cut off is taken away as well.
    """
    wide = anatomy
    for (side, outwards), tilt in zip(SIDES, tilts_deg, strict=True):
        if abs(tilt) < LEAST_DEG or not anatomy.organs.mask(f"clavicle {side}").any():
            continue
        wide = add_room(anatomy, sides_mm=ROOM_MM) if wide is anatomy else wide
        wide = _with_turned(wide, f"clavicle {side}", outwards, tilt, scanned.high)
    return wide


def inner_end(clavicle: Mask, outwards: float) -> Point:
    """Return the point of a clavicle that is nearest to the sternum; `outwards` is 1 on the left, else -1."""
    places = np.argwhere(clavicle)
    z, y, x = places[np.argmin(outwards * places[:, 2])]
    return float(z), float(y), float(x)


def _with_turned(anatomy: Anatomy, name: str, outwards: float, tilt: float, top: float) -> Anatomy:
    own = anatomy.organs.mask(name)
    source = _around(own, AROUND_MM / anatomy.spacing_mm)
    bare = _without(anatomy, own, source, top)
    pivot = np.array(inner_end(own, outwards))
    turn = min(
        (_turn(pivot, outwards, tilt, forward) for forward in FORWARD_DEG),
        key=lambda each: max(FREE_SHARE, _share_in_organs(bare, own, source, each)),
    )
    target = turn.target(source, own.shape)
    label = turn.taken(own[source].astype(np.float32), source, target, 0.0) > 0.5
    rim = _grown(own[source], RIM_MM / anatomy.spacing_mm).astype(np.float32)
    weight = turn.taken(rim, source, target, 0.0)
    bone = turn.taken(anatomy.hu[source].astype(np.float32), source, target, float(SOFT_HU[0]))
    hu, parts = bare.hu.copy(), bare.organs.parts.copy()
    inside = hu[target] > SKIN_HU
    denser = np.maximum(bone, hu[target])  # beside the bone fat and muscle are those of the new place
    mixed = weight * np.where(label, bone, denser) + (1 - weight) * hu[target]
    hu[target] = np.where(inside, mixed.round(), hu[target]).astype(np.int16)
    (part, *_) = anatomy.organs.structures[name]
    parts[target][label & inside] = part
    return replace(bare, hu=hu, organs=bare.organs.with_parts(parts))


def _without(anatomy: Anatomy, own: Mask, source: Box, top: float) -> Anatomy:
    """Return the anatomy without a bone: it and its rim become what is the nearest soft tissue."""
    grow = RIM_MM / anatomy.spacing_mm
    hu, parts = anatomy.hu.copy(), anatomy.organs.parts.copy()
    box = _up_to_the_top(source, own.shape) if _reaches(own, top) else source
    gone = _grown(own[box], grow)
    if box is not source:
        level = int(top) - box[0].start
        cut = np.asarray(own[box][max(0, level - 2) : level + 1].any(axis=0))
        shadow = _grown(cut[None], grow)
        gone[level:] |= shadow & (hu[box][level:] > BONY_HU)
    gone &= (parts[box] == 0) | own[box]
    soft = (hu[box] > SOFT_HU[0]) & (hu[box] < SOFT_HU[1]) & (parts[box] == 0) & ~gone
    if soft.any():
        place = ndimage.distance_transform_edt(~soft, return_distances=False, return_indices=True)
        hu[box] = np.where(gone, hu[box][tuple(place)], hu[box])
    parts[own] = 0
    return replace(anatomy, hu=hu, organs=anatomy.organs.with_parts(parts))


def _share_in_organs(anatomy: Anatomy, own: Mask, source: Box, turn: _Turn) -> float:
    """Return the share of a turned bone that would lie in lung or rib."""
    target = turn.target(source, own.shape)
    label = turn.taken(own[source].astype(np.float32), source, target, 0.0) > 0.5
    solid = np.isin(anatomy.tissue_of_part, [TISSUES.index("lung"), TISSUES.index("ribs")])
    table = np.zeros(256, np.bool_)
    table[: len(solid)] = solid
    return float(table[anatomy.organs.parts[target]][label].mean()) if label.any() else 1.0


def _turn(pivot: npt.NDArray[np.float64], outwards: float, tilt: float, forward: float) -> _Turn:
    """Return the turn by which an outer end sinks and comes forward; degrees."""
    c, s = np.cos(np.radians(tilt)), outwards * np.sin(np.radians(tilt))
    frontal = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    c, s = np.cos(np.radians(forward)), outwards * np.sin(np.radians(forward))
    axial = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return _Turn(pivot, axial @ frontal)


def _reaches(own: Mask, top: float) -> bool:
    """Return whether a bone goes up to the last slice that was scanned, give or take two."""
    return bool(own[max(0, int(top) - 2) : int(top) + 2].any())


def _up_to_the_top(box: Box, shape: tuple[int, ...]) -> Box:
    return slice(box[0].start, shape[0]), box[1], box[2]


def _around(mask: Mask, margin: float) -> Box:
    places = np.argwhere(mask)
    return _box(places.min(axis=0) - round(margin), places.max(axis=0) + round(margin) + 1, mask.shape)


def _box(low: npt.NDArray[np.number], high: npt.NDArray[np.number], shape: tuple[int, ...]) -> Box:
    z, y, x = (
        slice(int(np.clip(a, 0, n)), int(np.clip(b, 0, n))) for a, b, n in zip(low, high, shape, strict=True)
    )
    return z, y, x


def _grown(mask: Mask, voxels: float) -> Mask:
    """Return all within so many voxels of a mask."""
    return np.asarray(ndimage.distance_transform_edt(~mask) <= voxels, np.bool_) if mask.any() else mask
