"""From display values to the network's input, and the way back: shared by training and node."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ai.errors import NotAChestError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5
"""Values beyond these percentiles are clipped (FleXray's input normalisation, see docs/method.md)."""

BAND = 256
"""Rows that are filled at once: of a whole radiograph's width they fit into the processor's cache."""


@dataclass(frozen=True)
class Letterbox:
    """Where an image of (rows, columns) pixels lies on a square network grid; the aspect ratio is kept.

    Attributes:
        rows: Rows of the native image.
        columns: Columns of the native image.
        size: Rows and columns of the network grid.
    """

    rows: int
    columns: int
    size: int

    @property
    def scale(self) -> float:
        """Network pixels for each native pixel."""
        return self.size / max(self.rows, self.columns)

    @property
    def top(self) -> float:
        """Network row of the native image's upper edge."""
        return (self.size - self.rows * self.scale) / 2

    @property
    def left(self) -> float:
        """Network column of the native image's left edge."""
        return (self.size - self.columns * self.scale) / 2

    def to_network(self, pixels: npt.NDArray[np.float32], fill: float = 0.0) -> npt.NDArray[np.float32]:
        """Return the image (rows, columns) on the network grid (size, size), padded with `fill`.

        A shrunk image is smoothed first by a Gaussian of half the shrinkage, so that fine detail does not
        alias.
        """
        rows, columns = self._native()
        inside_rows, inside_columns = self.inside()
        at = rows[inside_rows], columns[inside_columns]
        if self.scale < 1:
            sampled = separable_smoothed(pixels, *at, sigma=(1 / self.scale - 1) / 2)
        else:
            sampled = separable_bilinear(pixels, *at)
        grid = np.full((self.size, self.size), fill, np.float32)
        grid[np.ix_(inside_rows, inside_columns)] = sampled
        return grid

    def inside(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which rows (size,) and which columns (size,) of the grid hold picture, not padding."""
        rows, columns = self._native()
        return (rows > -0.5) & (rows < self.rows - 0.5), (columns > -0.5) & (columns < self.columns - 0.5)

    def film(self) -> npt.NDArray[np.bool_]:
        """Return where the grid (size, size) holds picture, not padding."""
        rows, columns = self.inside()
        return rows[:, None] & columns

    def _native(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the native row and column coordinates of the centres of the grid's rows and columns."""
        centres = np.arange(self.size, dtype=np.float64) + 0.5
        return (centres - self.top) / self.scale - 0.5, (centres - self.left) / self.scale - 0.5

    def network_rows(self, top: int, bottom: int) -> npt.NDArray[np.float64]:
        """Return the network row coordinates of the centres of native rows top..bottom-1."""
        return np.asarray((np.arange(top, bottom) + 0.5) * self.scale + self.top - 0.5, np.float64)

    def network_columns(self, left: int, right: int) -> npt.NDArray[np.float64]:
        """Return the network column coordinates of the centres of native columns left..right-1."""
        return np.asarray((np.arange(left, right) + 0.5) * self.scale + self.left - 0.5, np.float64)


def separable_bilinear(
    image: npt.NDArray[np.float32], rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Return image (H, W) sampled bilinearly at every pair of row and column coordinates, edges held."""
    by_rows = _interpolate(image, rows)
    return np.ascontiguousarray(_interpolate(np.ascontiguousarray(by_rows.T), columns).T)


def separable_smoothed(
    image: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float64],
    columns: npt.NDArray[np.float64],
    *,
    sigma: float,
) -> npt.NDArray[np.float32]:
    """Return image (H, W), smoothed by a Gaussian of `sigma` pixels, sampled as by `separable_bilinear`.

    Smoothed is only what is sampled, which for a radiograph on a network's grid is a tenth of the rows. The
    Gaussian ends after four sigma, and the image is mirrored at its edges, as SciPy's `gaussian_filter` does.
    """
    by_rows = _smoothing(len(image), rows, sigma) @ image
    turned = _smoothing(image.shape[1], columns, sigma) @ np.ascontiguousarray(by_rows.T)
    return np.ascontiguousarray(turned.T)


def _smoothing(length: int, at: npt.NDArray[np.float64], sigma: float) -> "csr_array":
    """Return (len(at), length): what each sample takes from each of the values on a line."""
    from scipy.sparse import csr_array  # here, for a manifest is read without it

    at = np.clip(at, 0, length - 1)
    below = np.minimum(at.astype(np.intp), max(length - 2, 0))
    radius = int(4 * sigma + 0.5)
    bell = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    bell /= bell.sum()
    share = (at - below)[:, None]
    weights = (1 - share) * np.append(bell, 0) + share * np.append(0, bell)
    taken = (below[:, None] + np.arange(-radius, radius + 2)) % (2 * length)
    taken = np.where(taken < length, taken, 2 * length - 1 - taken)
    ends = np.arange(0, taken.size + 1, taken.shape[1])
    return csr_array((weights.ravel().astype(np.float32), taken.ravel(), ends), shape=(len(at), length))


def positive_box(
    image: npt.NDArray[np.float32], rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.bool_], int, int] | None:
    """Return where image (H, W), sampled as by `separable_bilinear`, is above 0; None: nowhere.

    What is returned is the smallest box of samples that holds them all, and its first row and first column.
    On a column the samples between two rows of the image change their sign once or not at all, also as they
    are rounded, where they are finite and do not underflow. So they are worked out only where it changes, a
    few in a hundred of all.

    Args:
        image: Such as logits on the network's grid.
        rows: Ascending coordinates of the samples' rows.
        columns: Coordinates of their columns.
    """
    wide = np.ascontiguousarray(_interpolate(np.ascontiguousarray(image.T), columns).T)
    below, weight = _between(len(image), rows)
    counts = np.bincount(below, minlength=max(len(image) - 1, 1))
    firsts = np.cumsum(counts) - counts
    steps = np.arange(len(rows)) - firsts[below]
    weights = np.full((int(counts.max()), len(counts)), np.nan, np.float32)
    weights[steps, below] = weight
    begins, lengths = _runs(wide, weights, counts)
    filled = lengths > 0
    levels, seen = (np.flatnonzero(filled.any(axis=axis)) for axis in (1, 0))
    if not levels.size:
        return None
    first, last = levels[0], levels[-1]
    top = int(firsts[first] + begins[first][filled[first]].min())
    bottom = int(firsts[last] + (begins[last] + lengths[last])[filled[last]].max())
    box = slice(int(seen[0]), int(seen[-1]) + 1)
    inside = _spread(begins[:, box], lengths[:, box], below[top:bottom], steps[top:bottom])
    return inside, top, box.start


def _runs(
    wide: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], counts: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.unsignedinteger]]:
    """Return of the samples between each row and the next where those above 0 begin, and how many they are.

    Args:
        wide: (H, W) the image's rows, sampled at the columns.
        weights: (most, H - 1) of the next row, for each sample between it and the row before; NaN: none.
        counts: (H - 1,) how many samples there are.
    """
    upper, lower = (wide[:-1], wide[1:]) if len(wide) > 1 else (wide, wide)
    is_upper, is_lower = upper > 0, lower > 0
    kind = np.min_scalar_type(len(weights))
    lengths = (is_upper & is_lower) * counts.astype(kind)[:, None]
    begins = np.zeros_like(lengths)
    changing = np.flatnonzero(is_upper != is_lower)
    level = changing // wide.shape[1]
    share = weights.take(level, axis=1)
    samples = 1 - share
    samples *= upper.ravel()[changing]
    share *= lower.ravel()[changing]
    samples += share
    found = (samples > 0).sum(axis=0, dtype=kind)
    lengths.ravel()[changing] = found
    begins.ravel()[changing] = np.where(is_upper.ravel()[changing], 0, counts[level] - found)
    return begins, lengths


def _spread(
    begins: npt.NDArray[np.unsignedinteger],
    lengths: npt.NDArray[np.unsignedinteger],
    levels: npt.NDArray[np.intp],
    steps: npt.NDArray[np.intp],
) -> npt.NDArray[np.bool_]:
    """Return for samples, at so many steps behind rows of the image, whether they lie in the runs there."""
    inside = np.empty((len(levels), begins.shape[1]), np.bool_)
    step = steps.astype(begins.dtype)[:, None]
    for start in range(0, len(levels), BAND):
        band = slice(start, start + BAND)
        after = begins.take(levels[band], axis=0)
        np.subtract(step[band], after, out=after)  # what lies before its run turns into a large number
        np.less(after, lengths.take(levels[band], axis=0), out=inside[band])
    return inside


def _between(
    length: int, at: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return the value below each coordinate on a line, and the weight of the next one; ends are held."""
    last = length - 1
    held = np.clip(at, 0, last)
    below = np.minimum(held.astype(np.intp), max(last - 1, 0))
    return below, (held - below).astype(np.float32)


def _interpolate(image: npt.NDArray[np.float32], at: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    below, weights = _between(len(image), at)
    weight = weights[:, None]
    mixed = image.take(below, axis=0)
    mixed *= 1 - weight
    upper = image.take(np.minimum(below + 1, len(image) - 1), axis=0)
    upper *= weight
    mixed += upper
    return mixed


def normalise(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the values clipped at the 0.5th and 99.5th percentile and scaled to [0, 1], same shape."""
    low, high = np.percentile(pixels, [LOW_PERCENTILE, HIGH_PERCENTILE])
    if high <= low:
        low, high = float(pixels.min()), float(pixels.max())
    return np.asarray(np.clip((pixels - low) / max(high - low, 1e-6), 0, 1), np.float32)


def network_input(pixels: npt.NDArray[np.float32], size: int) -> tuple[npt.NDArray[np.float32], Letterbox]:
    """Return what the network sees of display values (rows, columns) in [0, 1], and how it lies on the grid.

    The picture is brought onto a (size, size) grid with its aspect ratio kept, normalised by percentiles over
    the picture alone, and padded with 0.

    Raises:
        NotAChestError: If it is so long and narrow that nothing of it would be left on the grid.
    """
    box = Letterbox(pixels.shape[0], pixels.shape[1], size)
    if min(pixels.shape) * box.scale < 2:
        raise NotAChestError(f"an image of {pixels.shape[0]} x {pixels.shape[1]} pixels shows no chest")
    grid = box.to_network(pixels, fill=np.nan)
    inside = ~np.isnan(grid)
    grid[inside] = normalise(grid[inside])
    grid[~inside] = 0
    return grid, box
