"""Extents and outlines of masks, in image coordinates, robust against thin spurs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ai.segmentation import Mask

Point = tuple[float, float]
"""(column, row) in image coordinates: pixel (0, 0) covers [0, 1) x [0, 1)."""

SPUR_FRACTION = 0.02
"""A protrusion thinner than this fraction of the structure's height is a spur and does not count for widths.
Of an ellipse this trims 0.02 % of the width."""

EDGE_FRACTION = 0.05
"""A structure is cut off where this fraction of its own height or width lies on the border of the image."""

PIECE_FRACTION = 0.05
"""Pieces smaller than this fraction of the mask get no outline."""

MAX_OUTLINE_POINTS = 200


@dataclass(frozen=True)
class Extent:
    """The outermost points of a mask at the image's left and right, each at a vertical pixel edge."""

    left: Point
    right: Point

    @property
    def width(self) -> float:
        """Horizontal distance in pixels."""
        return self.right[0] - self.left[0]


def horizontal_extent(mask: Mask) -> Extent:
    """Return the outermost points of the columns filled by at least SPUR_FRACTION of the mask's height."""
    filled = np.count_nonzero(mask.pixels, axis=0)
    columns = np.flatnonzero(filled >= SPUR_FRACTION * mask.pixels.shape[0])
    if not columns.size:
        columns = np.flatnonzero(filled)
    first, last = int(columns[0]), int(columns[-1])
    return Extent(
        left=(float(mask.left + first), _middle_row(mask, first)),
        right=(float(mask.left + last + 1), _middle_row(mask, last)),
    )


def _middle_row(mask: Mask, column: int) -> float:
    return float(np.flatnonzero(mask.pixels[:, column]).mean()) + mask.top + 0.5


def outer_edges(mask: Mask, side: str) -> npt.NDArray[np.float64]:
    """Return the column of the mask's edge towards the image's "left" or "right" on each of its rows.

    Rows without a pixel hold NaN. A median over SPUR_FRACTION of the height to either side removes spurs.
    """
    filled = mask.pixels.any(axis=1)
    if side == "left":
        edges = mask.left + mask.pixels.argmax(axis=1).astype(np.float64)
    else:
        edges = mask.right - mask.pixels[:, ::-1].argmax(axis=1).astype(np.float64)
    window = 2 * int(SPUR_FRACTION * mask.pixels.shape[0]) + 1
    smooth = np.asarray(ndimage.median_filter(edges, window, mode="nearest"), np.float64)
    smooth[~filled] = np.nan
    return smooth


def vertical_extent(mask: Mask) -> tuple[Point, Point]:
    """Return the highest and the lowest point of the rows filled by at least SPUR_FRACTION of the width."""
    extent = horizontal_extent(_turned(mask))
    return extent.left[::-1], extent.right[::-1]


def level_edges(mask: Mask, side: str) -> npt.NDArray[np.float64]:
    """Return the row of the mask's edge towards the image's "top" or "bottom" on each of its columns.

    Columns without a pixel hold NaN. A median removes spurs, as in `outer_edges`.
    """
    return outer_edges(_turned(mask), {"top": "left", "bottom": "right"}[side])


def _turned(mask: Mask) -> Mask:
    """Return the mask with rows and columns exchanged."""
    return Mask(mask.pixels.T, mask.left, mask.top)


def cut_off(mask: Mask, shape: tuple[int, int], at_top: bool = True) -> bool:
    """Whether a considerable part of the mask lies on the border of an image of `shape` (rows, columns).

    Widths do not suffer from a structure that is cut at its top: `at_top=False` lets that pass.
    """
    return bool(cut_sides(mask, shape) - (set() if at_top else {"top"}))


def cut_sides(mask: Mask, shape: tuple[int, int]) -> frozenset[str]:
    """Return at which borders of an image of `shape` (rows, columns) the mask is cut off.

    They are of "top", "bottom", "left" and "right": those on which more than EDGE_FRACTION of the mask's own
    width or height lies.
    """
    height, width = mask.pixels.shape
    shares = {
        "top": (mask.top == 0) * np.count_nonzero(mask.pixels[0]) / width,
        "bottom": (mask.bottom == shape[0]) * np.count_nonzero(mask.pixels[-1]) / width,
        "left": (mask.left == 0) * np.count_nonzero(mask.pixels[:, 0]) / height,
        "right": (mask.right == shape[1]) * np.count_nonzero(mask.pixels[:, -1]) / height,
    }
    return frozenset(side for side, share in shares.items() if share > EDGE_FRACTION)


