"""Moving a body: several displacement fields, one resampling for HU and labels alike.

A field says for every new voxel from where in the scanned volume it is taken. Fields follow one another, so
that a body can breathe, bend and lower its shoulders while its voxels are interpolated only once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from pipeline_training.anatomy import Anatomy
from pipeline_training.errors import VolumeError

STRIDE_MM = 6.0
"""Between the points at which motions are computed, and folding is looked for; they are smooth."""

SLAB = 16
"""Slices moved at a time, few enough to stay in the processor's cache."""

Shape = tuple[int, ...]


class Motion(Protocol):
    """Where the voxels of a new body are taken from."""

    def pull(self, at: torch.Tensor, shape: Shape) -> torch.Tensor:
        """Return the places in the old volume of places in the new one, (..., 3) as (x, y, z) in voxels."""
        ...

    def softened(self, share: float) -> "Motion":
        """Return the same motion with what can fold a body reduced to that share."""
        ...


@dataclass(frozen=True, eq=False)
class Field:
    """A motion given by its displacement on a coarse grid over the whole volume, linear in between.

    Attributes:
        voxels: float32 (3, slices, rows, columns) of the coarse grid, its corners on the volume's: how far
            along (x, y, z) = (left, posterior, superior) the place lies that a new voxel is taken from.
    """

    voxels: npt.NDArray[np.float32]

    def pull(self, at: torch.Tensor, shape: Shape) -> torch.Tensor:
        """Return the places in the old volume of places in the new one, (..., 3) as (x, y, z) in voxels."""
        half = torch.tensor([(n - 1) / 2 for n in shape[::-1]])
        grid = (at / half - 1).reshape(1, 1, 1, -1, 3)
        field = torch.from_numpy(self.voxels)[None]
        moved = torch.nn.functional.grid_sample(field, grid, padding_mode="border", align_corners=True)
        return at + moved.reshape(3, -1).T.reshape(at.shape)

    def softened(self, share: float) -> "Field":
        """Return the field with its displacements reduced to that share."""
        return Field(self.voxels * np.float32(share))


def warp(anatomy: Anatomy, motions: Sequence[Motion]) -> Anatomy:
    """Return the anatomy moved: HU linearly, parts from the nearest voxel; the grid's shape is kept.

    The first motion says where a new voxel comes from in the body before it, and so on.

    Raises:
        VolumeError: If the lungs were moved out of the volume.
    """
    shape = anatomy.hu.shape
    coarse = pulled(shape, motions, anatomy.spacing_mm).permute(3, 0, 1, 2)
    hu = torch.from_numpy(anatomy.hu.astype(np.float32))[None, None]
    moved = np.empty(shape, np.int16)
    layers = [layer.with_parts(np.empty(shape, np.uint8)) for layer in anatomy.layers]
    for first in range(0, shape[0], SLAB):
        slab = slice(first, min(first + SLAB, shape[0]))
        at = _refined(coarse, shape, slab)
        moved[slab] = _interpolated(hu, at)
        nearest = _nearest(at, shape)
        for new, old in zip(layers, anatomy.layers, strict=True):
            new.parts[slab] = np.where(nearest < 0, np.uint8(0), old.parts.reshape(-1)[nearest])
    if not (lungs := layers[0].mask("lung")).any():
        raise VolumeError(f"{anatomy.case}: the deformed volume holds no lung")
    z, y, x = ndimage.center_of_mass(lungs)
    centre = (float(z), float(y), float(x))
    return replace(anatomy, hu=moved, organs=layers[0], regions=tuple(layers[1:]), centre=centre)


def coarse_stride(spacing_mm: float) -> int:
    """Return how many voxels apart motions are computed, 1 where the voxels are that large."""
    return max(1, round(STRIDE_MM / spacing_mm))


def thinned(mask: npt.NDArray[np.bool_], stride: int) -> npt.NDArray[np.bool_]:
    """Return every `stride`-th voxel or so, from end to end of each axis, as `Field` lies in the volume.

    >>> thinned(np.arange(8).reshape(8, 1, 1) == 7, 4).ravel()
    array([False,  True])
    """
    axes = [np.linspace(0, n - 1, math.ceil(n / stride)).round().astype(int) for n in mask.shape]
    return np.asarray(mask[np.ix_(*axes)])


def pulled(shape: Shape, motions: Sequence[Motion], spacing_mm: float) -> torch.Tensor:
    """Return where voxels of the new volume are taken from, (..., 3) as (x, y, z) in voxels.

    They are those of a grid from end to end of each axis, at most STRIDE_MM or a voxel apart.
    """
    stride = coarse_stride(spacing_mm)
    axes = [torch.linspace(0, n - 1, math.ceil((n - 1) / stride) + 1) for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    at = torch.stack([x, y, z], dim=-1)
    for motion in motions:
        at = motion.pull(at, shape)
    return at


def _refined(coarse: torch.Tensor, shape: Shape, slab: slice) -> torch.Tensor:
    """Return the places for some slices of the full grid, linear between those of the coarse one."""
    level = torch.arange(slab.start, slab.stop, dtype=torch.float32) * (
        (coarse.shape[1] - 1) / max(shape[0] - 1, 1)
    )
    low = level.floor().long().clamp(max=max(coarse.shape[1] - 2, 0))
    share = (level - low)[None, :, None, None]
    planes = coarse[:, low] * (1 - share) + coarse[:, (low + 1).clamp(max=coarse.shape[1] - 1)] * share
    fine = torch.nn.functional.interpolate(planes, size=shape[1:], mode="bilinear", align_corners=True)
    return fine.permute(1, 2, 3, 0)


def _interpolated(hu: torch.Tensor, at: torch.Tensor) -> npt.NDArray[np.int16]:
    half = torch.tensor([(n - 1) / 2 for n in hu.shape[:1:-1]])
    grid = (at / half - 1)[None]
    values = torch.nn.functional.grid_sample(hu, grid, padding_mode="border", align_corners=True)[0, 0]
    return np.asarray(values.round_().to(torch.int16).numpy(), np.int16)


def least_jacobian(shape: Shape, motions: Sequence[Motion], spacing_mm: float) -> float:
    """Return the smallest determinant of the map from new to old places; at or below 0 the body is folded."""
    at = pulled(shape, motions, spacing_mm)
    depth, rows, width = (n - 1 for n in at.shape[:3])
    apart = [side / max(n, 1) for side, n in zip((s - 1 for s in shape), (depth, rows, width), strict=True)]
    along = torch.stack(
        [torch.diff(at, dim=axis)[:depth, :rows, :width] / apart[axis] for axis in (2, 1, 0)], dim=-1
    )
    return float(torch.linalg.det(along).min())


def _nearest(at: torch.Tensor, shape: Shape) -> npt.NDArray[np.int64]:
    """Return the flat index of the nearest voxel, -1 outside the volume."""
    size = torch.tensor(shape[::-1])
    rounded = torch.round(at).long()
    inside = ((rounded >= 0) & (rounded < size)).all(dim=-1)
    x, y, z = rounded.unbind(-1)
    return torch.where(inside, (z * shape[1] + y) * shape[2] + x, -1).numpy()
