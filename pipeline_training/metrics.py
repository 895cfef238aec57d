"""How well a mask agrees with a reader's, and how sure a mean over images is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, stats

BoolImage = npt.NDArray[np.bool_]

RESAMPLES = 2000
"""Bootstrap resamples: percentile intervals need 1000 or more (Efron and Tibshirani 1993, chapter 13)."""
COVERAGE = 0.95
"""Of every interval given here."""
SURFACE_PERCENTILE = 95
"""Of the surface distances: the plain maximum is decided by one stray pixel (Taha and Hanbury 2015)."""
LIMITS_FACTOR = 1.96
"""Standard deviations from the bias to a limit of agreement (Bland and Altman 1986)."""


@dataclass(frozen=True)
class Interval:
    """A mean over images with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How measured values agree with a reader's, in the unit of the values (Bland and Altman 1986).

    Attributes:
        n: Number of pairs.
        mean_absolute_error: Mean of |found - truth|, with its bootstrap interval.
        bias: Mean of found - truth, with its bootstrap interval.
        lower_limit: Bias minus 1.96 standard deviations of the differences.
        upper_limit: Bias plus 1.96 standard deviations.
    """

    n: int
    mean_absolute_error: Interval
    bias: Interval
    lower_limit: float
    upper_limit: float


def dice(truth: BoolImage, found: BoolImage) -> float | None:
    """Return 2 |A and B| / (|A| + |B|), in [0, 1]; None if both masks are empty, which says nothing.

    Raises:
        ValueError: If the masks differ in shape.

    >>> dice(np.array([[True, True, False]]), np.array([[False, True, True]]))
    0.5
    """
    both, total = _overlap(truth, found)
    return 2 * both / total if total else None


def iou(truth: BoolImage, found: BoolImage) -> float | None:
    """Return |A and B| / |A or B|, in [0, 1]; None if both masks are empty.

    Raises:
        ValueError: If the masks differ in shape.
    """
    both, total = _overlap(truth, found)
    return both / (total - both) if total else None


def hausdorff95(truth: BoolImage, found: BoolImage, spacing: tuple[float, float] = (1, 1)) -> float | None:
    """Return the larger of the two directed 95th percentile distances between the borders of two masks.

    The border of a mask is its pixels that have one of their four neighbours outside the mask or the image.

    Args:
        truth: Mask of shape (rows, columns).
        found: Mask of the same shape.
        spacing: Distance between (rows, columns): the unit of the result. (1, 1) gives pixels, mm give mm.

    Returns:
        The distance; the image's diagonal, the largest distance there is, if only one mask is empty; None if
        both are.

    Raises:
        ValueError: If the masks differ in shape.
    """
    _, total = _overlap(truth, found)
    if not total:
        return None
    if not (truth.any() and found.any()):
        return diagonal((truth.shape[0], truth.shape[1]), spacing)
    box = _box(truth | found)
    ours, theirs = border(truth[box]), border(found[box])
    return max(_directed(ours, theirs, spacing), _directed(theirs, ours, spacing))


def diagonal(shape: tuple[int, int], spacing: tuple[float, float] = (1, 1)) -> float:
    """Return the length of the diagonal of an image of (rows, columns), in the unit of the spacing."""
    return math.hypot(shape[0] * spacing[0], shape[1] * spacing[1])


def border(mask: BoolImage) -> BoolImage:
    """Return the mask's pixels with one of their four neighbours outside the mask or the image."""
    inside: BoolImage = ndimage.binary_erosion(mask)
    return mask & ~inside


def bootstrap_interval(values: Sequence[float], resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Return the mean and its 95 % percentile bootstrap interval over images.

    Args:
        values: One for each image. Images are drawn, not pixels: pixels of one image are not independent.
        resamples: How many sets of len(values) images are drawn with replacement.
        seed: Of the draw; the same seed gives the same interval.

    Raises:
        ValueError: If there are no values or no resamples.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    >>> bootstrap_interval([0.5, 0.5])
    Interval(mean=0.5, low=0.5, high=0.5)
    """
    if not len(values) or resamples < 1:
        raise ValueError(f"a bootstrap needs values and resamples, found {len(values)} and {resamples}")
    sample = np.asarray(values, np.float64)
    generator = np.random.default_rng(seed)
    means = [sample[generator.integers(sample.size, size=sample.size)].mean() for _ in range(resamples)]
    tail = 50 * (1 - COVERAGE)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(float(sample.mean()), float(low), float(high))


def t_interval(values: Sequence[float]) -> Interval:
    """Return the mean and its 95 % interval by Student's t; a single value has no width, for none is known.

    For few values: percentile bootstrap intervals are too narrow there.

    Raises:
        ValueError: If there are no values.
    """
    if not len(values):
        raise ValueError("an interval needs values")
    sample = np.asarray(values, np.float64)
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, mean, mean)
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    half = float(stats.t.ppf((1 + COVERAGE) / 2, sample.size - 1)) * error
    return Interval(mean, mean - half, mean + half)


def agreement(
    truth: Sequence[float], found: Sequence[float], resamples: int = RESAMPLES, seed: int = 0
) -> Agreement:
    """Return mean absolute error, bias and limits of agreement of paired values.

    Raises:
        ValueError: If there are no pairs or the lengths differ.
    """
    differences = np.asarray(found, np.float64) - np.asarray(truth, np.float64)
    bias = bootstrap_interval(differences.tolist(), resamples, seed)
    spread = LIMITS_FACTOR * float(differences.std(ddof=1)) if differences.size > 1 else 0.0
    return Agreement(
        n=int(differences.size),
        mean_absolute_error=bootstrap_interval(np.abs(differences).tolist(), resamples, seed),
        bias=bias,
        lower_limit=bias.mean - spread,
        upper_limit=bias.mean + spread,
    )


def _overlap(truth: BoolImage, found: BoolImage) -> tuple[int, int]:
    if truth.shape != found.shape:
        raise ValueError(f"masks to compare have one shape, found {truth.shape} and {found.shape}")
    both = np.count_nonzero(truth & found)
    return int(both), int(np.count_nonzero(truth) + np.count_nonzero(found))


def _box(mask: BoolImage) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _directed(start: BoolImage, goal: BoolImage, spacing: tuple[float, float]) -> float:
    distances = ndimage.distance_transform_edt(~goal, sampling=spacing)[start]
    return float(np.percentile(distances, SURFACE_PERCENTILE))
