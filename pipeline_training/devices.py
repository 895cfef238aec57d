"""Things in the beam that are no anatomy: solids as clouds of points, projected by the volume's own geometry.

A point stands for a piece of a solid; what it adds to a ray is its attenuation times its volume, spread over
the area that a detector pixel sees at its depth. So a wire of half a millimetre costs no finer voxels, and a
device changes no mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline_training.geometry import Pose, detector_points

FloatImage = npt.NDArray[np.float32]

Points = npt.NDArray[np.float64]

STEEL_PER_MM, TITANIUM_PER_MM = 0.65, 0.25
"""Linear attenuation at about 70 keV (NIST XCOM, between its lines at 60 and 80 keV: iron some 0.83, titanium
some 0.55 cm2/g, at densities of 7.9 and 4.5 g/cm3)."""

BARIUM_PLASTIC_PER_MM = 0.12
"""Plastic with barium sulphate, as the stripe of a tube: some six times water."""

PLASTIC_PER_MM = 0.035
CIRCUITRY_PER_MM = 0.3
"""A case of titanium with a battery and circuits, on average."""


PITCH_MM = (0.25, 0.6)
"""Between the points along a tube, finer than a pixel."""


@dataclass(frozen=True, eq=False)
class Device:
    """A solid.

    Attributes:
        name: What it is.
        points_mm: (n, 3), towards (left, posterior, superior) from the lungs' centre.
        absorbed_mm2: (n,) attenuation times the volume that each point stands for: per mm times mm3.
    """

    name: str
    points_mm: Points
    absorbed_mm2: npt.NDArray[np.float64]


def project_devices(devices: Sequence[Device], pose: Pose, size: int) -> FloatImage:
    """Return the attenuation integral (size, size) of all devices, unitless."""
    image = np.zeros((size + 2, size + 2))
    for device in devices:
        at, magnification = to_detector(device.points_mm, pose, size)
        seen_mm2 = (pose.field_mm / size / magnification) ** 2
        _splat(image, at, device.absorbed_mm2 / seen_mm2)
    return np.ascontiguousarray(image[1:-1, 1:-1], np.float32)


def to_detector(points_mm: Points, pose: Pose, size: int) -> tuple[Points, npt.NDArray[np.float64]]:
    """Return (row, column) of points on the detector, pixel centres whole, and their magnification."""
    source, pixels = detector_points(pose, size)
    pixels = pixels[:, ::-1] if pose.mirrored else pixels
    corner, right, down = (pixels[0, 0], pixels[0, 1] - pixels[0, 0], pixels[1, 0] - pixels[0, 0])
    normal = np.cross(right, down)
    on_plane, magnification = points_mm - corner, np.ones(len(points_mm))
    if not pose.parallel:
        away = points_mm - source
        magnification = ((corner - source) @ normal) / (away @ normal)
        on_plane = source + away * magnification[:, None] - corner
    at = np.stack([on_plane @ down / (down @ down), on_plane @ right / (right @ right)], axis=1)
    return at, magnification


def _splat(image: npt.NDArray[np.float64], at: Points, weights: npt.NDArray[np.float64]) -> None:
    """Add weights to the four pixels around each (row, column); the image has a margin of one pixel."""
    at = at + 1
    low = np.floor(at).astype(int)
    inside = ((low >= 0) & (low < np.array(image.shape) - 1)).all(axis=1)
    low, share, weights = low[inside], (at - low)[inside], weights[inside]
    for row in (0, 1):
        for column in (0, 1):
            near = np.abs(1 - row - share[:, 0]) * np.abs(1 - column - share[:, 1])
            np.add.at(image, (low[:, 0] + row, low[:, 1] + column), weights * near)


def tube(name: str, course_mm: Points, radius_mm: float, per_mm: float, wall_mm: float = 0.0) -> Device:
    """Return a tube along a course (n, 3): hollow with that wall, solid where the wall is 0."""
    centres, directions, step = _walk(course_mm, float(np.clip(radius_mm * 0.3, *PITCH_MM)))
    across = _disc(radius_mm, wall_mm)
    first, second = _frame(directions)
    points = centres[:, None] + first[:, None] * across[None, :, :1] + second[:, None] * across[None, :, 1:]
    inner = max(radius_mm - wall_mm, 0.0) if wall_mm else 0.0
    share = np.pi * (radius_mm**2 - inner**2) * step / len(across)
    count = points.shape[0] * points.shape[1]
    return Device(name, points.reshape(-1, 3), np.full(count, per_mm * share))


def smooth_course(knots_mm: Points, spacing_mm: float = 2.0) -> Points:
    """Return points along a smooth curve through knots (n, 3) (Catmull-Rom)."""
    ends = np.concatenate([2 * knots_mm[:1] - knots_mm[1:2], knots_mm, 2 * knots_mm[-1:] - knots_mm[-2:-1]])
    pieces = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        count = max(2, int(np.linalg.norm(c - b) / spacing_mm))
        t = np.arange(count)[:, None] / count
        pieces.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    return np.concatenate([*pieces, knots_mm[-1:]])


def plate(
    name: str, centre_mm: Points, axes_mm: Points, per_mm: float, rounding: float = 2.0, pitch_mm: float = 0.6
) -> Device:
    """Return a flat body with a superelliptic outline.

    Args:
        name: What it is.
        centre_mm: (3,).
        axes_mm: (3, 3): half its width, height and thickness as vectors.
        per_mm: Linear attenuation.
        rounding: Exponent of the outline: 2 an ellipse, 4 a rounded box.
        pitch_mm: Distance of the points.
    """
    halves = np.linalg.norm(axes_mm, axis=1)
    counts = [max(1, int(np.ceil(2 * half / pitch_mm))) for half in halves]
    u, v, w = (
        n.ravel() for n in np.meshgrid(*[(np.arange(n) + 0.5) / n * 2 - 1 for n in counts], indexing="ij")
    )
    inside = np.abs(u) ** rounding + np.abs(v) ** rounding <= 1
    points = centre_mm + np.stack([u, v, w], axis=1)[inside] @ axes_mm
    piece = 8 * float(np.prod(halves)) / float(np.prod(counts))
    return Device(name, points, np.full(len(points), per_mm * piece))


def _walk(course_mm: Points, pitch_mm: float) -> tuple[Points, Points, float]:
    """Return points at equal steps along a course, the direction at each, and the step."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(course_mm, axis=0), axis=1))])
    count = max(2, int(lengths[-1] / pitch_mm))
    step = lengths[-1] / count
    at = (np.arange(count) + 0.5) * step
    centres = np.stack([np.interp(at, lengths, course_mm[:, k]) for k in range(3)], axis=1)
    directions = np.gradient(centres, axis=0)
    return centres, directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9), step


def _disc(radius_mm: float, wall_mm: float) -> Points:
    """Return points evenly spread over a disc, or over its outer ring where there is a wall (sunflower)."""
    inner = max(radius_mm - wall_mm, 0.0) if wall_mm else 0.0
    count = int(np.clip(np.pi * (radius_mm**2 - inner**2) / 0.12, 5, 160))
    k = np.arange(count) + 0.5
    radii = np.sqrt(inner**2 + (radius_mm**2 - inner**2) * k / count)
    angles = np.pi * (1 + np.sqrt(5)) * k
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _frame(directions: Points) -> tuple[Points, Points]:
    """Return two unit vectors across each direction."""
    helper = np.where(np.abs(directions[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(directions, helper)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    return first, np.cross(directions, first)
