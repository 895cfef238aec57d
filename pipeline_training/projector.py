"""Projection of a body and its parts: one geometry for image and masks, many poses at once, CPU or GPU.

The volume is cut into planes across the beam. On each plane a ray meets one point: attenuation there is
interpolated linearly, the part is the nearest voxel's. Attenuation runs along the ray as one sum; only where
a ray passes from one combination of parts into another is the difference since it entered booked on what it
leaves. Image and masks are thus sums over the same points, and the cost hardly depends on how many structures
there are.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pipeline_training.anatomy import TISSUES, Anatomy
from pipeline_training.errors import VolumeError
from pipeline_training.geometry import Pose, cast_rays, central_direction, detector_points
from pipeline_training.march import Books, Fan, march
from pipeline_training.partition import body_box, joint_partition
from pipeline_training.physics import (
    BONE_DENSITY,
    BONE_PER_EXCESS,
    CT_KEV,
    bone_per_mm,
    relative_attenuation,
    water_per_mm,
)

__all__ = ["Pose", "Projection", "Projector", "detector_points", "project"]

FloatImages = npt.NDArray[np.float32]

SUMS_BYTES = 2**28
"""Bound on the memory of the sums of one march; more rays are followed one share after another."""

ROUNDING = 1e-6
"""A voxel of 2 mm passed straight needs one sample every 2 mm, whatever the last digit says."""

STEEPEST = 1e-3
"""Rays that run along the planes (cosine below this) are followed as if they left them at this slope: they
meet no body."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Sums along the rays of one pose.

    Attributes:
        lengths_mm: For each layer float32 (parts + 1, size, size): path length in part p at each pixel; part
            0 is what lies in the body's box and in no part.
        water_mm: float32 (len(TISSUES), size, size): water-equivalent path in each tissue group.
        bone_mm: float32 (len(TISSUES), size, size): path in cortical bone in each tissue group.
    """

    lengths_mm: tuple[FloatImages, ...]
    water_mm: FloatImages
    bone_mm: FloatImages

    @property
    def attenuation(self) -> FloatImages:
        """Integral of the attenuation at 70 keV in each tissue group, (len(TISSUES), size, size)."""
        return self.water_mm * np.float32(water_per_mm(CT_KEV)) + self.bone_mm * np.float32(
            bone_per_mm(CT_KEV)
        )


def project(anatomy: Anatomy, pose: Pose, size: int, step_mm: float = 2.0, device: str = "cpu") -> Projection:
    """Return the projection of a body on a (size, size) detector; see `Projector` for several poses."""
    return Projector(anatomy, device).project([pose], size, step_mm)[0]


class Projector:
    """A body ready to be projected from any pose.

    Memory: 3 to 5 bytes a voxel of the body's box for the body itself; while projecting, `SUMS_BYTES` and
    about 60 bytes a ray; and 4 bytes for each pixel of each part in the result.
    """

    def __init__(self, anatomy: Anatomy, device: str = "cpu") -> None:
        box = body_box(anatomy)
        partition = joint_partition(anatomy.layers, box)
        self._device = torch.device(device)
        self._hu = torch.from_numpy(np.ascontiguousarray(anatomy.hu[box])).to(self._device)
        self._ids = torch.from_numpy(partition.ids).to(self._device)
        self._spacing_mm = anatomy.spacing_mm
        self._centre = np.array([c - side.start for c, side in zip(anatomy.centre, box, strict=True)])
        self._layers, self._books = _books(anatomy, partition.parts, self._device)

    def project(self, poses: Sequence[Pose], size: int, step_mm: float = 2.0) -> list[Projection]:
        """Return the projections of several poses on (size, size) detectors.

        Args:
            poses: Geometry of each.
            size: Rows and columns.
            step_mm: Longest distance between samples on the central ray; there is at least one for each voxel
                passed.

        Raises:
            VolumeError: If a source lies inside the body.
        """
        fans = [self._fan(pose, size, step_mm) for pose in poses]
        found: dict[int, Projection] = {}
        for alike in {(fan.axis, fan.planes) for fan in fans}:
            chosen = [i for i, fan in enumerate(fans) if (fan.axis, fan.planes) == alike]
            found.update(zip(chosen, self._together([fans[i] for i in chosen], size), strict=True))
        return [found[i] for i in range(len(poses))]

    def _fan(self, pose: Pose, size: int, step_mm: float) -> Fan:
        """Return the rays of a pose in voxels of the body's box."""
        rays, towards = cast_rays(pose, size), central_direction(pose)[::-1]
        axis = int(np.argmax(np.abs(towards)))
        planes = max(1, math.ceil(self._spacing_mm / abs(towards[axis]) / step_mm - ROUNDING))
        origin = rays.origin[:, ::-1] / self._spacing_mm + self._centre
        self._check_outside(origin, axis, pose)
        along = np.copysign(np.maximum(np.abs(rays.direction[:, 2 - axis]), STEEPEST), towards[axis])
        across = [i for i in (2, 1, 0) if i != axis]  # grid_sample counts (column, row)
        slope = rays.direction[:, [2 - i for i in across]] / along[:, None]
        base = origin[:, across] + (0.5 / planes - 0.5 - origin[:, axis])[:, None] * slope
        scale = 2 / np.array(self._hu.shape)[across]
        lines = ((base + 0.5) * scale - 1, slope * scale / planes, self._spacing_mm / planes / np.abs(along))
        base_, slope_, step = (torch.tensor(x, dtype=torch.float32, device=self._device) for x in lines)
        return Fan(axis, planes, base_, slope_, step)

    def _check_outside(self, origin: npt.NDArray[np.float64], axis: int, pose: Pose) -> None:
        inside = (origin[:, axis] > -0.5) & (origin[:, axis] < self._hu.shape[axis] - 0.5)
        if inside.any() and not pose.parallel:
            raise VolumeError(f"the source lies between the first and the last plane of the body: {pose}")

    def _together(self, fans: Sequence[Fan], size: int) -> list[Projection]:
        """Return the projections along fans that cross the same planes."""
        fan = Fan.joined(fans)
        rays = len(fan.base)
        lengths = np.empty((self._books.part_rows, rays), np.float32)
        water, bone = np.empty((2, len(TISSUES), rays), np.float32)
        share = max(1, SUMS_BYTES // self._books.bytes_per_ray)
        for some in (slice(first, first + share) for first in range(0, rays, share)):
            part = fan.part(some)
            sums = march(self._planes(part), part, self._books)
            for length, met in zip(lengths, sums.counts, strict=True):
                length[some] = (met.to(torch.float32) * part.step_mm).cpu().numpy()
            density, in_bone = sums.density[: len(TISSUES)], sums.excess[: len(TISSUES)] * BONE_PER_EXCESS
            bone[:, some] = (in_bone * part.step_mm).cpu().numpy()
            water[:, some] = ((density - BONE_DENSITY * in_bone) * part.step_mm).cpu().numpy()
        stacks = [sums_.reshape(-1, len(fans), size, size) for sums_ in (lengths, water, bone)]
        poses = ([stack[:, i] for stack in stacks] for i in range(len(fans)))
        return [
            Projection(tuple(parts[rows] for rows in self._layers), water_, bone_)
            for parts, water_, bone_ in poses
        ]

    def _planes(self, fan: Fan) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield attenuation relative to water and combinations, float32 (rows, columns), plane by plane."""
        hu, ids = self._hu.movedim(fan.axis, 0), self._ids.movedim(fan.axis, 0)
        before = here = relative_attenuation(hu[0])
        for k in range(len(hu)):
            after = relative_attenuation(hu[k + 1]) if k + 1 < len(hu) else here
            combinations = ids[k].to(torch.float32)
            for j in range(fan.planes):
                offset = (j + 0.5) / fan.planes - 0.5
                yield torch.lerp(here, before if offset < 0 else after, abs(offset)), combinations
            before, here = here, after


def _books(anatomy: Anatomy, parts: npt.NDArray[np.uint8], device: torch.device) -> tuple[list[slice], Books]:
    """Return the rows of the counts that belong to each layer, and where combinations of parts are booked."""
    ends = 1 + np.cumsum([layer.count + 1 for layer in anatomy.layers])
    rows = [
        slice(int(end) - layer.count - 1, int(end)) for end, layer in zip(ends, anatomy.layers, strict=True)
    ]
    booked = parts.T.astype(np.int64) + np.array([[layer.start] for layer in rows])
    tissue = np.asarray(anatomy.tissue_of_part, np.int64)[parts[:, 0]]
    booked[:, 0], tissue[0] = 0, len(TISSUES)  # rows of their own for what lies outside, read by nobody
    booked_on, tissue_on = (torch.from_numpy(table).to(device) for table in (booked, tissue))
    return rows, Books(booked_on, tissue_on, part_rows=int(ends[-1]), tissues=len(TISSUES) + 1)
