"""Which bone a dense voxel belongs to: that of the seed with the shortest way through dense voxels."""

import itertools

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.uint8]
Lengths = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
"""To half of the 26 neighbours; the others are met from the other side."""

ON_PATH_MM = 3.0
"""Half the length of the stretch of a bone that one point stands for."""

WIDE_MM = 12.0
"""A stretch whose voxels spread further is no rib any more."""

FEW = 6


def nearest_seed(bone: Mask, seeds: Numbers, spacing_mm: float) -> tuple[Numbers, Lengths]:
    """Return for each voxel of bone the number of its nearest seed, and the length of the way in mm.

    Args:
        bone: Through what ways may go.
        seeds: Numbers above 0 where a way begins; only within the bone.
        spacing_mm: Edge length of a voxel.

    Returns:
        0 and infinity where no way leads.
    """
    numbers, lengths = np.zeros(bone.shape, np.uint8), np.full(bone.shape, np.inf, np.float32)
    kinds = seeds[bone]
    begins = np.flatnonzero(kinds)
    if begins.size:
        far, _, source = dijkstra(
            _neighbours(bone, spacing_mm),
            directed=False,
            indices=begins,
            min_only=True,
            return_predecessors=True,
        )
        numbers[bone] = np.where(np.isfinite(far), kinds[np.maximum(source, 0)], 0)
        lengths[bone] = far
    return numbers, lengths


def _neighbours(bone: Mask, spacing_mm: float) -> coo_matrix:
    place = np.full(bone.shape, -1, np.int32)
    place[bone] = np.arange(np.count_nonzero(bone))
    first, second, away = [], [], []
    for step in STEPS:
        here = tuple(slice(max(0, -k), n - max(0, k)) for k, n in zip(step, bone.shape, strict=True))
        there = tuple(slice(max(0, k), n + min(0, k)) for k, n in zip(step, bone.shape, strict=True))
        both = (place[here] >= 0) & (place[there] >= 0)
        first.append(place[here][both])
        second.append(place[there][both])
        away.append(np.full(first[-1].size, np.linalg.norm(step) * spacing_mm))
    size = np.count_nonzero(bone)
    ends = np.concatenate(first), np.concatenate(second)
    return coo_matrix((np.concatenate(away), ends), shape=(size, size)).tocsr()


def points_along(
    numbers: Numbers, lengths: Lengths, every_mm: float, reach_mm: float, spacing_mm: float
) -> dict[tuple[int, int], Points]:
    """Return the middle of each bone at every so many mm of the way from its seed.

    Args:
        numbers: Which bone, of `nearest_seed`.
        lengths: Of the way, in mm.
        every_mm: From point to point.
        reach_mm: The longest way.
        spacing_mm: Edge length of a voxel.

    Returns:
        (slice, row, column) in mm, by bone and number of the point; the seed's own is 0.
    """
    found = {}
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        if box is None:
            continue
        corner = np.array([side.start for side in box])
        places = np.argwhere(numbers[box] == number)
        far = lengths[box][tuple(places.T)]
        for step in range(int(reach_mm / every_mm) + 1):
            near = places[np.abs(far - step * every_mm) <= ON_PATH_MM]
            if len(near) >= FEW and near.std(axis=0).max() * spacing_mm < WIDE_MM:
                found[number, step] = (near.mean(axis=0) + corner) * spacing_mm
    return found
