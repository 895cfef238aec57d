"""Clavicles: raised with the arms in a CT, level in a radiograph; each is turned as a rigid bone.

A smooth motion would take the first rib along, and a network would never see the two cross as on
radiographs. Where the bone was its surroundings go on; where it comes to lie it slides forward, off lung and
other bones, and what is still in its way keeps its place. A bone that the scan cut short stays as it is:
turned into the scan it would end where no clavicle ends.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import MAX_PARTS, TISSUES, Anatomy
from pipeline_training.paint import SKIN_HU, Box
from pipeline_training.scanned import Scanned

FORWARD_DEG = tuple(range(0, 35, 5))
"""Tried in turn, about the long axis of the body, until the bone lies free."""

FREE_SHARE = 0.05
"""Of a turned bone that may lie in the way of lung or bone."""

IN_THE_WAY = ("lung", "ribs", "spine", "shoulder", "front")

LEAST_MM = 120.0
"""Length of a clavicle that is turned; whole ones measure some 120 to 170 mm (text books)."""

RIM_MM = 3.0
"""Around a bone's label, where voxels are bone in part."""

SOFT_HU = (-150, 150)
"""Fat to muscle: what may take the place of a bone."""

BONY_HU = 120
AROUND_MM = 15.0
"""Where what takes its place is looked for."""

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
        scanned: Its slices, none moved yet. What those above repeat of a bone is taken away as well.
    """
    turned = anatomy
    for (side, outwards), tilt in zip(SIDES, tilts_deg, strict=True):
        own = anatomy.organs.mask(f"clavicle {side}")
        if abs(tilt) < LEAST_DEG or not own.any() or _length(own) * anatomy.spacing_mm < LEAST_MM:
            continue
        turned = _with_turned(turned, f"clavicle {side}", outwards, tilt, scanned.high)
    return turned


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
    turns = [_turn(pivot, outwards, tilt, forward) for forward in FORWARD_DEG]
    shares = (_share_in_the_way(bare, own, source, each) for each in turns)
    turn = next((each for each, share in zip(turns, shares, strict=False) if share <= FREE_SHARE), turns[-1])
    target = turn.target(source, own.shape)
    label = turn.taken(own[source].astype(np.float32), source, target, 0.0) > 0.5
    rim = _grown(own[source], RIM_MM / anatomy.spacing_mm).astype(np.float32)
    weight = turn.taken(rim, source, target, 0.0)
    bone = turn.taken(anatomy.hu[source].astype(np.float32), source, target, float(SOFT_HU[0]))
    hu, parts = bare.hu.copy(), bare.organs.parts.copy()
    inside = (hu[target] > SKIN_HU) & ~_in_the_way(bare, target)
    denser = np.maximum(bone, hu[target])  # beside the bone fat and muscle are those of the new place
    mixed = weight * np.where(label, bone, denser) + (1 - weight) * hu[target]
    hu[target] = np.where(inside, mixed.round(), hu[target]).astype(np.int16)
    (part, *_) = anatomy.organs.structures[name]
    parts[target][label & inside] = part
    return replace(bare, hu=hu, organs=bare.organs.with_parts(parts))


def _without(anatomy: Anatomy, own: Mask, source: Box, top: float) -> Anatomy:
    """Return the anatomy without a bone: it and its rim become what is the nearest soft tissue."""
    hu, parts = anatomy.hu.copy(), anatomy.organs.parts.copy()
    box = slice(source[0].start, own.shape[0]), source[1], source[2]
    gone = _grown(own[box], RIM_MM / anatomy.spacing_mm)
    last = int(top) - box[0].start  # the slices above repeat this one
    if 0 <= last < len(gone):
        gone[last + 1 :] |= gone[last] & (hu[box][last + 1 :] > BONY_HU)
    gone &= (parts[box] == 0) | own[box]
    soft = (hu[box] > SOFT_HU[0]) & (hu[box] < SOFT_HU[1]) & (parts[box] == 0) & ~gone
    if soft.any():
        place = ndimage.distance_transform_edt(~soft, return_distances=False, return_indices=True)
        hu[box] = np.where(gone, hu[box][tuple(place)], hu[box])
    parts[own] = 0
    return replace(anatomy, hu=hu, organs=anatomy.organs.with_parts(parts))


def _share_in_the_way(anatomy: Anatomy, own: Mask, source: Box, turn: _Turn) -> float:
    """Return the share of a turned bone that would lie in lung or in other bones."""
    target = turn.target(source, own.shape)
    label = turn.taken(own[source].astype(np.float32), source, target, 0.0) > 0.5
    return float(_in_the_way(anatomy, target)[label].mean()) if label.any() else 1.0


def _in_the_way(anatomy: Anatomy, box: Box) -> Mask:
    parts = np.zeros(MAX_PARTS + 1, np.bool_)
    solid = np.isin(anatomy.tissue_of_part, [TISSUES.index(tissue) for tissue in IN_THE_WAY])
    parts[: len(solid)] = solid
    parts[0] = False
    return np.asarray(parts[anatomy.organs.parts[box]])


def _turn(pivot: npt.NDArray[np.float64], outwards: float, tilt: float, forward: float) -> _Turn:
    """Return the turn by which an outer end sinks and comes forward; degrees."""
    c, s = np.cos(np.radians(tilt)), outwards * np.sin(np.radians(tilt))
    frontal = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    c, s = np.cos(np.radians(forward)), outwards * np.sin(np.radians(forward))
    axial = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return _Turn(pivot, axial @ frontal)


def _length(mask: Mask) -> float:
    """Return the diagonal of the box around a mask, voxels: a slender bone is hardly shorter."""
    return float(np.linalg.norm(np.ptp(np.argwhere(mask), axis=0) + 1))


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
