"""Other bodies from the same volume: stretched, bent, with a larger or smaller heart. Drawing is apart from applying."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from pipeline_training.anatomy import Anatomy, Layer

GRID = 6
"""Control points along each axis of the smooth displacement field."""


@dataclass(frozen=True, eq=False)
class Deformation:
    """How a body differs from the scanned one.

    Attributes:
        stretch: Factors along (superior, posterior, left); above 1 the new body is larger.
        bend_voxels: float32 (3, GRID, GRID, GRID), displacement in (left, posterior, superior), smooth.
        heart_centre: (slice, row, column).
        heart_growth: Factor of the heart's width; 1 leaves it.
        heart_radius: Voxels within which tissue follows the heart.
    """

    stretch: tuple[float, float, float]
    bend_voxels: npt.NDArray[np.float32]
    heart_centre: tuple[float, float, float]
    heart_growth: float
    heart_radius: float


def draw_deformation(anatomy: Anatomy, generator: np.random.Generator) -> Deformation:
    """Return a random body: stretched by up to 12 %, bent by some 6 mm, heart 0.85 to 1.4 times as wide."""
    stretch = generator.uniform(0.88, 1.12, 3)
    bend = generator.normal(0, 6.0 / anatomy.spacing_mm, (3, GRID, GRID, GRID)).astype(np.float32)
    heart = np.isin(anatomy.organs.parts, anatomy.organs.structures.get("heart", ()))
    centre = ndimage.center_of_mass(heart) if heart.any() else anatomy.centre
    radius = 1.6 * float(np.cbrt(max(np.count_nonzero(heart), 1) * 0.75 / np.pi)) + 8
    growth = float(generator.choice([1.0, generator.uniform(0.85, 1.4)]))
    return Deformation(tuple(float(s) for s in stretch), bend, tuple(centre), growth, radius)


def deform(anatomy: Anatomy, deformation: Deformation) -> Anatomy:
    """Return the anatomy resampled: HU linearly, parts from the nearest voxel; the grid's shape is kept."""
    grid = _sampling_grid(anatomy.hu.shape, deformation)
    hu = torch.from_numpy(anatomy.hu.astype(np.float32))[None, None]
    moved = torch.nn.functional.grid_sample(hu, grid, padding_mode="border", align_corners=True)[0, 0]
    layers = [_moved_layer(layer, grid) for layer in anatomy.layers]
    lungs = np.isin(layers[0].parts, layers[0].structures["lung"])
    centre = ndimage.center_of_mass(lungs)
    return replace(
        anatomy,
        hu=moved.round().to(torch.int16).numpy(),
        organs=layers[0],
        regions=tuple(layers[1:]),
        centre=centre,
    )


def _moved_layer(layer: Layer, grid: torch.Tensor) -> Layer:
    """Return the layer with its parts looked up at the nearest voxel; outside the volume there is none."""
    shape = layer.parts.shape
    size = torch.tensor(shape[::-1])
    at = torch.round((grid[0] + 1) / 2 * (size - 1)).long()
    inside = ((at >= 0) & (at < size)).all(dim=-1)
    at = at.clamp_min(0).minimum(size - 1)
    flat = (at[..., 2] * shape[1] + at[..., 1]) * shape[2] + at[..., 0]
    moved = Layer(shape)
    moved.structures = dict(layer.structures)
    moved._count = layer.count
    moved.parts = np.where(inside.numpy(), layer.parts.reshape(-1)[flat.numpy()], 0).astype(np.uint8)
    return moved


def _sampling_grid(shape: tuple[int, ...], deformation: Deformation) -> torch.Tensor:
    """Return where each new voxel is taken from, (1, slices, rows, columns, 3) as (x, y, z) in [-1, 1]."""
    axes = [torch.linspace(-1, 1, n) / float(s) for n, s in zip(shape, deformation.stretch, strict=True)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([x, y, z], dim=-1)
    half = torch.tensor([(n - 1) / 2 for n in shape[::-1]])
    bend = torch.from_numpy(deformation.bend_voxels)[None]
    smooth = torch.nn.functional.interpolate(bend, size=shape, mode="trilinear", align_corners=True)[0]
    grid += smooth.permute(1, 2, 3, 0) / half
    heart = torch.tensor(deformation.heart_centre[::-1], dtype=torch.float32) / half - 1
    away = (grid - heart) * half
    nearness = torch.exp(-0.5 * (away.norm(dim=-1) / deformation.heart_radius) ** 2 * 4)
    return (grid - (away * (1 - 1 / deformation.heart_growth) * nearness[..., None]) / half)[None]
