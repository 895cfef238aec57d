"""Whether a CT that nobody has labelled is flipped: evidence that every chest gives, and when it is strong.

All is measured at about 3 mm. The numbers behind the thresholds are in docs/volumes.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline_training.errors import VolumeError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.intake.thorax import Mask, Thorax, thorax_of

BASE_FRACTION, APEX_FRACTION = (0.05, 0.25), (0.75, 0.95)
"""Parts of the lungs' height, from below, that are compared; the very ends are a few voxels."""

END_SEEN = 0.2
"""Share of their largest slice that the lungs' first and last ones have at the most where they end by
themselves."""

SMALLEST_PIECE_MM2 = 300.0
HEART_FRACTION = (0.2, 0.6)
"""Part of the lungs' height that the heart lies in."""

CHEST_WALL_MM = (3.0, 25.0)
"""Distance from the lungs in which ribs lie."""

LATERAL = 0.6
"""Share of the lungs' half width beyond which ribs run from behind to the front."""

ORGAN_HU = (20.0, 180.0)
ORGAN_NOISE_HU = 30.0
"""The liver is even; with contrast, what lies about it is not."""

SMALLEST_LIVER_ML = 200.0
LIVER_BELOW = 0.3
"""Share of the lungs' height below which the liver's centre lies; that of the heart lies above."""

STRONG_SHAPE = 0.1
STRONG_SLOPE = 0.1
STRONG_HEART = 0.4
STRONG_LIVER_MM = 15.0
"""What contradicts: half of what the flipped copies of five chests gave at the least, or so."""

LIKE_LUNGS = 0.7
"""The heart counts only where neither lung is larger than the other by more than 2 to this power: a collapsed
lung draws the heart to its side."""


@dataclass(frozen=True)
class Evidence:
    """How a chest lies; each is above 0 where it lies as a `CtVolume` should, None where it cannot be told.

    Attributes:
        apex_shape: By how much the lungs' slices are fuller (area by hull) at the upper than at the lower
            end, where the diaphragm bulges into them.
        rib_slope: By how much the ribs fall from behind to the front, from -1 to 1.
        heart: Logarithm to base 2 of how much further the mediastinum reaches to the left of the spine than
            to the right.
        liver_mm: How far right of the spine the liver lies.
    """

    apex_shape: float | None = None
    rib_slope: float | None = None
    heart: float | None = None
    liver_mm: float | None = None


def check_unlabelled(volume: CtVolume) -> None:
    """Refuse a CT in which strong evidence says that it is flipped; doubt is no reason.

    A flip from left to right turns a chest into one with situs inversus, and such a chest is refused.

    Raises:
        VolumeError: Naming the axis and the evidence.
    """
    if words := contradiction(evidence(volume)):
        raise VolumeError(f"{volume.case}: the volume is flipped: {words}")


def contradiction(found: Evidence) -> str:
    """Return what contradicts strongly, in words; "" if nothing does."""
    return _along_height_and_depth(found.apex_shape, found.rib_slope) or _sides(found.liver_mm, found.heart)


def _along_height_and_depth(shape: float | None, slope: float | None) -> str:
    """Ribs rise towards the front where one of the two is flipped; the lungs' shape tells which."""
    if shape is not None and shape < -STRONG_SHAPE:
        return f"up and down: the lungs' upper end is the one that the diaphragm bulges into ({-shape:.2f})"
    if slope is not None and slope < -STRONG_SLOPE:
        which = "front and back" if (shape or 0) > STRONG_SHAPE else "front and back, or up and down"
        return f"{which}: the ribs rise towards the front ({-slope:.2f})"
    return ""


def _sides(liver_mm: float | None, heart: float | None) -> str:
    """The liver, where it is seen, tells more than the heart."""
    if liver_mm is not None and abs(liver_mm) > STRONG_LIVER_MM:
        return "" if liver_mm > 0 else f"left and right: the liver lies {-liver_mm:.0f} mm left of the spine"
    if heart is not None and heart < -STRONG_HEART:
        return f"left and right: the mediastinum reaches {2**-heart:.1f} times further to the right"
    return ""


def evidence(volume: CtVolume) -> Evidence:
    """Return what can be measured; nothing in a volume without lungs."""
    thorax = thorax_of(volume)
    return Evidence() if thorax is None else evidence_of(thorax)


def evidence_of(thorax: Thorax) -> Evidence:
    """Return what a thorax, its lungs found, tells."""
    return Evidence(_apex_shape(thorax), _rib_slope(thorax), _heart(thorax), _liver(thorax))


