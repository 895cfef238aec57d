"""Where an image and what belongs to it lie on a smaller picture of it: one scale for all of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ai.orientation import Point
from ai.segmentation import Mask

MAX_SIDE = 1024
"""Longest side of a picture, in pixels; a smaller image is not enlarged."""

HALF = 128
"""A pixel of the picture belongs to a structure that covers half of it, of 255."""


@dataclass(frozen=True)
class Canvas:
    """The picture of an image, which lies as its stored pixels do.

    Attributes:
        rows: Of the image.
        columns: Of the image.
    """

    rows: int
    columns: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture.

        >>> Canvas(2500, 2048).size, Canvas(300, 200).size
        ((839, 1024), (200, 300))
        """
        scale = min(1.0, MAX_SIDE / max(self.rows, self.columns))
        return max(1, round(self.columns * scale)), max(1, round(self.rows * scale))

    @property
    def scales(self) -> tuple[float, float]:
        """Pixels of the picture that one of the image takes, across and down."""
        width, height = self.size
        return width / self.columns, height / self.rows

    def point(self, point: Point) -> Point:
        """Return (x, y) on the picture of (column, row) on the image."""
        across, down = self.scales
        return point[0] * across, point[1] * down

    def shrunk(self, mask: Mask) -> npt.NDArray[np.bool_]:
        """Return a mask of the image, (height, width), as it lies on the picture; never an empty one.

        Of a structure so thin that it covers no pixel by half every pixel that it touches is left.
        """
        width, height = self.size
        found = np.zeros((height, width), np.bool_)
        if (height, width) == (self.rows, self.columns):
            return mask.dense((height, width))
        across, down = self.scales
        left, top = int(mask.left * across), int(mask.top * down)
        right = min(width, int(mask.right * across) + 1)
        bottom = min(height, int(mask.bottom * down) + 1)
        margin = int(max(1 / across, 1 / down)) + 2
        box = (
            left / across - mask.left + margin,
            top / down - mask.top + margin,
            right / across - mask.left + margin,
            bottom / down - mask.top + margin,
        )
        crop = Image.fromarray(np.pad(mask.pixels, margin).astype(np.uint8) * np.uint8(255))
        covered = np.asarray(crop.resize((right - left, bottom - top), Image.Resampling.BOX, box))
        shown = covered >= HALF
        found[top:bottom, left:right] = shown if shown.any() else covered > 0
        return found
