"""Shoulders: in a CT the arms are up, in a radiograph down or rolled forward; scapulae turn, clavicles tilt.

A smooth motion around each bone, for HU and labels alike; what lies near (skin, ribs) follows in part.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import Anatomy
from pipeline_training.warp import Field, coarse_stride, thinned

TURN_DEG = (-8.0, 18.0)
"""Of a scapula about the sagittal axis; above 0 its lower tip comes towards the spine, as when a raised arm
sinks (the scapula turns by 1 degree for each 2 of the arm: Inman 1944)."""

OUTWARDS_MM = (-4.0, 14.0)
"""Rolled shoulders take the scapulae off the lungs."""

TILT_DEG = (-6.0, 10.0)
"""Of a clavicle about its sternal end; above 0 its outer end sinks."""

REACH_MM = 45.0
"""Standard deviation of the blur over which a motion fades around its bone."""

SIDES = ("right", "left")

Volume = npt.NDArray[np.float32]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Shoulder:
    """How one shoulder differs: degrees and millimetres, see TURN_DEG, OUTWARDS_MM and TILT_DEG."""

    turn_deg: float
    outwards_mm: float
    tilt_deg: float


def draw_shoulders(generator: np.random.Generator) -> tuple[Shoulder, Shoulder]:
    """Return (right, left): alike, but not the same."""
    common = [generator.uniform(*ends) for ends in (TURN_DEG, OUTWARDS_MM, TILT_DEG)]
    right, left = ([float(value + generator.normal(0, 2)) for value in common] for _ in SIDES)
    return Shoulder(*right), Shoulder(*left)


def move_shoulders(anatomy: Anatomy, shoulders: tuple[Shoulder, Shoulder]) -> Field:
    """Return the motion of both shoulders; bones that the anatomy does not know stay."""
    stride = coarse_stride(anatomy.spacing_mm)
    shape = [math.ceil(n / stride) for n in anatomy.hu.shape]
    field = np.zeros((3, *shape), np.float32)
    for side, outwards, shoulder in zip(SIDES, (-1.0, 1.0), shoulders, strict=True):
        scapula = anatomy.organs.mask(f"scapula {side}")
        if scapula.any():
            turn, shift = outwards * shoulder.turn_deg, outwards * shoulder.outwards_mm / anatomy.spacing_mm
            pivot = _pivot(scapula)
            field += _turned(scapula, pivot, turn, shift, anatomy.spacing_mm)
        clavicle = anatomy.organs.mask(f"clavicle {side}")
        if clavicle.any():
            pivot = _inner_end(clavicle, outwards)
            field += _turned(clavicle, pivot, outwards * shoulder.tilt_deg, 0.0, anatomy.spacing_mm)
    return Field(field)


def _pivot(scapula: npt.NDArray[np.bool_]) -> Point:
    """Return the middle of the scapula's upper third, near the joint with the clavicle."""
    slices = np.flatnonzero(scapula.any(axis=(1, 2)))
    cut = int(slices[0] + (slices[-1] - slices[0]) * 2 / 3)
    z, y, x = ndimage.center_of_mass(scapula[cut:])
    return float(z) + cut, float(y), float(x)


def _inner_end(clavicle: npt.NDArray[np.bool_], outwards: float) -> Point:
    """Return the point of the clavicle that is nearest to the sternum."""
    places = np.argwhere(clavicle)
    z, y, x = places[np.argmin(outwards * places[:, 2])]
    return float(z), float(y), float(x)


def _turned(
    bone: npt.NDArray[np.bool_], pivot: Point, degrees: float, shift: float, spacing_mm: float
) -> Volume:
    """Return the displacement (3, ...) on the coarse grid of a turn in the frontal plane and a shift in x.

    Degrees above 0 take what lies left of the pivot towards the feet.
    """
    near = _nearness(bone, spacing_mm)
    ends = [np.linspace(0, n - 1, m, dtype=np.float32) for n, m in zip(bone.shape, near.shape, strict=True)]
    z, x = ends[0][:, None, None], ends[2][None, None, :]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    dx, dz = x - shift - pivot[2], z - pivot[0]
    field = np.zeros((3, *near.shape), np.float32)
    field[0] = near * (cosine * dx - sine * dz + pivot[2] - x)
    field[2] = near * (sine * dx + cosine * dz + pivot[0] - z)
    return field


def _nearness(bone: npt.NDArray[np.bool_], spacing_mm: float) -> Volume:
    """Return 1 at the bone, falling off smoothly, on the coarse grid."""
    stride = coarse_stride(spacing_mm)
    away = ndimage.distance_transform_edt(~thinned(bone, stride)) * stride * spacing_mm
    return np.asarray(np.exp(-0.5 * (away / REACH_MM) ** 2), np.float32)
