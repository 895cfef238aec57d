"""A small U-Net in 3D that labels a thorax at 4 mm, knowing where in the chest it looks."""

from collections.abc import Sequence

import torch
from torch import nn

GRID_MM = 4.0
"""Edge length of a voxel that the network sees."""

INPUTS = 4
"""CT, and the position along each axis relative to the lungs."""

GROUPS = 8
SIZE_MULTIPLE = 8
"""Volumes are padded to whole multiples: the network halves them three times."""

LOW_HU, HIGH_HU = -1000.0, 600.0


class _Block(nn.Sequential):
    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv3d(before, after, 3, stride, 1, bias=False),
            nn.GroupNorm(GROUPS, after),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv3d(after, after, 3, 1, 1, bias=False),
            nn.GroupNorm(GROUPS, after),
            nn.LeakyReLU(0.01, inplace=True),
        )


class ThoraxNet(nn.Module):
    """Input (N, 4, slices, rows, columns), output logits (N, classes, same); class 0 is none of them."""

    def __init__(self, classes: int, widths: Sequence[int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        strides = [1] + [2] * (len(widths) - 1)
        befores = [INPUTS, *widths[:-1]]
        self.down = nn.ModuleList(_Block(b, a, s) for b, a, s in zip(befores, widths, strides, strict=True))
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(deep, fine, 2, 2) for deep, fine in pairs)
        self.merge = nn.ModuleList(_Block(2 * fine, fine) for _, fine in pairs)
        self.head = nn.Conv3d(widths[0], classes, 1)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Return the logits of a volume whose edges are multiples of 8."""
        kept = []
        for block in self.down:
            volume = block(volume)
            kept.append(volume)
        for level in reversed(range(len(self.up))):
            volume = self.merge[level](torch.cat([self.up[level](volume), kept[level]], dim=1))
        logits: torch.Tensor = self.head(volume)
        return logits


def normalised(hu: torch.Tensor) -> torch.Tensor:
    """Return HU as the network sees them: -1000 to 600 become -1 to 1."""
    return (hu.clamp(LOW_HU, HIGH_HU) - LOW_HU) / (HIGH_HU - LOW_HU) * 2 - 1
