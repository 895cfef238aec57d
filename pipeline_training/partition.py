"""One joint partition of all layers: every voxel gets the number of its combination of parts.

A layer parts the volume; several layers cut each other. Only the combinations that occur are numbered, so
that one look at a voxel tells its part in every layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline_training.anatomy import MAX_PARTS, Anatomy, Layer

AIR_LIMIT_HU = -900
"""What lies beyond the box around everything denser and around every part is air, and is not projected."""

Box = tuple[slice, slice, slice]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Partition:
    """Combinations of the layers' parts.

    Attributes:
        ids: uint8 or int16 (slices, rows, columns): number of the voxel's combination, from 1 on; 0 is left
            to what lies outside the volume.
        parts: uint8 (combinations + 1, layers): the part in each layer that a combination stands for.
    """

    ids: npt.NDArray[np.uint8] | npt.NDArray[np.int16]
    parts: npt.NDArray[np.uint8]


def body_box(anatomy: Anatomy) -> Box:
    """Return the box around all that is denser than air or belongs to a part; the whole volume if none is."""
    found: Mask = np.asarray(anatomy.hu > AIR_LIMIT_HU)
    for layer in anatomy.layers:
        found |= layer.parts > 0
    sides = [np.asarray(found.any(axis=across)) for across in ((1, 2), (0, 2), (0, 1))]
    return _extent(sides[0]), _extent(sides[1]), _extent(sides[2])


def _extent(side: Mask) -> slice:
    inside = np.flatnonzero(side)
    return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, len(side))


def joint_partition(layers: Sequence[Layer], box: Box) -> Partition:
    """Return the joint partition of the layers within a box of the volume."""
    ids = np.zeros(layers[0].parts[box].shape, np.int32)
    parts = np.zeros((1, 0), np.uint8)
    for layer in layers:
        ids, parts = _cut(ids, parts, layer.parts[box])
    outside = np.zeros((1, parts.shape[1]), np.uint8)
    ids += 1
    table = np.concatenate([outside, parts])
    fits = len(table) <= np.iinfo(np.uint8).max + 1
    return Partition(ids.astype(np.uint8) if fits else ids.astype(np.int16), table)


def _cut(
    ids: npt.NDArray[np.int32], parts: npt.NDArray[np.uint8], layer: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return ids and parts with each combination cut by one more layer; slice by slice, to stay in cache."""
    present = np.zeros(len(parts) * (MAX_PARTS + 1), np.bool_)
    for before, more in zip(ids, layer, strict=True):
        before <<= 8
        before |= more
        present[before] = True
    codes = np.flatnonzero(present)
    number = np.zeros(len(present), np.int32)
    number[codes] = np.arange(len(codes))
    for before in ids:
        np.take(number, before, out=before)
    combined = np.column_stack([parts[codes >> 8], (codes & MAX_PARTS).astype(np.uint8)])
    return ids, combined
