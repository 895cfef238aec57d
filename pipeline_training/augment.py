"""From tissue integrals to radiographs: attenuation, exposure, look-up tables, noise, and the frame around.

Every function takes its generator; drawing happens where the effect is applied, each effect is a function
of its own.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage, special

from pipeline_training import physics
from pipeline_training.anatomy import TISSUES
from pipeline_training.channels import BONY, MM_PER_UNIT
from pipeline_training.film_marks import collimated, draw_collimation, draw_letters, mark
from pipeline_training.physics import Spectrum

FloatImage = npt.NDArray[np.float32]

TISSUE_SIGMA = 0.35
"""Standard deviation of the logarithm of each tissue group's attenuation factor (FleXray draws per label)."""

SPECTRA = tuple(
    Spectrum(kvp, filtered) for kvp in (70.0, 85.0, 100.0, 115.0, 130.0) for filtered in (3.0, 6.0)
)
BONE_FACTORS = {("ribs", "shoulder"): (1.0, 3.0), ("spine",): (0.8, 2.0)}
"""Of bones: a CT's voxels mix cortex with marrow, and processing brings out edges. In lungs the contrast of
2 to 6 pixels of 320 (difference of two Gaussians, over the span from lung to mediastinum) was .034 and .060
on radiographs of two sets (medians), and .020 to .026 in projections with factors of 0.8 to 1.8."""

LUNG_FACTOR = (0.6, 1.4)
"""Of the lungs' attenuation, which breath and organs vary already (`respiration`, `organ_factors`)."""

SCATTER_RATIO = (0.0, 0.6)
"""From none to that behind a poor grid; processing takes most of the veil away."""

PHOTONS = (3e5, 3e7)
"""Through air in a pixel of a 320-pixel picture: 2.5 uGy behind the body, some 30,000 photons for each uGy
and mm2, are 1e5 on 1.6 mm2, and the body lets a hundredth to a tenth pass."""

SIGMOID_SHARE = 0.5
"""Of the pictures that are shown through a sigmoid look-up table, as most detectors' software does."""

BLUR_PX = (0.0, 0.7)

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


def compose(planes: npt.NDArray[np.floating], generator: np.random.Generator) -> FloatImage:
    """Return a radiograph (size, size) in [0, 1], bone bright, of planes (len(CHANNELS), size, size)."""
    return radiographed(*mix(planes, draw_tissue_factors(generator)), generator)


def radiographed(
    water: FloatImage, bone: FloatImage, devices: FloatImage, generator: np.random.Generator
) -> FloatImage:
    """Return a radiograph (size, size) in [0, 1] of what `mix` gives, by a drawn machine."""
    return film(expose(water, bone, devices, draw_exposure(generator), generator), generator)


def draw_tissue_factors(generator: np.random.Generator) -> FloatImage:
    """Return a factor for each of TISSUES; chest wall bones and lungs vary more than the others."""
    factors = np.exp(generator.normal(0, TISSUE_SIGMA, len(TISSUES)))
    for tissues, least_and_most in BONE_FACTORS.items():
        factors[[TISSUES.index(tissue) for tissue in tissues]] *= generator.uniform(*least_and_most)
    factors[TISSUES.index("lung")] *= generator.uniform(*LUNG_FACTOR)
    return factors.astype(np.float32)


