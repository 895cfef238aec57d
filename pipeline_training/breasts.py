"""Breasts: shells of fat and gland on the chest wall, of any size, hanging more or less."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import Anatomy
from pipeline_training.paint import FAT_HU, SKIN_HU, add_room, outside, painted

HEIGHT_MM = (12.0, 65.0)
"""How far a breast stands off the chest wall."""

RADIUS_MM = (48.0, 80.0)
HANGING_MM = (0.0, 60.0)
"""Its centre below the middle of the lungs: at the fourth rib in front, lower with size and age."""

GLAND_SHARE = (0.05, 0.6)
GLAND_HU = 40
SIDES = ("right", "left")
NAMES = ("breast", "breast right", "breast left")


@dataclass(frozen=True)
class Breasts:
    """A pair.

    Attributes:
        height_mm: Off the chest wall at the highest.
        radius_mm: On the chest wall.
        hanging_mm: Centre below the middle of the lungs.
        apart: Centres from the midline, as a share of half the lungs' width.
        gland_share: Share of gland, the rest is fat.
        seed: Of where the gland lies.
    """

    height_mm: float
    radius_mm: float
    hanging_mm: float
    apart: float
    gland_share: float
    seed: int


def draw_breasts(generator: np.random.Generator) -> Breasts:
    """Return a pair of any size."""
    height, radius, hanging, gland = (
        float(generator.uniform(*ends)) for ends in (HEIGHT_MM, RADIUS_MM, HANGING_MM, GLAND_SHARE)
    )
    return Breasts(
        height, radius, hanging, float(generator.uniform(0.5, 0.7)), gland, int(generator.integers(2**31))
    )


def add_breasts(anatomy: Anatomy, breasts: Breasts) -> Anatomy:
    """Return the anatomy with breasts as known structures; one that tells of breasts stays as it is."""
    if set(NAMES) & set(anatomy.known()):
        return anatomy
    roomy = add_room(anatomy, front_mm=breasts.height_mm)
    generator = np.random.default_rng(breasts.seed)
    skin = _skin_row(roomy)
    box = (slice(None), slice(0, int(skin[np.isfinite(skin)].max()) + 1), slice(None))
    ahead = skin[:, None, :] - np.arange(box[1].stop)[None, :, None]
    columns = np.flatnonzero(roomy.organs.mask("lung").any(axis=(0, 1)))
    middle, half = roomy.centre[2], (columns[-1] - columns[0]) / 2
    for side, outwards in zip(SIDES, (-1.0, 1.0), strict=True):
        centre = middle + outwards * half * breasts.apart
        thick = _thickness(roomy, breasts, centre) / roomy.spacing_mm
        shell = outside(roomy, box) & (ahead > 0) & (ahead <= thick[:, None, :])
        tissue = _tissue(shell, breasts.gland_share, generator)
        roomy = painted(roomy, box, shell, tissue, "soft", ("breast", f"breast {side}"))
    return replace(roomy, absent=roomy.absent - set(NAMES))


def _skin_row(anatomy: Anatomy) -> npt.NDArray[np.float64]:
    """Return the first row of the body in each (slice, column), smoothed; far back where there is none."""
    body = anatomy.hu > SKIN_HU
    first = np.where(body.any(axis=1), body.argmax(axis=1), -1)
    return np.where(first < 0, -np.inf, ndimage.median_filter(first, 5))


def _thickness(anatomy: Anatomy, breasts: Breasts, column: float) -> npt.NDArray[np.float64]:
    """Return mm by (slice, column): a half ellipsoid, fuller below its centre than above."""
    z, x = (np.arange(n)[:, None] * anatomy.spacing_mm for n in (anatomy.hu.shape[0], anatomy.hu.shape[2]))
    up = z - anatomy.centre[0] * anatomy.spacing_mm + breasts.hanging_mm
    up = np.where(up > 0, up / 1.35, up)
    radial = (up / breasts.radius_mm) ** 2 + ((x - column * anatomy.spacing_mm).T / breasts.radius_mm) ** 2
    return np.asarray(breasts.height_mm * np.sqrt(np.clip(1 - radial, 0, None)))


def _tissue(
    shell: npt.NDArray[np.bool_], gland_share: float, generator: np.random.Generator
) -> npt.NDArray[np.int16]:
    """Return HU of the shell's voxels: fat with clumps of gland."""
    coarse = generator.normal(size=[n // 6 + 2 for n in shell.shape]).astype(np.float32)
    places = np.argwhere(shell).T / 6
    clumps = ndimage.map_coordinates(coarse, places, order=1)
    gland = clumps > (np.quantile(clumps, 1 - gland_share) if clumps.size else 0)
    return np.where(gland, GLAND_HU, FAT_HU).astype(np.int16)
