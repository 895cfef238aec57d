"""Body, lungs and spine of a CT, found by their density: rough, at about 3 mm, and only for orientation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.intake.ct import CtVolume

Mask = npt.NDArray[np.bool_]

ROUGH_SPACING_MM = 3.0
BODY_HU = -400
LUNG_HU = -500
BONE_HU = 200
SMALLEST_LUNG_ML = 200.0
BEHIND_PERCENT = 85
"""So much of the lungs lies in front of the rows in which the spine is looked for."""

SPINE_MM = 40.0
"""The spine lies this close to the middle between the lungs."""


@dataclass(frozen=True, eq=False)
class Thorax:
    """A CT (slices, rows, columns) growing towards superior, posterior, left, if it is not flipped.

    Attributes:
        hu: float32.
        body: Skin and what is within.
        lungs: Both, with the airways.
        spacing_mm: Edge length of a voxel.
        spine: The column of the bones behind the lungs, near the middle.
    """

    hu: npt.NDArray[np.float32]
    body: Mask
    lungs: Mask
    spacing_mm: float
    spine: float

    @property
    def low(self) -> int:
        """The lowest slice of the lungs."""
        return int(np.flatnonzero(self.lungs.any(axis=(1, 2)))[0])

    @property
    def high(self) -> int:
        """The slice above the lungs."""
        return int(np.flatnonzero(self.lungs.any(axis=(1, 2)))[-1]) + 1

    @property
    def height(self) -> int:
        """The lungs' height in slices."""
        return self.high - self.low

    def part(self, fraction: tuple[float, float]) -> range:
        """Return the slices of a part of the lungs' height, counted from below; at least one."""
        begin = self.low + int(fraction[0] * self.height)
        return range(begin, max(begin + 1, self.low + int(fraction[1] * self.height)))

    def sides(self, voxels: Mask) -> tuple[Mask, Mask]:
        """Return the columns right and left of the spine."""
        begin = int(self.spine) + 1
        return voxels[..., :begin], voxels[..., begin:]


def thorax_of(volume: CtVolume) -> Thorax | None:
    """Return what was found in a CT; None if there are no lungs in it."""
    step = max(1, round(ROUGH_SPACING_MM / volume.spacing_mm))
    hu = _coarser(volume.hu, step)
    spacing_mm = volume.spacing_mm * step
    if min(hu.shape) < 3 or not (body := _body(hu)).any():
        return None
    lungs = _lungs(hu, body, SMALLEST_LUNG_ML * 1000 / spacing_mm**3)
    return with_spine(hu, body, lungs, spacing_mm) if lungs.any() else None


def with_spine(hu: npt.NDArray[np.float32], body: Mask, lungs: Mask, spacing_mm: float) -> Thorax:
    """Return the thorax of these masks."""
    return Thorax(hu, body, lungs, spacing_mm, _spine(hu, body, lungs, spacing_mm))


def _coarser(hu: npt.NDArray[np.int16], step: int) -> npt.NDArray[np.float32]:
    """Return the means of blocks of step x step x step voxels."""
    slices, rows, columns = (length // step for length in hu.shape)
    cut = hu[: slices * step, : rows * step, : columns * step]
    blocks = cut.reshape(slices, step, rows, step, columns, step)
    return np.asarray(blocks.mean(axis=(1, 3, 5)), np.float32)


def _largest(mask: Mask, count: int, smallest: float) -> Mask:
    """Return the largest connected pieces."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = [number for number in sizes.argsort()[::-1][:count] if sizes[number] > smallest]
    return np.isin(labels, kept)


def _body(hu: npt.NDArray[np.float32]) -> Mask:
    """Return the largest dense piece, thinner ones such as the table cut off, filled slice by slice."""
    body = _largest(ndimage.binary_opening(hu > BODY_HU, iterations=2), 1, 0)
    return np.stack([ndimage.binary_fill_holes(each) for each in body])


def _lungs(hu: npt.NDArray[np.float32], body: Mask, smallest: float) -> Mask:
    air = ndimage.binary_opening((hu < LUNG_HU) & ndimage.binary_erosion(body))
    return _largest(air, 2, smallest)


def _spine(hu: npt.NDArray[np.float32], body: Mask, lungs: Mask, spacing_mm: float) -> float:
    """Return the column of the bones near the middle, weighed by the slices and rows that they have there.

    Only what lies behind most of the lungs counts: contrast in heart and aorta is as dense. Where a volume is
    flipped that is the sternum, near the middle too.
    """
    slices, rows, columns = np.nonzero(lungs)
    middle, begin = columns.mean(), int(np.percentile(rows, BEHIND_PERCENT))
    bone = (hu > BONE_HU) & body
    counts = bone[slices.min() : slices.max() + 1, begin:].sum(axis=(0, 1)).astype(float)
    near = np.abs(np.arange(len(counts)) - middle) * spacing_mm < SPINE_MM
    return float((counts * near * np.arange(len(counts))).sum() / max((counts * near).sum(), 1)) or middle
