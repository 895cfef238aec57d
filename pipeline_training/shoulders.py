"""Shoulders: in a CT the arms are up, in a radiograph down or rolled forward; scapulae turn, clavicles sink.

A smooth motion around each bone, for HU and labels alike; what lies near (skin, ribs) follows in part. By how
much a clavicle tilts is drawn here, too, and done by `clavicles`.
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

TILT_DEG = (-6.0, 26.0)
"""Of a clavicle about its sternal end, at most; above 0 its outer end sinks."""

SLOPE_DEG = (-6.0, 18.0)
"""Of the clavicles of a drawn body, above 0 where the outer end is higher. With the arm down the clavicle
rises by some 6 degrees (Ludewig et al., J Bone Joint Surg Am 91:378, 2009), with it raised by 30 more (Inman
1944): so does that of a CT with raised arms, and no radiograph's."""

SINK_MM = (-5.0, 30.0)
"""Towards the feet, of a whole clavicle, and of what lies within some REACH_MM of it: the upper ends of the
sternum and of the first ribs, not the lung's apex. Positioning asks for some 25 mm of apex above the
clavicles; CTs with raised arms show a few. Wider than anatomy, so that a network looks for the bone and does
not take its place from the lung's."""

END_SHARE = 0.1
"""Of a clavicle's width: the part of it that counts as an end."""

REACH_MM = 45.0
"""Standard deviation of the blur over which a motion fades around its bone."""

SIDES = ("right", "left")

Volume = npt.NDArray[np.float32]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Shoulder:
    """How one shoulder differs: degrees and millimetres, see TURN_DEG, OUTWARDS_MM, TILT_DEG and SINK_MM."""

    turn_deg: float
    outwards_mm: float
    tilt_deg: float
    sink_mm: float = 0.0


def draw_shoulders(
    generator: np.random.Generator, slopes: tuple[float, float] = (0.0, 0.0)
) -> tuple[Shoulder, Shoulder]:
    """Return (right, left): alike, but not the same.

    Args:
        generator: Draws them.
        slopes: Of the clavicles as they were scanned, (right, left), as `clavicle_slopes` gives them.
    """
    common = [generator.uniform(*ends) for ends in (TURN_DEG, OUTWARDS_MM, SLOPE_DEG, SINK_MM)]
    right, left = (_beside(common, scanned, generator) for scanned in slopes)
    return right, left


def _beside(common: list[float], scanned: float, generator: np.random.Generator) -> Shoulder:
    """Return one shoulder of a pair with (turn, outwards, slope, sink) in common; `scanned` is its slope."""
    turn, outwards, slope, sink = (float(value + generator.normal(0, 2)) for value in common)
    return Shoulder(turn, outwards, float(np.clip(scanned - slope, *TILT_DEG)), sink)


def clavicle_slopes(anatomy: Anatomy) -> tuple[float, float]:
    """Return (right, left) degrees by which each clavicle rises to the outside in the frontal plane.

    One that the anatomy does not know, or that has no length, rises by 0.
    """
    right, left = (
        _slope(anatomy.organs.mask(f"clavicle {side}"), outwards)
        for side, outwards in zip(SIDES, (-1.0, 1.0), strict=True)
    )
    return right, left


def _slope(clavicle: npt.NDArray[np.bool_], outwards: float) -> float:
    places = np.argwhere(clavicle)
    if not len(places):
        return 0.0
    along = outwards * places[:, 2]
    low, high = np.quantile(along, [END_SHARE, 1 - END_SHARE])
    inner, outer = places[along <= low].mean(axis=0), places[along >= high].mean(axis=0)
    run, rise = outwards * (outer[2] - inner[2]), outer[0] - inner[0]
    return float(np.degrees(np.arctan2(rise, run))) if run > 0 else 0.0


def move_shoulders(anatomy: Anatomy, shoulders: tuple[Shoulder, Shoulder]) -> Field:
    """Return the motion of both shoulders, clavicles not tilted; unknown bones stay."""
    stride = coarse_stride(anatomy.spacing_mm)
    shape = [math.ceil(n / stride) for n in anatomy.hu.shape]
    field, clavicles = np.zeros((2, 3, *shape), np.float32)
    nearness = np.zeros(shape, np.float32)
    for side, outwards, shoulder in zip(SIDES, (-1.0, 1.0), shoulders, strict=True):
        scapula = anatomy.organs.mask(f"scapula {side}")
        if scapula.any():
            turn, shift = outwards * shoulder.turn_deg, outwards * shoulder.outwards_mm / anatomy.spacing_mm
            pivot = _pivot(scapula)
            near = _nearness(scapula, anatomy.spacing_mm)
            field += _turned(near, scapula.shape, pivot, turn, (0.0, shift))
        clavicle = anatomy.organs.mask(f"clavicle {side}")
        if clavicle.any():
            near = _nearness(clavicle, anatomy.spacing_mm)
            clavicles[2] += near * (shoulder.sink_mm / anatomy.spacing_mm)
            nearness += near
    return Field(field + clavicles / np.maximum(nearness, 1))  # between both, their mean and not their sum


def _pivot(scapula: npt.NDArray[np.bool_]) -> Point:
    """Return the middle of the scapula's upper third, near the joint with the clavicle."""
    slices = np.flatnonzero(scapula.any(axis=(1, 2)))
    cut = int(slices[0] + (slices[-1] - slices[0]) * 2 / 3)
    z, y, x = ndimage.center_of_mass(scapula[cut:])
    return float(z) + cut, float(y), float(x)


def _turned(
    near: Volume, shape: tuple[int, ...], pivot: Point, degrees: float, shift: tuple[float, float]
) -> Volume:
    """Return the displacement (3, ...) on the coarse grid of a turn in the frontal plane and a shift (z, x).

    Degrees above 0 take what lies left of the pivot towards the feet; `near` says how far each place follows.
    """
    ends = [np.linspace(0, n - 1, m, dtype=np.float32) for n, m in zip(shape, near.shape, strict=True)]
    z, x = ends[0][:, None, None], ends[2][None, None, :]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    dx, dz = x - shift[1] - pivot[2], z - shift[0] - pivot[0]
    field = np.zeros((3, *near.shape), np.float32)
    field[0] = near * (cosine * dx - sine * dz + pivot[2] - x)
    field[2] = near * (sine * dx + cosine * dz + pivot[0] - z)
    return field


def _nearness(bone: npt.NDArray[np.bool_], spacing_mm: float) -> Volume:
    """Return 1 at the bone, falling off smoothly, on the coarse grid."""
    stride = coarse_stride(spacing_mm)
    away = ndimage.distance_transform_edt(~thinned(bone, stride)) * stride * spacing_mm
    return np.asarray(np.exp(-0.5 * (away / REACH_MM) ** 2), np.float32)
