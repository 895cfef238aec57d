"""The trachea and main bronchi among the air of a chest: a dark tube that begins above the lungs."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Hu = npt.NDArray[np.float32]
Seed = tuple[int, int, int]

LIMITS = 10
"""HU between the tracheal air and the lungs' darker quarter that are tried as the lumen's upper limit."""

SMOOTH_MM = 1.0
"""Standard deviation of what takes noise from the lumen."""

MAX_ML = 110.0
"""Of the tree; more has leaked into a lung. Trachea and main bronchi of an adult hold 50 to 80 ml."""

LUMEN_MM2 = (40.0, 700.0)
"""Cross-section of a trachea. Source: Breatnach, Abbott, Fraser 1984: 10 to 27 mm wide in adults."""

MIDDLE = (0.33, 0.67)
"""Share of the lungs' width in which a trachea lies."""

TOP = 0.4
"""Share of the lungs' height, from above, in which it is looked for."""

WALL_MM = 2.0
"""Partly filled voxels around the lumen, and its wall."""


def airways(hu: npt.NDArray[np.int16], air: Mask, spacing_mm: float) -> Mask:
    """Return the airways within the box around the lungs, empty where no trachea is seen.

    Args:
        hu: Of the box.
        air: The air in it.
        spacing_mm: Edge length of a voxel.
    """
    smooth: Hu = ndimage.gaussian_filter(hu.astype(np.float32), SMOOTH_MM / spacing_mm)
    seed = _seed(smooth, air, spacing_mm)
    if seed is None:
        return np.zeros(air.shape, np.bool_)
    tree = _tree(smooth, air, seed, spacing_mm)
    return np.asarray(ndimage.distance_transform_edt(~tree, spacing_mm) <= WALL_MM) & air


def _tree(smooth: Hu, air: Mask, seed: Seed, spacing_mm: float) -> Mask:
    """Return the lumen around a seed under the highest limit at which it does not leak into a lung."""
    best = np.zeros(air.shape, np.bool_)
    best[seed] = True
    for limit in np.linspace(smooth[seed], np.percentile(smooth[air], 25), LIMITS + 1)[1:]:
        pieces, _ = ndimage.label(air & (smooth < limit))
        tree = np.asarray((pieces == pieces[seed]) & (pieces > 0))
        if tree.sum() * spacing_mm**3 / 1000 > MAX_ML:
            break
        best = tree if tree.any() else best
    return best


def _seed(smooth: Hu, air: Mask, spacing_mm: float) -> Seed | None:
    """Return the darkest voxel of the round spots of air near the middle of the upper slices."""
    slices, _, columns = air.shape
    found: list[tuple[float, Seed]] = []
    for level in range(int(slices * (1 - TOP)), slices):
        spots, count = ndimage.label(air[level])
        for number in range(1, count + 1):
            rows, across = np.nonzero(spots == number)
            sized = LUMEN_MM2[0] <= len(rows) * spacing_mm**2 <= LUMEN_MM2[1]
            if sized and _round(rows, across) and MIDDLE[0] <= across.mean() / columns <= MIDDLE[1]:
                shades = smooth[level, rows, across]
                place = level, int(rows[np.argmin(shades)]), int(across[np.argmin(shades)])
                found.append((float(shades.min()), place))
    return min(found)[1] if found else None


def _round(rows: npt.NDArray[np.intp], across: npt.NDArray[np.intp]) -> bool:
    height, width = np.ptp(rows) + 1, np.ptp(across) + 1
    return bool(max(height, width) <= 2 * min(height, width) and len(rows) >= height * width / 2)
