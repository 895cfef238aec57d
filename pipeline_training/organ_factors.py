"""Every organ more or less dense than scanned, so that no grey value names a structure.

Attenuation is linear in HU + 1000, so a factor on it makes an organ denser as a whole, its texture kept.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline_training.anatomy import Anatomy
from pipeline_training.paint import AIR_HU

PURE_BONE_HU = 1600
"""Cortical bone through and through; no factor makes a voxel denser, what was denser stays (metal)."""

SHARE_VARIED = 0.5
SIGMA = 1.0
FACTORS = (0.4, 2.5)
"""Narrower than FleXray's [0.1, 4]: pictures still look like somebody's."""

MILD = 0.15
"""Standard deviation of the logarithm of the other bodies' factors."""


def draw_factors(anatomy: Anatomy, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return a factor for each part of the organ layer, entry 0 (what is in no organ) being 1.

    With probability 0.5 log-normal of mode 1 and sigma 1, drawn again outside FACTORS; else near 1.
    Parts of one structure of the spine or the ribs differ as well.

    Source: FleXray, per-label TruncLogNormal(mode 1, sigma 1, [0.1, 4]), p 0.5.
    """
    count = anatomy.organs.count
    if generator.random() < SHARE_VARIED:
        factors = truncated_log_normal(count, generator)
    else:
        factors = np.exp(generator.normal(0, MILD, count))
    return np.concatenate([[1.0], factors]).astype(np.float32)


def attenuate(anatomy: Anatomy, factors: npt.NDArray[np.float32]) -> Anatomy:
    """Return the anatomy with the attenuation of each part of its organ layer multiplied.

    Args:
        anatomy: Its structures stay as they are.
        factors: (parts + 1,), entry 0 for what is in no part.
    """
    denser = (anatomy.hu.astype(np.float32) - AIR_HU) * factors[anatomy.organs.parts] + AIR_HU
    densest = np.maximum(anatomy.hu, PURE_BONE_HU)
    return replace(anatomy, hu=np.clip(denser, AIR_HU, densest).astype(np.int16))


def truncated_log_normal(count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return log-normal draws of mode 1 inside FACTORS (mode = exp(mu - sigma^2), so mu = sigma^2)."""
    factors = np.zeros(count)
    while (outside := (factors < FACTORS[0]) | (factors > FACTORS[1])).any():
        factors[outside] = np.exp(generator.normal(SIGMA**2, SIGMA, int(outside.sum())))
    return factors
