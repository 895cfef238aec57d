"""Other bodies from the same volume: stretched, bent, with a larger or smaller heart.

Drawing a body is apart from applying it.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from pipeline_training.anatomy import Anatomy
from pipeline_training.warp import Field, Shape, warp

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

    def pull(self, at: torch.Tensor, shape: Shape) -> torch.Tensor:
        """Return the places in the old volume of places in the new one, (..., 3) as (x, y, z) in voxels."""
        middle = torch.tensor([(n - 1) / 2 for n in shape[::-1]])
        stretched = (at - middle) / torch.tensor(self.stretch[::-1], dtype=torch.float32) + middle
        bent = stretched + (Field(self.bend_voxels).pull(at, shape) - at)
        away = bent - torch.tensor(self.heart_centre[::-1], dtype=torch.float32)
        nearness = torch.exp(-2 * (away.norm(dim=-1) / self.heart_reach) ** 2)
        return bent - away * (1 - 1 / self.heart_growth) * nearness[..., None]

    def softened(self, share: float) -> "Deformation":
        """Return the deformation bent, and its heart grown, only by that share."""
        growth = 1 + (self.heart_growth - 1) * share
        return replace(self, bend_voxels=self.bend_voxels * np.float32(share), heart_growth=growth)


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
    return warp(anatomy, [deformation])


def _centre(mask: npt.NDArray[np.bool_]) -> Point:
    z, y, x = ndimage.center_of_mass(mask)
    return float(z), float(y), float(x)
