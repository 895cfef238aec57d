"""Whether what a viewer drew over a radiograph lies where the masks lie, in their colours. Arrays only.

A screen pixel shows (1 - alpha) x film + alpha x colour of the structure. The film is known from a picture
taken with everything hidden, so the colour can be found again, whatever alpha the viewer took.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Picture = npt.NDArray[np.uint8]
"""Shape (height, width, 3): sRGB, as it stood on the screen."""

Field = npt.NDArray[np.bool_]
Points = Sequence[tuple[float, float]]

CHANGED = 4
"""So much must a channel (0 to 255) differ for a pixel to count as drawn on: rounding makes 1."""

MARGIN = 2
"""Screen pixels on either side of an edge that are nobody's: interpolation and rounding."""

OUTLINE = 5
"""Screen pixels inside an edge that a viewer's own outline may take: 3 in OHIF where it is not left out."""

LEAST_IOU = 0.95
"""Of a structure of at least `LARGE` screen pixels. A shift by 1 % of the picture already falls below."""

LARGE = 4000
LEAST_SMALL_IOU = 0.8
"""Of a smaller structure, where the edge is a larger part of the whole."""

MOST_OUTSIDE = 0.001
"""Share of the pixels away from every mask that may have changed: a mark that blinks, not a structure."""

MOST_COLOUR_DISTANCE = 5.0
"""In sRGB (0 to 441). Measured: at most 1; right and left of a pair lie 12 and more apart."""


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of an image lie on a canvas, both in pixels; (x, y) each.

    Attributes:
        first: Centre of the image's first pixel.
        column_step: From one column to the next.
        row_step: From one row to the next.
    """

    first: tuple[float, float]
    column_step: tuple[float, float]
    row_step: tuple[float, float]

    def on_canvas(self, points: Points) -> npt.NDArray[np.float64]:
        """Return points of the image (column, row; the first pixel covers [0, 1) x [0, 1)) as (x, y)."""
        across, down = (np.array(points, np.float64).reshape(-1, 2) - 0.5).T
        steps = np.array([self.column_step, self.row_step])
        return np.asarray(self.first + np.stack([across, down], axis=1) @ steps)

    def mask_on_canvas(self, mask: Field, size: tuple[int, int]) -> Field:
        """Return a mask (rows, columns) as a canvas of (height, width) shows it, nearest neighbour."""
        y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
        steps = np.array([self.column_step, self.row_step]).T
        away = np.stack([x - self.first[0], y - self.first[1]]).reshape(2, -1)
        columns, rows = np.rint(np.linalg.solve(steps, away)).astype(int)
        inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
        shown = np.zeros(size[0] * size[1], np.bool_)
        shown[inside] = mask[rows[inside], columns[inside]]
        return shown.reshape(size)


@dataclass(frozen=True)
class Comparison:
    """How a structure was drawn.

    Attributes:
        name: Of the structure.
        pixels: Screen pixels that it should take.
        iou: Of drawn and expected pixels.
        filled: Share of its inside, outline left out, that was drawn on.
        outside: Share of the rest of the screen, away from it, that was drawn on.
        colour_distance: Of the colour that was drawn from the structure's own, in sRGB; NaN where not asked.
    """

    name: str
    pixels: int
    iou: float
    filled: float
    outside: float
    colour_distance: float

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words; empty where the structure is drawn as it should be."""
        least = LEAST_IOU if self.pixels >= LARGE else LEAST_SMALL_IOU
        found = [] if self.iou >= least else [f"IoU {self.iou:.3f} is below {least:g}"]
        if self.filled < LEAST_IOU:
            found.append(f"only {self.filled:.1%} of its inside is drawn")
        if self.outside > MOST_OUTSIDE:
            found.append(f"{self.outside:.2%} of the screen outside is drawn on")
        if self.colour_distance > MOST_COLOUR_DISTANCE:
            found.append(f"its colour is {self.colour_distance:.0f} away")
        return found


def drawn(shown: Picture, hidden: Picture) -> Field:
    """Return the pixels in which two pictures differ: what lies over the film."""
    return np.asarray(np.abs(shown.astype(int) - hidden).max(axis=2) >= CHANGED)


def compare(
    name: str, shown: Picture, hidden: Picture, expected: Field, colour: tuple[int, int, int] | None
) -> Comparison:
    """Return how a structure that was shown alone was drawn.

    Args:
        name: Of the structure.
        shown: The screen with it.
        hidden: The same without it.
        expected: Where it should be on the screen, at least one pixel.
        colour: Its own, sRGB; None for several structures together, whose colours mix.
    """
    over = drawn(shown, hidden)
    near = ndimage.binary_dilation(expected, iterations=MARGIN)
    inside = eroded(expected, OUTLINE)
    distance = float("nan") if colour is None else colour_distance(shown, hidden, inside, colour)
    return Comparison(
        name=name,
        pixels=int(expected.sum()),
        iou=float((over & expected).sum() / (over | expected).sum()),
        filled=float(over[inside].mean()),
        outside=float(over[~near].mean()) if not near.all() else 0.0,
        colour_distance=distance,
    )


def eroded(mask: Field, pixels: int) -> Field:
    """Return a mask without its edge; as much of the edge stays as a thin mask needs not to vanish."""
    for iterations in range(pixels, 0, -1):
        inner = ndimage.binary_erosion(mask, iterations=iterations)
        if inner.any():
            return np.asarray(inner)
    return mask


def colour_distance(shown: Picture, hidden: Picture, inside: Field, colour: tuple[int, int, int]) -> float:
    """Return how far the colour that was blended in lies from `colour`, in sRGB.

    Alpha is the one that explains the pixels best. Where nothing was drawn, no alpha does: infinity.
    """
    change = shown[inside].astype(float) - hidden[inside]
    whole = np.array(colour, float) - hidden[inside]
    alpha = float((change * whole).sum() / (whole * whole).sum())
    if alpha < 0.05:
        return float("inf")
    blended = (hidden[inside] + change / alpha).mean(axis=0)
    return float(np.linalg.norm(blended - colour))


def coloured(picture: Picture, least: int = 60) -> Field:
    """Return the pixels that are not grey: lines and text over a film."""
    return np.asarray(np.ptp(picture.astype(int), axis=2) >= least)


def line_hits(picture: Picture, points: npt.NDArray[np.float64], reach: int = 2) -> float:
    """Return the share of a line, sampled at every screen pixel, that has a coloured pixel in reach.

    Args:
        picture: The screen.
        points: (x, y) on it, in order, shape (N, 2); parts beyond the screen are left out.
        reach: Screen pixels. A dashed line whose gaps are shorter than twice as long counts as whole.
    """
    near = ndimage.binary_dilation(coloured(picture), np.ones((3, 3), np.bool_), iterations=reach)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    counts = np.maximum(np.ceil(lengths).astype(int), 1)
    pieces = [
        np.linspace(a, b, n, endpoint=False) for a, b, n in zip(points[:-1], points[1:], counts, strict=True)
    ]
    x, y = np.floor(np.concatenate([*pieces, points[-1:]])).astype(int).T
    on_screen = (x >= 0) & (y >= 0) & (x < near.shape[1]) & (y < near.shape[0])
    return float(near[y[on_screen], x[on_screen]].mean()) if on_screen.any() else 0.0
