"""From a CT to what the own labeller's network sees, and where the lungs are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from pipeline_training.errors import LabellerError
from pipeline_training.labelling.own_network import GRID_MM

AIR_HU = -500
MIN_LUNG_ML = 400.0
"""Smaller pockets of air inside the body are no lung."""


@dataclass(frozen=True)
class LungBox:
    """The box around both lungs, in voxels of the grid it was found on.

    Attributes:
        low: (slice, row, column) of its first voxels.
        high: Of the voxels after its last.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]


def lung_box(hu: npt.NDArray[np.int16], spacing_mm: float, case: str = "") -> LungBox:
    """Return the box around the air inside the body.

    Raises:
        LabellerError: If there is too little of it for lungs.
    """
    step = max(1, round(GRID_MM / spacing_mm))
    air = hu[::step, ::step, ::step] < AIR_HU
    pieces, _ = ndimage.label(air)
    outside = {int(n) for side in _sides(pieces) for n in np.unique(side)}
    sizes = np.bincount(pieces.ravel()) * (step * spacing_mm) ** 3 / 1000
    lungs = [n for n in range(1, len(sizes)) if n not in outside and sizes[n] > MIN_LUNG_ML]
    if not lungs:
        raise LabellerError(f"{case}: no lungs: less than {MIN_LUNG_ML:.0f} ml of air lie inside the body")
    places = np.nonzero(np.isin(pieces, lungs))
    low = tuple(float(p.min() * step) for p in places)
    high = tuple(float((p.max() + 1) * step) for p in places)
    return LungBox((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _sides(pieces: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], ...]:
    """Return the four vertical sides; the trachea may leave through the top, the lungs through the floor."""
    return pieces[:, 0], pieces[:, -1], pieces[:, :, 0], pieces[:, :, -1]


def coarse(hu: npt.NDArray[np.int16], spacing_mm: float) -> npt.NDArray[np.float32]:
    """Return HU on a grid of GRID_MM, averaged over what a voxel covers."""
    factor = spacing_mm / GRID_MM
    volume = torch.from_numpy(hu.astype(np.float32))[None, None]
    size = [max(8, round(n * factor)) for n in hu.shape]
    return np.asarray(torch.nn.functional.interpolate(volume, size=size, mode="area")[0, 0].numpy())


def positions(shape: tuple[int, ...], fine: tuple[int, ...], box: LungBox) -> npt.NDArray[np.float32]:
    """Return (3, *shape): where each voxel lies relative to the lungs' box, 0 and 1 at its ends.

    Args:
        shape: Of the coarse grid.
        fine: Shape of the grid that the box counts on; both cover the same volume.
        box: Around the lungs.
    """
    axes = [
        ((np.arange(n) + 0.5) * many / n - low) / max(high - low, 1.0)
        for n, many, low, high in zip(shape, fine, box.low, box.high, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def network_volume(hu: npt.NDArray[np.int16], spacing_mm: float, case: str = "") -> torch.Tensor:
    """Return what the network sees of a CT: float32 (4, slices, rows, columns) at GRID_MM, HU not scaled yet.

    Raises:
        LabellerError: If there are no lungs.
    """
    small = coarse(hu, spacing_mm)
    where = positions(small.shape, hu.shape, lung_box(hu, spacing_mm, case))
    return torch.from_numpy(np.concatenate([small[None], where]))
