"""Projections in the grey values of real radiographs: how a film spreads its range over lungs and bones.

Random curves (`augment.film`, `augment.gamma`) hold every machine's somewhere; this shows those that occur.
Only the histogram is taken, nothing of the anatomy. Source of the idea: histogram matching as in style
augmentation for domain adaptation (Yaras et al., arXiv 2102.10025, there as randomised matching).
"""

import numpy as np
import numpy.typing as npt

LEVELS = np.linspace(0, 1, 65)
"""Quantiles that stand for a histogram."""

LEAST_SHARE = 0.4
"""Of the way to the other histogram that is gone at least; at most it is gone wholly."""

FloatImage = npt.NDArray[np.float32]


def histogram_of(image: FloatImage, film: npt.NDArray[np.bool_]) -> FloatImage:
    """Return the quantiles (65,) at LEVELS of an image's values where it holds picture."""
    return np.quantile(image[film], LEVELS).astype(np.float32)


def in_style(
    image: FloatImage, film: npt.NDArray[np.bool_], histogram: FloatImage, generator: np.random.Generator
) -> FloatImage:
    """Return the image with its histogram brought near another: a growing curve over its grey values.

    Args:
        image: float32 (rows, columns) in [0, 1].
        film: bool (rows, columns): where it holds picture, whose histogram counts.
        histogram: As `histogram_of` gives it.
        generator: Draws how near.
    """
    share = generator.uniform(LEAST_SHARE, 1)
    own, level_of = np.unique(np.quantile(image[film], LEVELS), return_inverse=True)
    wanted = np.bincount(level_of, histogram) / np.bincount(level_of)  # one value where a stretch is flat
    mapped = np.interp(image, own, wanted)
    return np.asarray((1 - share) * image + share * mapped, np.float32)
