"""Cone-beam projection of a volume and its parts: one geometry for image and masks.

A point source, a flat detector, and rays sampled at equal steps. For every ray and every part the path
length and the integral of the attenuation along that path are summed, so that structures and images are
both sums over parts. Rays are followed through the whole volume, also where it reaches beyond the detector.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pipeline_training.anatomy import Anatomy
from pipeline_training.errors import VolumeError

FloatImages = npt.NDArray[np.float32]

WATER_PER_MM = 0.0195
"""Linear attenuation of water at about 70 keV, the effective energy of a 120 kVp chest exposure (NIST
XCOM)."""

HARD_TISSUE_HU = 150.0
HARD_TISSUE_GAIN = 1.3
"""Above this HU calcium absorbs more than density tells: HU there count 1.3-fold (effective two-material
mixture)."""


@dataclass(frozen=True)
class Pose:
    """Where source, patient and detector stand.

    Attributes:
        source_to_detector_mm: 1800 for an upright PA, 1000 for a bedside AP exposure; above
            source_to_centre_mm.
        source_to_centre_mm: From the source to the centre of the lungs.
        azimuth_deg: Direction of the beam about the long axis: 0 from behind (PA), 180 from in front (AP),
            90 and -90 from the patient's right and left (laterals).
        tilt_deg: Beam towards the feet (above 0) or the head.
        roll_deg: Rotation in the image plane.
        shift_mm: (right-left, up-down) offset of the central ray from the centre of the lungs.
        field_mm: Height and width of the detector.
        mirrored: Columns reversed after projection: a frontal view is looked at from in front, whichever
            way the beam went.
    """

    source_to_detector_mm: float = 1800.0
    source_to_centre_mm: float = 1600.0
    azimuth_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    field_mm: float = 400.0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.source_to_centre_mm < self.source_to_detector_mm:
            raise VolumeError(
                "the patient stands between source and detector: "
                f"found {self.source_to_centre_mm} of {self.source_to_detector_mm} mm"
            )


@dataclass(frozen=True, eq=False)
class Projection:
    """Sums along rays for each layer's parts.

    Attributes:
        lengths_mm: For each layer float32 (parts + 1, size, size): path length in part p at each pixel.
        attenuation: float32 (parts + 1, size, size), of the organ layer: integral of the attenuation,
            unitless.
    """

    lengths_mm: tuple[FloatImages, ...]
    attenuation: FloatImages


def detector_points(pose: Pose, size: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return source (3,) and detector pixel centres (size, size, 3) in mm, LPS about the lungs' centre.

    Columns grow towards the patient's left and rows towards the feet when the beam comes from behind
    (azimuth 0).
    """
    across, down = np.meshgrid(*(((np.arange(size) + 0.5) / size - 0.5) * pose.field_mm,) * 2)
    behind = pose.source_to_detector_mm - pose.source_to_centre_mm
    flat = np.stack([across, np.full_like(across, -behind), -down], axis=-1)
    source = np.array([0.0, pose.source_to_centre_mm, 0.0])
    rotation = _about_z(pose.azimuth_deg) @ _about_x(pose.tilt_deg) @ _about_y(pose.roll_deg)
    shift = np.array([pose.shift_mm[0], 0.0, pose.shift_mm[1]])
    return rotation @ (source + shift), (flat + shift) @ rotation.T


def _about_z(degrees: float) -> npt.NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _about_x(degrees: float) -> npt.NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(degrees: float) -> npt.NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def attenuation_per_mm(hu: npt.NDArray[np.int16]) -> torch.Tensor:
    """Return linear attenuation in 1/mm for HU, same shape: water scaled by density, calcium counted more."""
    values = torch.from_numpy(hu.astype(np.float32))
    hard = torch.clamp(values - HARD_TISSUE_HU, min=0) * (HARD_TISSUE_GAIN - 1)
    return torch.clamp((values + 1000 + hard) / 1000, min=0) * WATER_PER_MM


