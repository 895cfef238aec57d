"""The network: a small U-Net that thinks at half the input's resolution.

Half of all work in a U-Net is done at full resolution. Here a strided stem halves it first, and the masks'
smooth edges come from soft targets and from bilinear upsampling of the logits. Which of twelve ribs a cell
belongs to is known from afar, where its edge runs from near by: logits are the sum of what strides 8, 4 and 2
say. Nothing in it depends on the input's size, so that training may start small.
"""

from typing import NamedTuple, cast

import torch
from torch import nn

from pipeline_training.errors import TrainingError
from pipeline_training.ranks import BatchNorm

OUTPUT_STRIDE = 2
"""Input pixels for each logit pixel, along rows and columns."""

MID_GREY = 0.5
"""Taken off the input, so that it lies about 0."""

DEPTH = 5
"""Strides 2 to 32."""

SIZE_MULTIPLE = OUTPUT_STRIDE * 2 ** (DEPTH - 1)
"""Input sizes are multiples of this."""

CONTEXTS = 2
"""Strides above the finest, 8 and 4, that speak in the logits as well."""

CONTEXT_SPREAD = 0.01
"""Standard deviation of the weights that they begin with: they start by saying next to nothing."""

PRIOR_LOGIT = -3.0
"""Where logits start: a structure covers a few per cent of the picture; learning that takes many steps."""


class Outputs(NamedTuple):
    """What the network says.

    Attributes:
        logits: (batch, labels, size / 2, size / 2).
        view: (batch, 2): frontal, lateral.
    """

    logits: torch.Tensor
    view: torch.Tensor


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm and ReLU, the second one added to what the first gave."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.first_norm = BatchNorm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = BatchNorm(outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the same height and width."""
        features = torch.relu(self.first_norm(self.first(features)))
        return torch.relu(features + self.second_norm(self.second(features)))


class AnatomyNet(nn.Module):
    """U-Net over (batch, 1, size, size) inputs in [0, 1]; size a multiple of 32.

    Args:
        labels: Number of structures.
        widths: Channels at strides 2, 4, 8, 16 and 32.
    """

    def __init__(self, labels: int, widths: tuple[int, ...] = (24, 48, 80, 128, 160)) -> None:
        super().__init__()
        if len(widths) != DEPTH:
            raise TrainingError(f"widths are {DEPTH} numbers of channels, found {widths}")
        self.labels, self.widths = labels, widths
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 5, stride=2, padding=2, bias=False), BatchNorm(widths[0]), nn.ReLU()
        )
        pairs = list(zip((widths[0], *widths[:-1]), widths, strict=True))
        self.down = nn.ModuleList(Block(i, o) for i, o in pairs)
        self.up = nn.ModuleList(
            Block(deep + skip, skip) for deep, skip in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.context = nn.ModuleList(
            nn.Conv2d(width, labels, 1, bias=False) for width in widths[CONTEXTS:0:-1]
        )
        for layer in self.context:
            nn.init.normal_(layer.get_parameter("weight"), std=CONTEXT_SPREAD)
        self.head = nn.Conv2d(widths[0], labels, 1)
        nn.init.constant_(cast(torch.Tensor, self.head.bias), PRIOR_LOGIT)
        self.view = nn.Linear(widths[-1], 2)

    def forward(self, image: torch.Tensor) -> Outputs:
        """Return logits of every structure at half the input's resolution, and of the view."""
        features = self.stem(image - MID_GREY)
        skips = []
        for i, block in enumerate(self.down):
            if i:
                features = nn.functional.max_pool2d(features, 2)
            features = block(features)
            skips.append(features)
        view = self.view(skips.pop().mean(dim=(2, 3)))
        seen = []
        for block in self.up:
            features = block(torch.cat([_doubled(features), skips.pop()], dim=1))
            seen.append(features)
        first, *others = zip((*self.context, self.head), seen[-1 - CONTEXTS :], strict=True)
        logits = first[0](first[1])
        for layer, features in others:
            logits = _doubled(logits) + layer(features)
        return Outputs(logits, view)


def _doubled(features: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(features, scale_factor=2.0, mode="bilinear")
