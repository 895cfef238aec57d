"""Looks at pictures: another frame, other film, any presentation, all as the node would see them.

A look is made in four steps, each a function: lay the picture on the network's grid, change its grey values,
show it turned, mirrored or inverted, normalise. All pictures of a batch are treated at once.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ai.appearance import TURNS, Presentation
from ai.preprocess import HIGH_PERCENTILE, LOW_PERCENTILE

UPRIGHT_SHARE = 0.4
"""Of the looks that are not turned; the other turns share the rest."""

ZOOM = (-0.25, 0.18)
"""Natural logarithm of the frame over the picture: from four fifths of it to a fifth more than all of it."""

QUANTILE_STEP = 4
"""Every so many pixels are sorted for the percentiles of a look."""


@dataclass(frozen=True, eq=False)
class Frames:
    """How pictures lie on the network's grid.

    Attributes:
        theta: float32 (n, 2, 3), from grid to picture, as affine_grid takes it.
        film: bool (n, 1, size, size), where the picture is and not the letterbox's border.
    """

    theta: torch.Tensor
    film: torch.Tensor


def draw_frames(aspects: torch.Tensor, size: int, dice: torch.Generator) -> Frames:
    """Return frames for pictures of these aspects: zoomed, rotated by some 6 degrees, moved, squashed."""
    count = len(aspects)
    aspect = aspects * torch.exp(0.15 * torch.randn(count, generator=dice))
    half = torch.stack([aspect.clamp(max=1), (1 / aspect).clamp(max=1)], dim=1)  # of the film, (x, y)
    zoom = torch.exp(_uniform(count, *ZOOM, dice))[:, None] * torch.exp(
        0.05 * torch.randn(count, 2, generator=dice)
    )
    angle = torch.deg2rad(6 * torch.randn(count, generator=dice))
    cos, sin = torch.cos(angle), torch.sin(angle)
    rotation = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    linear = rotation * (zoom / half)[:, None, :]
    shift = 0.16 * (2 * torch.rand(count, 2, generator=dice) - 1)
    centres = (torch.arange(size) + 0.5) / size * 2 - 1
    inside = (centres.abs()[None, None, :] <= half[:, 0, None, None]) & (
        centres.abs()[None, :, None] <= half[:, 1, None, None]
    )
    return Frames(torch.cat([linear, shift[:, :, None]], dim=2), inside[:, None])


def lay(pictures: torch.Tensor, frames: Frames, dice: torch.Generator) -> torch.Tensor:
    """Return pictures (n, 1, s, s) on the grid (n, 1, size, size); beyond each lies one grey, or its edge."""
    shape = [len(pictures), 1, *frames.film.shape[2:]]
    grid = functional.affine_grid(frames.theta, shape, align_corners=False)
    seen = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    beyond = (grid.abs().amax(dim=3) > 1)[:, None]
    grey = torch.rand(len(pictures), generator=dice)
    grey = torch.where(grey < 0.5, 0.0, torch.where(grey < 0.7, 1.0, grey))[:, None, None, None]
    fills = (torch.rand(len(pictures), generator=dice) < 0.7)[:, None, None, None]
    return torch.where(beyond & fills, grey, seen)


def restyled(images: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """Return images (n, 1, size, size) as other machines, and other patients, would have shown them."""
    count = len(images)
    images = images.clamp(0, 1) ** _each(torch.exp(_uniform(count, -0.8, 0.8, dice)))
    coarse = functional.avg_pool2d(functional.avg_pool2d(images, 4), 7, 1, 3, count_include_pad=False)
    wide = functional.interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=False)
    images = images - _each(_uniform(count, 0, 0.8, dice) * _chosen(count, 0.5, dice)) * (wide - 0.5)
    soft = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    images = torch.lerp(images, soft, _each(_uniform(count, -0.7, 1.0, dice)))
    for cells in (3, 6):
        coarse = torch.randn(count, 1, cells, cells, generator=dice)
        field = functional.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=False)
        images = images + _each(_uniform(count, 0, 0.12, dice)) * field
    noise = torch.randn(images.shape, generator=dice)
    return images + _each(_uniform(count, 0.0, 0.04, dice)) * noise


def draw_presentations(count: int, generator: np.random.Generator) -> list[Presentation]:
    """Return how looks are shown: 40 % not turned, half mirrored, half inverted."""
    shares = [UPRIGHT_SHARE, *[(1 - UPRIGHT_SHARE) / 3] * 3]
    turns = generator.choice(TURNS, count, p=shares)
    mirrored, inverted = generator.random((2, count)) < 0.5
    return [Presentation(int(t), bool(m), bool(i)) for t, m, i in zip(turns, mirrored, inverted, strict=True)]


def shown(stack: torch.Tensor, presentations: list[Presentation]) -> torch.Tensor:
    """Return a stack (n, 1, size, size) lying as the presentations say; `Presentation.to_shown` for many."""
    result = torch.empty_like(stack)
    for way in {(each.turn, each.mirrored) for each in presentations}:
        chosen = [i for i, each in enumerate(presentations) if (each.turn, each.mirrored) == way]
        part = stack[chosen].flip(3) if way[1] else stack[chosen]
        result[chosen] = torch.rot90(part, way[0] // 90, (2, 3))
    return result


def normalised(images: torch.Tensor, film: torch.Tensor) -> torch.Tensor:
    """Return images scaled to [0, 1] by the film's percentiles, 0 beyond it, as `network_input` does."""
    values = torch.where(film, images, torch.nan).flatten(1)[:, ::QUANTILE_STEP]
    ends = torch.tensor([LOW_PERCENTILE, HIGH_PERCENTILE], dtype=images.dtype) / 100
    low, high = torch.nanquantile(values, ends, dim=1)
    scaled = (images - _each(low)) / _each((high - low).clamp(min=1e-6))
    return torch.where(film, scaled.clamp(0, 1), 0.0)


def look(
    pictures: torch.Tensor,
    aspects: torch.Tensor,
    presentations: list[Presentation],
    size: int,
    dice: torch.Generator,
) -> torch.Tensor:
    """Return what the network sees of pictures uint8 (n, 1, s, s): float32 (n, 1, size, size)."""
    frames = draw_frames(aspects, size, dice)
    images = restyled(lay(pictures.float() / 255, frames, dice), dice)
    inverted = torch.tensor([each.inverted for each in presentations])
    images = torch.where(_each(inverted), 1 - images, images)
    return normalised(shown(images, presentations), shown(frames.film, presentations))


def _uniform(count: int, low: float, high: float, dice: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(count, generator=dice)


def _chosen(count: int, share: float, dice: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=dice) < share


def _each(values: torch.Tensor) -> torch.Tensor:
    """Return one value an image (n,) so that it meets (n, 1, size, size)."""
    return values[:, None, None, None]