def _apex_shape(thorax: Thorax) -> float | None:
    """Return None too where the volume cuts the lungs: in their middle they differ from body to body."""
    area = thorax.lungs.sum(axis=(1, 2))
    if max(area[thorax.low], area[thorax.high - 1]) > END_SEEN * area.max():
        return None
    base, apex = _fullness(thorax, BASE_FRACTION), _fullness(thorax, APEX_FRACTION)
    return None if base is None or apex is None else apex - base


def _fullness(thorax: Thorax, fraction: tuple[float, float]) -> float | None:
    """Return the lungs' area as a share of its hull along rows and columns, over some slices."""
    area = hull = 0
    for number in thorax.part(fraction):
        for piece in _pieces(thorax.lungs[number], SMALLEST_PIECE_MM2 / thorax.spacing_mm**2):
            area += int(piece.sum())
            hull += int((_between(piece, 0) | _between(piece, 1)).sum())
    return area / hull if hull else None


def _pieces(mask: Mask, smallest: float) -> Iterator[Mask]:
    labels, _ = ndimage.label(mask)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        piece = labels[box] == number
        if piece.sum() >= smallest:
            yield piece


def _between(mask: Mask, axis: int) -> Mask:
    """Return what lies between the first and the last True along an axis."""
    behind = np.maximum.accumulate(mask, axis)
    before = np.flip(np.maximum.accumulate(np.flip(mask, axis), axis), axis)
    return np.asarray(behind & before)


def _rib_slope(thorax: Thorax) -> float | None:
    """Return how much the bone beside the lungs lies in planes that fall towards the front.

    The off-diagonal element of the structure tensor of superior and posterior direction, by half its trace.
    """
    distance = ndimage.distance_transform_edt(~thorax.lungs, sampling=thorax.spacing_mm)
    columns = np.flatnonzero(thorax.lungs.any(axis=(0, 1)))
    middle, half = (columns[0] + columns[-1]) / 2, (columns[-1] - columns[0]) / 2
    lateral = np.abs(np.arange(thorax.lungs.shape[2]) - middle) > LATERAL * half
    inside = ndimage.binary_erosion(thorax.body, iterations=2)
    wall = (distance > CHEST_WALL_MM[0]) & (distance < CHEST_WALL_MM[1]) & lateral & inside
    wall[: thorax.low] = wall[thorax.high :] = False
    upwards, backwards, _ = np.gradient(ndimage.gaussian_filter(np.clip(thorax.hu, 0, 400), 1.0))
    total = float((upwards[wall] ** 2 + backwards[wall] ** 2).sum())
    return -2 * float((upwards[wall] * backwards[wall]).sum()) / total if total > 0 else None


def _heart(thorax: Thorax) -> float | None:
    """Return the mediastinum's reach to the left by that to the right of the spine, as a logarithm."""
    sides = [int(np.count_nonzero(side)) for side in thorax.sides(thorax.lungs)]
    if not min(sides) or abs(np.log2(sides[0] / sides[1])) > LIKE_LUNGS:
        return None
    low, high = thorax.part(HEART_FRACTION)[0], thorax.part(HEART_FRACTION)[-1] + 1
    right, left = thorax.sides(thorax.lungs[low:high])
    both = right.any(axis=2) & left.any(axis=2)
    if not both.any():
        return None
    beyond = thorax.spine - int(thorax.spine)
    to_left = left[both].argmax(axis=1).mean() + 1 - beyond
    to_right = right[both][:, ::-1].argmax(axis=1).mean() + beyond
    return float(np.log2(to_left / to_right))


def _liver(thorax: Thorax) -> float | None:
    """Return how far right of the spine the largest even organ under the lungs lies."""
    clipped = np.clip(thorax.hu, -200, 400)
    mean = ndimage.gaussian_filter(clipped, 1.2)
    noise = np.sqrt(np.maximum(ndimage.gaussian_filter(clipped**2, 1.2) - mean**2, 0))
    even = (mean > ORGAN_HU[0]) & (mean < ORGAN_HU[1]) & (noise < ORGAN_NOISE_HU) & thorax.body
    even[thorax.low + int(0.5 * thorax.height) :] = False
    labels, count = ndimage.label(ndimage.binary_erosion(even, iterations=3))
    if not count:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    places = np.nonzero(labels == int(sizes.argmax()) + 1)
    below = places[0].mean() < thorax.low + LIVER_BELOW * thorax.height
    if sizes.max() * thorax.spacing_mm**3 < SMALLEST_LIVER_ML * 1000 or not below:
        return None
    return float((thorax.spine - places[2].mean()) * thorax.spacing_mm)
