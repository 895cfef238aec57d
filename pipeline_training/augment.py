"""From tissue integrals to radiographs: attenuation, exposure, look-up tables, noise, and the frame around.

Every function takes its generator; drawing happens where the effect is applied, each effect is a function
of its own.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import TISSUES

FloatImage = npt.NDArray[np.float32]

TISSUE_SIGMA = 0.35
"""Standard deviation of the logarithm of each tissue group's attenuation factor (FleXray draws per label)."""

WIDE_BLUR_FACTOR = 4
"""Blurs of many pixels are made on a grid coarser by this factor: the same picture, a tenth of the time."""


def wide_blur(image: FloatImage, sigma: float) -> FloatImage:
    """Return the image (size, size), size a multiple of 4, blurred by a Gaussian of 6 or more pixels."""
    side = image.shape[0] // WIDE_BLUR_FACTOR
    coarse = image.reshape(side, WIDE_BLUR_FACTOR, side, WIDE_BLUR_FACTOR).mean(axis=(1, 3))
    blurred = ndimage.gaussian_filter(coarse, sigma / WIDE_BLUR_FACTOR)
    return np.asarray(
        ndimage.zoom(blurred, WIDE_BLUR_FACTOR, order=1, grid_mode=True, mode="nearest"), np.float32
    )


def compose(tissues: npt.NDArray[np.float16], generator: np.random.Generator) -> FloatImage:
    """Return a radiograph (size, size) in [0, 1], bone bright, of tissue integrals (groups, size, size)."""
    factors = np.exp(generator.normal(0, TISSUE_SIGMA, len(TISSUES)))
    factors[[TISSUES.index("ribs"), TISSUES.index("shoulder")]] *= generator.uniform(0.8, 1.8)
    factors[TISSUES.index("lung")] *= generator.uniform(0.6, 2.2)
    total = np.tensordot(factors.astype(np.float32), tissues.astype(np.float32), axes=1)
    total = scatter(total, generator)
    return film(total, generator)


def scatter(total: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return line integrals as seen with scattered photons: the primary beam plus its blurred share."""
    ratio = generator.uniform(0, 0.6)
    primary = np.exp(-total)
    blurred = wide_blur(primary, generator.uniform(12, 30))
    return np.asarray(np.log1p(ratio) - np.log(primary + ratio * blurred + 1e-6), np.float32)


def film(total: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return display values in [0, 1] of line integrals or of absorbed shares, clipped at drawn quantiles."""
    if generator.random() < 0.3:
        total = 1 - np.exp(-total * generator.uniform(0.3, 0.9))
    low, high = np.quantile(total, [generator.uniform(0, 0.08), generator.uniform(0.93, 1.0)])
    image = np.clip((total - low) / max(high - low, 1e-3), 0, 1)
    return np.asarray(image, np.float32)


def restyle(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the radiograph (size, size) in [0, 1] as another machine would have shown it."""
    effects = (
        (0.7, gamma), (0.35, equalise), (0.4, sharpen), (0.4, blur), (0.5, uneven), (0.5, noise),
        (0.25, marker), (0.2, collimate), (0.15, line), (0.25, invert),
    )  # fmt: skip
    for probability, effect in effects:
        if generator.random() < probability:
            image = np.asarray(np.clip(effect(image, generator), 0, 1), np.float32)
    return image


def gamma(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image on a power curve, exponent 0.5 to 2."""
    return np.asarray(image ** np.exp(generator.uniform(-0.7, 0.7)), np.float32)


def equalise(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image mixed with its local contrast normalised, as clinical processing does."""
    sigma = generator.uniform(12, 40)
    mean = wide_blur(image, sigma)
    spread = np.sqrt(np.maximum(wide_blur((image - mean) ** 2, sigma), 1e-4))
    local = 0.5 + 0.22 * (image - mean) / spread
    share = generator.uniform(0.2, 0.8)
    return np.asarray((1 - share) * image + share * local, np.float32)


def sharpen(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with its detail enhanced (unsharp mask)."""
    blurred = ndimage.gaussian_filter(image, generator.uniform(0.8, 4))
    return np.asarray(image + generator.uniform(0.2, 1.5) * (image - blurred), np.float32)


def blur(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image softened by up to 1.4 pixels."""
    return np.asarray(ndimage.gaussian_filter(image, generator.uniform(0.3, 1.4)), np.float32)


def uneven(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with a smooth change of brightness added (grid cut-off, opacities, effusion)."""
    coarse = generator.normal(0, generator.uniform(0.03, 0.14), (5, 5)).astype(np.float32)
    field = ndimage.zoom(coarse, [n / 5 for n in image.shape], order=1)
    return np.asarray(image + field, np.float32)


def noise(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with white noise of up to 3 %."""
    return image + generator.normal(0, generator.uniform(0.003, 0.03), image.shape).astype(np.float32)


def marker(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with a bright block as letters and clips make it."""
    size = image.shape[0]
    height, width = (int(n) for n in generator.integers(size // 40, size // 12, 2))
    top, left = int(generator.integers(0, size - height)), int(generator.integers(0, size - width))
    marked = image.copy()
    stripes = generator.random((height, width)) < 0.6
    marked[top : top + height, left : left + width][stripes] = generator.uniform(0.85, 1)
    return marked


def collimate(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with a border darkened or whitened."""
    framed = image.copy()
    value = np.float32(generator.choice([0.0, 0.0, 1.0]))
    edge = int(generator.uniform(0.01, 0.08) * image.shape[0])
    for side in range(4):
        if generator.random() < 0.5:
            np.rot90(framed, side)[:edge] = value
    return framed


def line(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with a bright curve across it: a tube, a wire, a catheter."""
    size = image.shape[0]
    knots = np.cumsum(generator.normal(0, size / 12, 6)) + generator.uniform(0.2, 0.8) * size
    along = np.linspace(0, 1, 4 * size)
    across = np.interp(along, np.linspace(0, 1, 6), knots).astype(int)
    rows = (along * (size - 1)).astype(int)
    inside = (across >= 1) & (across < size - 1)
    drawn = np.zeros_like(image)
    drawn[rows[inside], across[inside]] = 1
    drawn = ndimage.gaussian_filter(drawn, generator.uniform(0.6, 1.6))
    return np.asarray(image + generator.uniform(0.1, 0.5) * drawn / max(float(drawn.max()), 1e-6), np.float32)


def invert(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the negative: polarity tags lie."""
    del generator
    return np.asarray(1 - image, np.float32)