def mix(planes: npt.NDArray[np.floating], factors: FloatImage) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Return (water mm, bone mm, devices' attenuation), each tissue group multiplied by its factor."""
    values = planes.astype(np.float32, copy=False)
    count = len(TISSUES)
    bony = [*(factors[TISSUES.index(tissue)] for tissue in BONY), 1.0]
    water = np.tensordot(factors * MM_PER_UNIT, values[:count], axes=1)
    bone = np.tensordot(np.array(bony, np.float32) * MM_PER_UNIT, values[count : count + len(bony)], axes=1)
    return water, bone, values[-1]


@dataclass(frozen=True)
class Exposure:
    """How a body is exposed.

    Attributes:
        spectrum: Of the tube.
        scatter_ratio: Scattered to primary photons.
        scatter_px: Reach of the scattered ones, standard deviation in pixels.
        photons: That reach a pixel through air.
        blur_px: Of the detector, standard deviation.
    """

    spectrum: Spectrum
    scatter_ratio: float
    scatter_px: float
    photons: float
    blur_px: float


def draw_exposure(generator: np.random.Generator) -> Exposure:
    """Return an exposure: 70 to 130 kVp, with or without a grid, by a good or a worn detector."""
    spectrum = SPECTRA[int(generator.integers(len(SPECTRA)))]
    return Exposure(
        spectrum,
        scatter_ratio=float(generator.uniform(*SCATTER_RATIO)),
        scatter_px=float(generator.uniform(12, 40)),
        photons=float(np.exp(generator.uniform(*np.log(PHOTONS)))),
        blur_px=float(generator.uniform(*BLUR_PX)),
    )


def expose(
    water: FloatImage,
    bone: FloatImage,
    devices: FloatImage,
    exposure: Exposure,
    generator: np.random.Generator,
) -> FloatImage:
    """Return the density (-log of the signal) that a detector records behind paths in water and bone."""
    primary = physics.signal(torch.from_numpy(water), torch.from_numpy(bone), exposure.spectrum)
    primary = primary * torch.exp(-torch.from_numpy(np.ascontiguousarray(devices)))
    seen = physics.add_scatter(primary, exposure.scatter_ratio, exposure.scatter_px)
    dice = torch.Generator().manual_seed(int(generator.integers(2**62)))
    counted = physics.add_quantum_noise(seen, exposure.photons, dice)
    blurred = physics.blur_detector(counted, exposure.blur_px)
    return np.asarray(physics.film_density(blurred).numpy(), np.float32)


def film(total: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return display values in [0, 1] of line integrals: straight, of absorbed shares, or through a sigmoid.

    Clipped at drawn quantiles. The sigmoid's middle lies between lung and soft tissue (PS3.3 C.11.2.1.3.1).
    """
    way = generator.random()
    if way < SIGMOID_SHARE:
        low, middle, high = np.quantile(total, [0.1, generator.uniform(0.3, 0.6), 0.9])
        width = (high - low) * generator.uniform(0.5, 1.5)
        total = special.expit(4 * (total - middle) / max(width, 1e-3))
    elif way < SIGMOID_SHARE + 0.2:
        dense = max(float(np.quantile(total, 0.9)), 1e-3)
        absorbed = np.maximum(total, 0) / dense  # noise may be brighter than air
        total = 1 - np.exp(-absorbed * generator.uniform(0.8, 2.4))
    low, high = np.quantile(total, [generator.uniform(0, 0.08), generator.uniform(0.93, 1.0)])
    image = np.clip((total - low) / max(high - low, 1e-3), 0, 1)
    return np.asarray(image, np.float32)


def restyle(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the radiograph (size, size) in [0, 1] as another machine would have shown it."""
    effects = (
        (0.7, gamma), (0.5, equalise), (0.6, sharpen), (0.4, blur), (0.5, uneven), (0.25, opacify),
        (0.5, noise),
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


def opacify(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with one to three soft clouds as dense as soft tissue at most: effusions, oedema."""
    size = image.shape[0]
    rows, columns = (np.arange(n, dtype=np.float32) / size for n in image.shape)
    dense = float(np.quantile(image, generator.uniform(0.7, 0.95)))
    for _ in range(int(generator.integers(1, 4))):
        (y, x), (tall, wide) = generator.uniform(0.2, 0.9, 2), generator.uniform(0.04, 0.2, 2)
        cloud = np.outer(np.exp(-(((rows - y) / tall) ** 2)), np.exp(-(((columns - x) / wide) ** 2)))
        share = generator.uniform(0.2, 0.95) * cloud
        image = np.asarray(image + share * np.maximum(dense - image, 0), np.float32)
    return image


def noise(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with white noise of up to 3 %."""
    return image + generator.normal(0, generator.uniform(0.003, 0.03), image.shape).astype(np.float32)


def marker(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with a letter of lead on the side that it names."""
    return mark(image, draw_letters(generator))


def collimate(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return the image with straight borders, black or white."""
    return collimated(image, draw_collimation(generator))


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
