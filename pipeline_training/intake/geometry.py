"""Where voxels lie in the patient, and how they come onto the grid that everything works on.

Patient coordinates are millimetres towards left, posterior and superior (LPS), as in DICOM PS3.3 C.7.6.2.1.1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.errors import VolumeError

Real = npt.NDArray[np.float64]

WORKING_SPACING_MM = 1.5
"""Every volume is brought to this isotropic spacing, the one of the development data."""

SAME_PLACE_VOXELS = 0.01
"""Grids whose voxels lie closer than this, in voxels, are one grid: NIfTI's affine is of single precision."""

FWHM_PER_SIGMA = 2.0 * float(np.sqrt(2.0 * np.log(2.0)))
"""Full width at half maximum of a Gaussian of sigma 1."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Voxels in any order of axes, and where they lie.

    Attributes:
        voxels: Three axes.
        to_patient: float64 (4, 4), from an index to (left, posterior, superior) in mm of the voxel's centre.
    """

    voxels: npt.NDArray[np.generic]
    to_patient: Real

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or 0 in self.voxels.shape:
            raise VolumeError(f"a volume has three axes and no empty one, found shape {self.voxels.shape}")
        if not np.isfinite(self.to_patient).all() or abs(np.linalg.det(self.to_patient)) < 1e-9:
            raise VolumeError("the voxels' place in the patient is not finite, or its axes lie in one plane")

    @property
    def spacing_mm(self) -> Real:
        """Distance of neighbouring voxels along each axis."""
        distances: Real = np.linalg.norm(self.to_patient[:3, :3], axis=0)
        return distances


@dataclass(frozen=True)
class Grid:
    """The working grid of a volume: isotropic, growing towards superior, posterior and left.

    Attributes:
        shape: (slices, rows, columns).
        first_mm: (left, posterior, superior) of the centre of voxel (0, 0, 0).
        spacing_mm: Edge length of a voxel.
    """

    shape: tuple[int, int, int]
    first_mm: tuple[float, float, float]
    spacing_mm: float = WORKING_SPACING_MM

    @property
    def to_patient(self) -> Real:
        """From (slice, row, column) to (left, posterior, superior) in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.eye(3)[::-1] * self.spacing_mm
        matrix[:3, 3] = self.first_mm
        return matrix


def working_grid(placed: Placed, spacing_mm: float = WORKING_SPACING_MM) -> Grid:
    """Return the grid that covers a volume's voxel centres, its axes those of the patient.

    A volume that lies along the patient's axes with this spacing keeps its own voxels.
    """
    corners = _corners(placed)
    low, high = corners.min(axis=0), corners.max(axis=0)
    columns, rows, slices = (np.floor((high - low) / spacing_mm + SAME_PLACE_VOXELS) + 1).astype(int).tolist()
    return Grid((slices, rows, columns), (float(low[0]), float(low[1]), float(low[2])), spacing_mm)


def _corners(placed: Placed) -> Real:
    last = np.array(placed.voxels.shape) - 1
    indices = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [*last, 1]
    corners: Real = (placed.to_patient @ indices.T)[:3].T
    return corners


def resample(placed: Placed, grid: Grid, order: int, outside: float) -> npt.NDArray[np.generic]:
    """Return the voxels on `grid`.

    Args:
        placed: Of finer or coarser voxels, turned in any way.
        grid: Of the answer.
        order: 0 takes the nearest voxel and keeps the type; 1 is linear, after smoothing along axes that are
            finer than the grid (Cardoso, Scale factor point spread function matching, 2015), float32.
        outside: Value beyond the volume's edges.
    """
    turned, matrix = _turned(placed, grid)
    scale, shift = np.diag(matrix)[:3], matrix[:3, 3]
    rest = np.abs(matrix[:3, :3] - np.diag(scale)) @ grid.shape
    if (rest > SAME_PLACE_VOXELS).any():
        return _interpolated(turned, matrix[:3, :3], shift, grid, order, outside)
    drift = np.abs(scale - 1) * grid.shape + np.abs(shift - np.rint(shift))
    if (drift < SAME_PLACE_VOXELS).all():
        return _pasted(turned, np.rint(shift).astype(int), grid, outside)
    return _interpolated(turned, scale, shift, grid, order, outside)


def _turned(placed: Placed, grid: Grid) -> tuple[npt.NDArray[np.generic], Real]:
    """Return the voxels with axes in the grid's order and direction, and the matrix to their indices."""
    matrix = np.linalg.inv(placed.to_patient) @ grid.to_patient
    order = _nearest_axes(matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=1, keepdims=True))
    matrix[:3] = matrix[order]
    voxels = placed.voxels.transpose(order)
    for axis in range(3):
        if matrix[axis, axis] < 0:
            matrix[axis] *= -1
            matrix[axis, 3] += voxels.shape[axis] - 1
            voxels = np.flip(voxels, axis)
    return voxels, matrix


def _nearest_axes(directions: Real) -> list[int]:
    """Return, for each axis of the grid, the volume's axis that lies closest to it; each is taken once."""
    free = np.abs(directions)
    order = [0, 0, 0]
    for _ in range(3):
        own, target = np.unravel_index(int(free.argmax()), free.shape)
        order[target] = int(own)
        free[own, :] = free[:, target] = -1
    return order


def _pasted(
    voxels: npt.NDArray[np.generic], shift: npt.NDArray[np.int_], grid: Grid, outside: float
) -> npt.NDArray[np.generic]:
    """Return the voxels moved by whole voxels: nothing is interpolated."""
    answer: npt.NDArray[np.generic] = np.full(grid.shape, outside, voxels.dtype)
    begin = np.maximum(0, -shift)
    end = np.minimum(grid.shape, np.array(voxels.shape) - shift)
    if (end > begin).all():
        to = tuple(slice(a, b) for a, b in zip(begin, end, strict=True))
        of = tuple(slice(a, b) for a, b in zip(begin + shift, end + shift, strict=True))
        answer[to] = voxels[of]
    return answer


def _interpolated(
    voxels: npt.NDArray[np.generic], matrix: Real, shift: Real, grid: Grid, order: int, outside: float
) -> npt.NDArray[np.generic]:
    """Return the voxels interpolated; `matrix` is the diagonal alone where the axes are parallel."""
    if order:
        voxels = _smoothed(voxels.astype(np.float32), matrix)
    answer: npt.NDArray[np.generic] = ndimage.affine_transform(
        voxels, matrix, shift, grid.shape, order=order, mode="grid-constant", cval=outside, prefilter=False
    )
    return answer


def _smoothed(voxels: npt.NDArray[np.float32], matrix: Real) -> npt.NDArray[np.float32]:
    steps = np.abs(matrix) if matrix.ndim == 1 else np.abs(np.diag(matrix))
    for axis, step in enumerate(steps):
        if step > 1 + SAME_PLACE_VOXELS:
            sigma = float(np.sqrt(step**2 - 1)) / FWHM_PER_SIGMA
            voxels = ndimage.gaussian_filter1d(voxels, sigma, axis=axis, mode="nearest")
    return voxels