def outlines(mask: Mask) -> tuple[tuple[Point, ...], ...]:
    """Return the outline of each piece, the largest first: polygons of at most MAX_OUTLINE_POINTS points.

    Holes are not drawn; pieces below PIECE_FRACTION of the mask are left out.
    """
    pieces, count = ndimage.label(mask.pixels)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    areas[0] = 0
    wanted = [p for p in np.argsort(-areas, kind="stable") if areas[p] >= max(1, PIECE_FRACTION * mask.area)]
    traced = (trace(pieces == piece) for piece in wanted or [int(areas.argmax())])
    offset = np.array([mask.left, mask.top], np.float64)
    return tuple(tuple((float(c), float(r)) for c, r in simplify(path) + offset) for path in traced)


def trace(pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the closed path around the topmost piece: (points, 2) of (column, row), clockwise.

    Pieces are joined by sides, not by corners. The points are the middles of the pixel edges passed, so that
    a diagonal is straight and not a staircase.
    """
    following = _directed_edges(pixels)
    row = int(pixels.any(axis=1).argmax())
    start = (int(pixels[row].argmax()), row)
    at, step, path = start, (1, 0), []
    while True:
        step = next(turn for turn in _clockwise(step) if turn in following[at])
        path.append((at[0] + step[0] / 2, at[1] + step[1] / 2))
        at = (at[0] + step[0], at[1] + step[1])
        if at == start:
            return np.array(path, np.float64)


def _clockwise(step: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return the turns to try, the sharpest clockwise one first (rows point down)."""
    right = (-step[1], step[0])
    return right, step, (step[1], -step[0])


def _directed_edges(pixels: npt.NDArray[np.bool_]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Return the steps that leave each corner along an edge with the mask on its clockwise side."""
    padded = np.pad(pixels, 1)
    inside = padded[1:-1, 1:-1]
    sides = (
        (inside & ~padded[:-2, 1:-1], (0, 0), (1, 0)),
        (inside & ~padded[1:-1, 2:], (1, 0), (0, 1)),
        (inside & ~padded[2:, 1:-1], (1, 1), (-1, 0)),
        (inside & ~padded[1:-1, :-2], (0, 1), (0, -1)),
    )
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for border, (dx, dy), step in sides:
        for row, column in np.argwhere(border).tolist():
            following.setdefault((column + dx, row + dy), []).append(step)
    return following


def simplify(path: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the closed path with at most MAX_OUTLINE_POINTS of its points (Douglas and Peucker 1973).

    The tolerance starts at half a pixel, below what can be seen, and grows only as far as is needed.
    """
    tolerance = 0.5
    kept = _keep(path, tolerance)
    while len(kept) > MAX_OUTLINE_POINTS:
        tolerance *= 1.5
        kept = _keep(path, tolerance)
    return kept


def _keep(path: npt.NDArray[np.float64], tolerance: float) -> npt.NDArray[np.float64]:
    if len(path) < 5:
        return path
    far = int(np.hypot(*(path - path[0]).T).argmax())
    keep = np.zeros(len(path), np.bool_)
    keep[[0, far]] = True
    spans = [(0, far), (far, len(path))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(path[first + 1 : last], path[first], path[last % len(path)])
        split = int(distances.argmax())
        if distances[split] > tolerance:
            keep[first + 1 + split] = True
            spans += [(first, first + 1 + split), (first + 1 + split, last)]
    return path[keep]


def _distances(
    points: npt.NDArray[np.float64], first: npt.NDArray[np.float64], last: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the distance of each point from the chord."""
    along = last - first
    length = float(np.hypot(*along))
    offset = points - first
    if not length:
        return np.asarray(np.hypot(*offset.T), np.float64)
    return np.asarray(np.abs(along[0] * offset[:, 1] - along[1] * offset[:, 0]) / length, np.float64)
