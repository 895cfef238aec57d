"""The judge's network: a few strided convolutions, a coarse map kept in place, four answers."""

from typing import NamedTuple

import torch
from torch import nn

from ai.judge import OUTPUTS
from pipeline_training.errors import TrainingError
from pipeline_training.network import MID_GREY

JUDGE_SIZE = 128
"""Rows and columns of the input; the heart's side and a picture's kind show at this size."""

WIDTHS = (16, 32, 48, 64, 96)
"""Channels at strides 2, 4, 8, 16 and 32."""

REPEATED = (False, False, True, True, False)
"""Stages with a second convolution, where it is cheap."""

STRIDE = 2 ** len(WIDTHS)
HIDDEN = 64
DROPOUT = 0.3
"""Of the coarse map while training: a few hundred patients teach a quarter of a million weights."""


class Answers(NamedTuple):
    """Logits of each question, (batch, n): n as in `ai.judge.OUTPUTS`."""

    kind: torch.Tensor
    turn: torch.Tensor
    mirrored: torch.Tensor
    inverted: torch.Tensor


class JudgeNet(nn.Module):
    """A network over (batch, 1, size, size) inputs in [0, 1].

    The last map is flattened, not averaged: on which side of the spine the heart lies is a matter of place.

    Args:
        size: Rows and columns of the input, a multiple of 32.
    """

    def __init__(self, size: int = JUDGE_SIZE) -> None:
        super().__init__()
        if size <= 0 or size % STRIDE:
            raise TrainingError(f"a judge's input size is a multiple of {STRIDE}, found {size}")
        self.size = size
        convolutions: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
        inputs = 1
        for width, repeated in zip(WIDTHS, REPEATED, strict=True):
            convolutions.append(_convolution(inputs, width, 5 if inputs == 1 else 3, 2))
            if repeated:
                convolutions.append(_convolution(width, width, 3, 1))
            inputs = width
        self.convolutions = nn.ModuleList(conv for conv, _ in convolutions)
        self.norms = nn.ModuleList(norm for _, norm in convolutions)
        self.dropout = nn.Dropout(DROPOUT)
        self.hidden = nn.Linear(WIDTHS[-1] * (size // STRIDE) ** 2, HIDDEN)
        self.heads = nn.ModuleDict({name: nn.Linear(HIDDEN, logits) for name, logits in OUTPUTS.items()})

    def forward(self, image: torch.Tensor) -> Answers:
        """Return the logits of each question."""
        features = image - MID_GREY
        for conv, norm in zip(self.convolutions, self.norms, strict=True):
            features = torch.relu(norm(conv(features)))
        hidden = torch.relu(self.hidden(self.dropout(features.flatten(1))))
        return Answers(*(self.heads[name](hidden) for name in Answers._fields))

    def answer(self, image: torch.Tensor) -> Answers:
        """Return what is exported: `forward`, but left and right are asked of the picture and of its mirror.

        A picture is as much mirrored as its mirror image is not: half the difference of both logits is right
        more often than one of them, and has no leaning of its own.
        """
        seen, mirror = self(image), self(image.flip(3))
        return Answers(seen.kind, seen.turn, (seen.mirrored - mirror.mirrored) / 2, seen.inverted)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(outputs)
