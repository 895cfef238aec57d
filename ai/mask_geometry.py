"""Extents and outlines of masks, in image coordinates, robust against thin spurs."""

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

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
    known = _EDGES.setdefault(mask, {})
    if side not in known:
        known[side] = _outer_edges(mask, side)
    return known[side]


_EDGES: WeakKeyDictionary[Mask, dict[str, npt.NDArray[np.float64]]] = WeakKeyDictionary()
"""Of masks that are still in use: most measurements ask for the width of the thorax."""


def _outer_edges(mask: Mask, side: str) -> npt.NDArray[np.float64]:
    filled = mask.pixels.any(axis=1)
    if side == "left":
        edges = mask.left + mask.pixels.argmax(axis=1).astype(np.float64)
    else:
        edges = mask.right - mask.pixels[:, ::-1].argmax(axis=1).astype(np.float64)
    window = 2 * int(SPUR_FRACTION * mask.pixels.shape[0]) + 1
    smooth = np.asarray(ndimage.median_filter(edges, window, mode="nearest"), np.float64)
    smooth[~filled] = np.nan
    smooth.flags.writeable = False
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
    known = _OUTLINES.get(mask)
    if known is None:
        known = _OUTLINES[mask] = tuple(_outlines(mask))
    return known


_OUTLINES: WeakKeyDictionary[Mask, tuple[tuple[Point, ...], ...]] = WeakKeyDictionary()
"""Of masks that are still in use: a lung is drawn for its area and again for its share."""


def _outlines(mask: Mask) -> Iterator[tuple[Point, ...]]:
    offset = np.array([mask.left, mask.top], np.float64)
    for piece in _pieces(mask):
        yield tuple((float(c), float(r)) for c, r in simplify(trace(piece)) + offset)


def _pieces(mask: Mask) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield the pieces of a mask that get an outline, the largest first, each in the crop of the whole."""
    if mask.largest_piece == 1:
        yield mask.pixels
        return
    pieces, count = ndimage.label(mask.pixels)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    areas[0] = 0
    wanted = [p for p in np.argsort(-areas, kind="stable") if areas[p] >= max(1, PIECE_FRACTION * mask.area)]
    for piece in wanted or [int(areas.argmax())]:
        yield pieces == piece


def trace(pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the closed path around the topmost piece: (points, 2) of (column, row), clockwise.

    Pieces are joined by sides, not by corners. The points are the middles of the pixel edges passed, so that
    a diagonal is straight and not a staircase.
    """
    leaving = _leaving(pixels)
    edges = np.flatnonzero(leaving)
    direction, corner = np.divmod(edges, leaving[0].size)
    reached = corner + np.array([1, leaving.shape[2], -1, -leaving.shape[2]])[direction]
    flat = leaving.reshape(4, -1)
    clockwise, ahead = (direction + 1) % 4, direction
    turned = np.where(flat[ahead, reached], ahead, (direction + 3) % 4)
    turned = np.where(flat[clockwise, reached], clockwise, turned)
    following = np.searchsorted(edges, turned * leaving[0].size + reached).tolist()
    row = int(pixels.any(axis=1).argmax())
    first = int(np.searchsorted(edges, row * leaving.shape[2] + int(pixels[row].argmax())))
    passed, at = [first], following[first]
    while at != first:
        passed.append(at)
        at = following[at]
    rows, columns = np.divmod(corner[passed], leaving.shape[2])
    steps = _STEPS[direction[passed]]
    return np.stack([columns, rows], axis=1) + steps / 2


_STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float64)
"""(column, row) of a step to the right, down, to the left, up: each turns clockwise from the one before."""


def _leaving(pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return (4, rows + 1, columns + 1): in which direction of _STEPS an edge leaves each corner.

    The mask is on the clockwise side of an edge.
    """
    padded = np.pad(pixels, 1)
    above_left, above_right = padded[:-1, :-1], padded[:-1, 1:]
    below_left, below_right = padded[1:, :-1], padded[1:, 1:]
    return np.stack(
        [
            below_right & ~above_right,
            below_left & ~below_right,
            above_left & ~below_left,
            above_right & ~above_left,
        ]
    )


def simplify(path: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the closed path with at most MAX_OUTLINE_POINTS of its points (Douglas and Peucker 1973).

    The tolerance starts at half a pixel, below what can be seen, and grows only as far as is needed.
    """
    if len(path) < 5:
        return path
    tolerance = 0.5
    needed = _needed(path, tolerance)
    while np.count_nonzero(needed > tolerance) > MAX_OUTLINE_POINTS:
        tolerance *= 1.5
    return path[needed > tolerance]


def _needed(path: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.float64]:
    """Return up to which tolerance each point of a closed path is kept; 0 for those below the least.

    A point is kept if it and every point at which the path was split before it stick out by more.
    """
    far = int(np.hypot(*(path - path[0]).T).argmax())
    closed = np.concatenate([path, path[:1]])
    needed = np.zeros(len(path))
    needed[[0, far]] = np.inf
    first, last, before = np.array([0, far]), np.array([far, len(path)]), np.full(2, np.inf)
    while (wide := last - first >= 2).any():
        first, last, before = first[wide], last[wide], before[wide]
        split, distance = _farthest(closed, first, last)
        kept = distance > least
        first, last, split = first[kept], last[kept], split[kept]
        up_to = needed[split] = np.minimum(before, distance)[kept]
        first, last = np.concatenate([first, split]), np.concatenate([split, last])
        before = np.concatenate([up_to, up_to])
    return needed


def _farthest(
    path: npt.NDArray[np.float64], first: npt.NDArray[np.intp], last: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return of spans of a path the point between their ends that is farthest from the chord, and how far.

    Args:
        path: (points, 2).
        first: Where each span begins.
        last: Where it ends, two points on or more.
    """
    inner = last - first - 1
    starts = np.cumsum(inner) - inner
    span = np.repeat(np.arange(len(inner)), inner)
    at = np.arange(len(span)) - starts[span] + first[span] + 1
    distances = _distances(path[at], path[first][span], path[last][span])
    largest = np.maximum.reduceat(distances, starts)
    found = np.flatnonzero(distances == largest[span])
    return at[found[np.searchsorted(found, starts)]], largest


def _distances(
    points: npt.NDArray[np.float64], first: npt.NDArray[np.float64], last: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the distance of each point from its chord, or from the point that a chord of no length is."""
    along, offset = last - first, points - first
    length = np.hypot(*along.T)
    is_point = length == 0
    across = np.abs(along[:, 0] * offset[:, 1] - along[:, 1] * offset[:, 0])
    away = across / np.where(is_point, 1, length)
    away[is_point] = np.hypot(*offset[is_point].T)
    return np.asarray(away, np.float64)
