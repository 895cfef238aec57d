"""Breathing: the diaphragm and what lies on it move up or down inside the rib cage.

A CT is taken lying, mostly in inspiration; a film upright in deep inspiration or in bed in expiration.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import TISSUES, Anatomy
from pipeline_training.hull import convex_hull
from pipeline_training.warp import Field, coarse_stride, thinned

SHIFT_MM = (-30.0, 25.0)
"""Of the domes, below 0 downwards (inspiration): quiet breathing moves them by some 15 mm, deep breathing by
50 and more (textbooks), of which the pose of the scan has a part already."""

BELOW_MM = 140.0
"""The shift fades to nothing over this length below the domes, and up to the apex above them."""

CAVITY = ("lung", "heart", "liver", "stomach")
WALL_MM = (15.0, 6.0, 6.0)
"""Around the bones, along each axis, that stays with them; upwards it bridges the gaps between the ribs."""

BLUR_MM = 10.0
"""Between the cavity that moves and the wall that stays."""

STEEPEST = 0.6
"""A slice is stretched or compressed by no more than this share."""


def draw_shift(generator: np.random.Generator) -> float:
    """Return how far the domes move, in mm, above 0 towards the head."""
    return float(generator.uniform(*SHIFT_MM))


def breathe(anatomy: Anatomy, shift_mm: float) -> Field:
    """Return the motion that takes the domes of the diaphragm up by `shift_mm`.

    It is the same in every column of the chest's cavity (the hull of lungs, heart and upper abdomen) and
    none outside it, so that ribs and spine stay. It is less where the chest is too short for it.
    """
    stride = coarse_stride(anatomy.spacing_mm)
    lungs = anatomy.organs.mask("lung")
    slices = np.flatnonzero(lungs.any(axis=(1, 2)))
    base, apex = float(slices[0]), float(slices[-1])
    dome = base + (apex - base) * 0.25
    below = BELOW_MM / anatomy.spacing_mm
    level = np.linspace(0, len(lungs) - 1, math.ceil(len(lungs) / stride))
    fade = _smooth(np.interp(level, [base - below, dome, apex], [0.0, 1.0, 0.0]))
    cavity = np.any([thinned(anatomy.organs.mask(name), stride) for name in CAVITY], axis=0)
    bones = thinned(_bones(anatomy), stride)
    voxels = anatomy.spacing_mm * stride
    wall = ndimage.maximum_filter(bones, [2 * round(mm / voxels) + 1 for mm in WALL_MM])
    share = _filled(cavity, wall, BLUR_MM / voxels)
    share *= fade.astype(np.float32)[:, None, None]
    shift = shift_mm / anatomy.spacing_mm
    steepest = abs(shift) * float(np.abs(np.gradient(share, level, axis=0)).max())
    shift *= min(1.0, STEEPEST / max(steepest, 1e-6))
    field = np.zeros((3, *share.shape), np.float32)
    field[2] = -shift * share
    return Field(field)


def _bones(anatomy: Anatomy) -> npt.NDArray[np.bool_]:
    """Return ribs and spine."""
    groups = [TISSUES.index(tissue) for tissue in ("ribs", "spine")]
    return np.asarray(np.isin(anatomy.tissue_of_part, groups)[anatomy.organs.parts], np.bool_)


def _smooth(ramp: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return values in [0, 1] with level ends (smoothstep)."""
    return ramp * ramp * (3 - 2 * ramp)


def _filled(
    cavity: npt.NDArray[np.bool_], wall: npt.NDArray[np.bool_], blur: float
) -> npt.NDArray[np.float32]:
    """Return the hull of each slice, continued downwards from the lowest one, without the wall; blurred."""
    inside = np.zeros(cavity.shape, np.bool_)
    last = np.zeros(cavity.shape[1:], np.bool_)
    for z in range(int(np.flatnonzero(cavity.any(axis=(1, 2)))[-1]), -1, -1):
        hull = convex_hull(cavity[z])
        last = hull if hull.any() else last
        inside[z] = last
    return np.asarray(ndimage.gaussian_filter((inside & ~wall).astype(np.float32), blur), np.float32)