def project(anatomy: Anatomy, pose: Pose, size: int, step_mm: float = 2.0) -> Projection:
    """Return the projection of the volume and of every layer's parts on a (size, size) detector.

    Args:
        anatomy: The volume, indices growing towards superior, posterior, left.
        pose: Geometry.
        size: Detector rows and columns.
        step_mm: Distance between samples on a ray; attenuation is interpolated linearly, parts are the
            nearest voxel's.
    """
    source, pixels = detector_points(pose, size)
    start, direction, count, step = _march(anatomy, source, pixels.reshape(-1, 3), step_mm)
    attenuation = attenuation_per_mm(anatomy.hu)[None, None]
    layers = [torch.from_numpy(layer.parts.reshape(-1)).long() for layer in anatomy.layers]
    sums = [torch.zeros(len(start) * (layer.count + 1)) for layer in anatomy.layers]
    weighted = torch.zeros_like(sums[0])
    shape = anatomy.hu.shape
    scale = torch.tensor([2.0 / n for n in shape[::-1]])
    rays = [torch.arange(len(start)) * (layer.count + 1) for layer in anatomy.layers]
    for k in range(count):
        at = start + direction * (k * step[:, None])  # (x, y, z) in voxels, centres at whole numbers
        grid = ((at + 0.5) * scale - 1)[None, None, None]
        mu = torch.nn.functional.grid_sample(attenuation, grid, align_corners=False)[0, 0, 0, 0]
        nearest = _nearest_voxel(at, shape)
        for i, (parts, total) in enumerate(zip(layers, sums, strict=True)):
            index = rays[i] + parts[nearest]
            total.index_add_(0, index, step)
            if i == 0:
                weighted.index_add_(0, index, mu * step)
    lengths = tuple(_images(total * anatomy.spacing_mm, size, pose.mirrored) for total in sums)
    return Projection(lengths, _images(weighted * anatomy.spacing_mm, size, pose.mirrored))


def _images(sums: torch.Tensor, size: int, mirrored: bool) -> FloatImages:
    """Return sums by ray and part as (parts + 1, size, size)."""
    images = sums.view(size, size, -1).permute(2, 0, 1).numpy()
    return np.ascontiguousarray(images[:, :, ::-1] if mirrored else images, np.float32)


def _march(
    anatomy: Anatomy, source: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], step_mm: float
) -> tuple[torch.Tensor, torch.Tensor, int, torch.Tensor]:
    """Return first sample and direction (rays, 3), the number of steps, and each ray's step, in voxels."""
    centre = np.array(anatomy.centre[::-1])
    origin = source / anatomy.spacing_mm + centre
    direction = ends / anatomy.spacing_mm + centre - origin
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    upper = np.array(anatomy.hu.shape[::-1]) - 0.5
    safe = np.where(np.abs(direction) < 1e-9, 1e-9, direction)
    bounds = np.stack([(-0.5 - origin) / safe, (upper - origin) / safe])
    enter = bounds.min(axis=0).max(axis=1)
    leave = np.maximum(bounds.max(axis=0).min(axis=1), enter)
    count = max(1, int(np.ceil((leave - enter).max() * anatomy.spacing_mm / step_mm)))
    step = (leave - enter) / count
    start = origin + direction * (enter + step / 2)[:, None]
    to = torch.float32
    return (
        torch.tensor(start, dtype=to),
        torch.tensor(direction, dtype=to),
        count,
        torch.tensor(step, dtype=to),
    )


def _nearest_voxel(at: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Return the flat index of the voxel nearest to points (n, 3) given as (x, y, z)."""
    depth, rows, columns = shape
    last = torch.tensor([columns - 1, rows - 1, depth - 1])
    x, y, z = torch.round(at).long().clamp_min(0).minimum(last).unbind(1)
    return (z * rows + y) * columns + x
