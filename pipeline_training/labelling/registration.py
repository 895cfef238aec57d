"""One body laid on another by SimpleITK: lungs first, then points that belong together, then all borders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy import ndimage

from pipeline_training.errors import LabellerError

itk: Any = SimpleITK  # has no types

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]
Image = Any
Transform = Any

LUNG_GRID_MM = 3.0
FAR_MM, DEEP_MM = 60.0, -25.0
"""Beyond these distances from a lung's surface all places are alike."""

AFFINE_STEPS = 60
EDGES = (0.02, 0.98)
"""Of the lungs' volume along an axis, between which they are compared at first."""

FIELD_GRID_MM = 6.0
SHRUNK_MM, SHRUNK_WEIGHT = 16.0, 0.02
"""How far a pair of points is felt, and the weight of staying where the affine transform leads."""

LEVELS = ((6.0, 40), (4.0, 30))
"""Grid in mm and iterations of the demons, coarse to fine."""

DEMONS_SMOOTHING = 1.5
"""Standard deviation of the smoothing of the field, in voxels."""


def one_thread() -> None:
    """Let SimpleITK compute on one core: the same sums in the same order on every machine."""
    itk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def affine_on_lungs(fixed: Mask, moving: Mask, spacing_mm: float) -> Transform:
    """Return the affine transform from the fixed to the moving body, by the surfaces of their lungs.

    Args:
        fixed: Both lungs.
        moving: Both lungs, on voxels of the same size.
        spacing_mm: Edge length of a voxel.

    Raises:
        LabellerError: If SimpleITK finds no transform.
    """
    transform = _by_boxes(fixed, moving, spacing_mm)
    method = itk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(itk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, AFFINE_STEPS, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2])
    method.SetSmoothingSigmasPerLevel([4.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(transform, True)
    try:
        method.Execute(_surface(fixed, spacing_mm), _surface(moving, spacing_mm))
    except RuntimeError as exc:
        raise LabellerError(f"the lungs cannot be laid on each other: {exc}") from exc
    return transform


def _by_boxes(fixed: Mask, moving: Mask, spacing_mm: float) -> Transform:
    scale, shift = [], []
    for axis in (2, 1, 0):
        low, high = _edges(fixed, axis, spacing_mm)
        first, last = _edges(moving, axis, spacing_mm)
        scale.append((last - first) / max(high - low, spacing_mm))
        shift.append(first - scale[-1] * low)
    transform = itk.AffineTransform(3)
    transform.SetMatrix(np.diag(scale).ravel().tolist())
    transform.SetTranslation(shift)
    return transform


def _edges(mask: Mask, axis: int, spacing_mm: float) -> tuple[float, float]:
    share = np.cumsum(mask.sum(axis=tuple({0, 1, 2} - {axis})))
    low, high = (np.searchsorted(share, edge * share[-1]) * spacing_mm for edge in EDGES)
    return float(low), float(high)


def _surface(mask: Mask, spacing_mm: float) -> Image:
    step = max(1, round(LUNG_GRID_MM / spacing_mm))
    coarse, grid = mask[::step, ::step, ::step], spacing_mm * step
    outside = ndimage.distance_transform_edt(~coarse, grid)
    signed = outside - ndimage.distance_transform_edt(coarse, grid)
    return image_of(np.clip(signed, DEEP_MM, FAR_MM), grid)


def image_of(voxels: npt.NDArray[Any], spacing_mm: float) -> Image:
    """Return (slices, rows, columns) as SimpleITK's image, which begins at 0 mm."""
    image: Any = itk.GetImageFromArray(np.ascontiguousarray(voxels, np.float32))
    image.SetSpacing([spacing_mm] * 3)
    return image


def moved_back(transform: Transform, points: Points) -> Points:
    """Return where points of the moving body lie in the fixed one.

    Args:
        transform: Affine, from the fixed to the moving body.
        points: (n, 3) slices, rows, columns in mm.
    """
    inverse = transform.GetInverse()
    return np.array([inverse.TransformPoint(point[::-1].tolist())[::-1] for point in points])


def scale_of(transform: Transform) -> float:
    """Return how many mm of the moving body one of the fixed is."""
    return float(abs(np.linalg.det(np.reshape(transform.GetMatrix(), (3, 3)))) ** (1 / 3))


def field_through(shape: Sequence[int], spacing_mm: float, points: Points, goals: Points) -> Transform:
    """Return a transform that moves points near to their goals, and what is far from them not at all.

    Args:
        shape: Of the fixed volume, slices, rows, columns.
        spacing_mm: Edge length of its voxels.
        points: (n, 3) slices, rows, columns in mm.
        goals: Likewise.
    """
    sizes = [int(np.ceil(n * spacing_mm / FIELD_GRID_MM)) + 1 for n in shape]
    nodes = np.stack(np.meshgrid(*(np.arange(n) * FIELD_GRID_MM for n in sizes), indexing="ij"), axis=-1)
    total, weight = np.zeros(nodes.shape), np.full(nodes.shape[:3], SHRUNK_WEIGHT)
    for point, goal in zip(points, goals, strict=True):
        near = np.exp(-((nodes - point) ** 2).sum(axis=-1) / (2 * SHRUNK_MM**2))
        total += near[..., None] * (goal - point)
        weight += near
    moves = np.ascontiguousarray((total / weight[..., None])[..., ::-1])
    field: Any = itk.GetImageFromArray(moves, isVector=True)
    field.SetSpacing([FIELD_GRID_MM] * 3)
    return itk.DisplacementFieldTransform(itk.Cast(field, itk.sitkVectorFloat64))


def chain(*transforms: Transform) -> Transform:
    """Return transforms in a row, the last of which is applied first."""
    whole = itk.CompositeTransform(3)
    for transform in transforms:
        whole.AddTransform(transform)
    return whole


def demons(fixed: Image, moving: Image, start: Transform) -> Transform:
    """Return what is left to be moved before the start, so that equal values come upon each other."""
    warped = itk.Resample(moving, fixed, start, itk.sitkLinear, 0.0)
    field: Any = None
    for grid_mm, steps in LEVELS:
        coarse, other = (_on_grid(each, grid_mm) for each in (fixed, warped))
        method = itk.DiffeomorphicDemonsRegistrationFilter()
        method.SetNumberOfIterations(steps)
        method.SetSmoothDisplacementField(True)
        method.SetStandardDeviations(DEMONS_SMOOTHING)
        method.SetMaximumUpdateStepLength(1.0)
        if field is None:
            field = method.Execute(coarse, other)
        else:
            wide = itk.Resample(field, coarse, itk.Transform(), itk.sitkLinear, 0.0, itk.sitkVectorFloat64)
            field = method.Execute(coarse, other, wide)
    return itk.DisplacementFieldTransform(itk.Cast(field, itk.sitkVectorFloat64))


def _on_grid(image: Image, grid_mm: float) -> Image:
    smooth = itk.SmoothingRecursiveGaussian(image, grid_mm * 0.6)
    size = [
        int(np.ceil(n * edge / grid_mm)) for n, edge in zip(image.GetSize(), image.GetSpacing(), strict=True)
    ]
    edges, straight = [grid_mm] * 3, np.eye(3).ravel().tolist()
    return itk.Resample(smooth, size, itk.Transform(), itk.sitkLinear, [0.0] * 3, edges, straight, 0.0)


def carried(
    labels: npt.NDArray[np.uint8], transform: Transform, shape: Sequence[int], spacing_mm: float
) -> npt.NDArray[np.uint8]:
    """Return the moving body's labels on the fixed one's grid; both have voxels of the same size."""
    image: Any = itk.GetImageFromArray(labels)
    image.SetSpacing([spacing_mm] * 3)
    grid: Any = itk.Image([shape[2], shape[1], shape[0]], itk.sitkUInt8)
    grid.SetSpacing([spacing_mm] * 3)
    return np.asarray(itk.GetArrayFromImage(itk.Resample(image, grid, transform, itk.sitkNearestNeighbor, 0)))
