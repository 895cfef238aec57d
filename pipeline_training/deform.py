"""Other bodies from the same volume: stretched, bent, with a larger or smaller heart.

Drawing a body is apart from applying it.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.errors import VolumeError

GRID = 6
"""Control points along each axis of the displacement field, which is linear between them."""

BEND_MM = 6.0
"""Standard deviation of the displacement at a control point."""

STRETCH = (0.88, 1.12)
HEART_GROWTH = (0.85, 1.4)
"""Of every other body; the others keep the heart of the scan."""

REACH_IN_RADII = 1.6
REACH_BEYOND_VOXELS = 8.0
"""How far the tissue around the heart follows it."""

Point = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Deformation:
    """How a body differs from the scanned one.

    Attributes:
        stretch: Factors along (superior, posterior, left); above 1 the new body is larger.
        bend_voxels: float32 (3, GRID, GRID, GRID), voxels towards (left, posterior, superior)
            from a new voxel to the place in the scanned body that it is taken from.
        heart_centre: (slice, row, column) in the scanned body.
        heart_growth: Factor by which the heart grows at its centre, falling off as exp(-2 (r / reach)^2),
            so that its outline grows by about half of the excess over 1; 1 leaves it.
        heart_reach: In voxels, see there.
    """

    stretch: Point
    bend_voxels: npt.NDArray[np.float32]
    heart_centre: Point
    heart_growth: float
    heart_reach: float


def draw_deformation(anatomy: Anatomy, generator: np.random.Generator) -> Deformation:
    """Return a random body: stretched by up to 12 %, bent by some 6 mm, every other heart changed."""
    stretch = generator.uniform(*STRETCH, 3)
    bend = generator.normal(0, BEND_MM / anatomy.spacing_mm, (3, GRID, GRID, GRID)).astype(np.float32)
    heart = anatomy.organs.mask("heart")
    voxels = max(int(heart.sum()), 1)
    centre = _centre(heart) if heart.any() else anatomy.centre
    radius = float(np.cbrt(voxels * 0.75 / np.pi))
    growth = float(generator.choice([1.0, generator.uniform(*HEART_GROWTH)]))
    reach = REACH_IN_RADII * radius + REACH_BEYOND_VOXELS
    return Deformation((float(stretch[0]), float(stretch[1]), float(stretch[2])), bend, centre, growth, reach)


def deform(anatomy: Anatomy, deformation: Deformation) -> Anatomy:
    """Return the anatomy resampled: HU linearly, parts from the nearest voxel; the grid's shape is kept.

    Raises:
        VolumeError: If the lungs were bent out of the volume.
    """
    grid = _sampling_grid(anatomy.hu.shape, deformation)
    hu = torch.from_numpy(anatomy.hu.astype(np.float32))[None, None]
    moved = torch.nn.functional.grid_sample(hu, grid, padding_mode="border", align_corners=True)[0, 0]
    organs = _moved_layer(anatomy.organs, grid)
    if not (lungs := organs.mask("lung")).any():
        raise VolumeError(f"{anatomy.case}: the deformed volume holds no lung")
    return replace(
        anatomy,
        hu=moved.round().to(torch.int16).numpy(),
        organs=organs,
        regions=tuple(_moved_layer(layer, grid) for layer in anatomy.regions),
        centre=_centre(lungs),
    )


def _centre(mask: npt.NDArray[np.bool_]) -> Point:
    z, y, x = ndimage.center_of_mass(mask)
    return float(z), float(y), float(x)


def _moved_layer(layer: Layer, grid: torch.Tensor) -> Layer:
    """Return the layer with its parts looked up at the nearest voxel; outside the volume there is none."""
    shape = layer.parts.shape
    size = torch.tensor(shape[::-1])
    at = torch.round((grid[0] + 1) / 2 * (size - 1)).long()
    inside = ((at >= 0) & (at < size)).all(dim=-1)
    at = at.clamp_min(0).minimum(size - 1)
    flat = (at[..., 2] * shape[1] + at[..., 1]) * shape[2] + at[..., 0]
    parts = np.where(inside.numpy(), layer.parts.reshape(-1)[flat.numpy()], 0)
    return layer.with_parts(parts.astype(np.uint8))


def _sampling_grid(shape: tuple[int, ...], deformation: Deformation) -> torch.Tensor:
    """Return where each new voxel is taken from, (1, slices, rows, columns, 3) as (x, y, z) in [-1, 1]."""
    axes = [torch.linspace(-1, 1, n) / float(s) for n, s in zip(shape, deformation.stretch, strict=True)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([x, y, z], dim=-1)
    half = torch.tensor([(n - 1) / 2 for n in shape[::-1]])
    bend = torch.from_numpy(deformation.bend_voxels)[None]
    bent = torch.nn.functional.interpolate(bend, size=list(shape), mode="trilinear", align_corners=True)[0]
    grid += bent.permute(1, 2, 3, 0) / half
    heart = torch.tensor(deformation.heart_centre[::-1], dtype=torch.float32) / half - 1
    away = (grid - heart) * half
    nearness = torch.exp(-2 * (away.norm(dim=-1) / deformation.heart_reach) ** 2)
    return (grid - (away * (1 - 1 / deformation.heart_growth) * nearness[..., None]) / half)[None]
