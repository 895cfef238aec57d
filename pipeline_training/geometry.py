"""Where source, patient and detector stand, and the rays between them.

Millimetres everywhere. Directions are (left, posterior, superior), about the centre of the lungs:

    PA, seen from above            source o . . . . . [ body ] . . | detector
                                          |<-- source_to_centre -->|
                                          |<---- source_to_detector ---->|

At azimuth 0 the beam comes from behind, columns grow towards the patient's left, rows towards the feet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import VolumeError

Points = npt.NDArray[np.float64]


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
        mirrored: Columns reversed: a frontal view is looked at from in front, whichever way the beam went.
        parallel: Rays parallel to the central one, as if the source were infinitely far away: nothing is
            magnified, and `field_mm` is measured in the patient.
    """

    source_to_detector_mm: float = 1800.0
    source_to_centre_mm: float = 1600.0
    azimuth_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    field_mm: float = 400.0
    mirrored: bool = False
    parallel: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.source_to_centre_mm < self.source_to_detector_mm:
            raise VolumeError(
                "the patient stands between source and detector: "
                f"found {self.source_to_centre_mm} of {self.source_to_detector_mm} mm"
            )

    def as_parallel(self) -> "Pose":
        """Return the pose with parallel rays, its field shrunk to what it covers at the lungs' centre."""
        covered = self.field_mm * self.source_to_centre_mm / self.source_to_detector_mm
        return replace(self, parallel=True, field_mm=covered)


POSES: Mapping[str, Pose] = MappingProxyType(
    {
        "PA": Pose(),
        "AP": Pose(1000.0, 850.0, azimuth_deg=180.0, mirrored=True),
        "LL": Pose(1800.0, 1550.0, azimuth_deg=90.0),
        "RL": Pose(1800.0, 1550.0, azimuth_deg=-90.0),
        "LAO": Pose(1800.0, 1570.0, azimuth_deg=45.0),
        "RAO": Pose(1800.0, 1570.0, azimuth_deg=-45.0),
    }
)
"""Poses by the name of their view. PA stands upright at 180 cm, AP lies in bed at 100 cm (distances: European
Guidelines on Quality Criteria for Diagnostic Radiographic Images, EUR 16260, chest: focus-film 180 cm, 140 to
200 cm). LL has the patient's left, RL the right side at the detector (View Position (0018,5101)); LAO and RAO
the left and right front."""


@dataclass(frozen=True, eq=False)
class Rays:
    """The rays to the pixels of a detector, row after row.

    Attributes:
        origin: float64 (rays, 3), or (1, 3) where all begin in one point: (left, posterior, superior) in mm
            about the lungs' centre.
        direction: float64 (rays, 3), of length 1.
    """

    origin: Points
    direction: Points


def cast_rays(pose: Pose, size: int) -> Rays:
    """Return the rays of a pose through the centres of (size, size) pixels."""
    source, pixels = detector_points(pose, size)
    ends = (pixels[:, ::-1] if pose.mirrored else pixels).reshape(-1, 3)
    if pose.parallel:
        towards = _rotation(pose) @ np.array([0.0, -1.0, 0.0])
        return Rays(ends - towards * pose.source_to_detector_mm, np.broadcast_to(towards, ends.shape))
    direction = ends - source
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return Rays(source[None], direction)


def central_direction(pose: Pose) -> Points:
    """Return the unit vector (3,) of the ray from the source to the middle of the detector."""
    return np.asarray(_rotation(pose) @ np.array([0.0, -1.0, 0.0]))


def detector_points(pose: Pose, size: int) -> tuple[Points, Points]:
    """Return source (3,) and detector pixel centres (size, size, 3) in mm, LPS about the lungs' centre.

    The pixels are in the order of the detector, not mirrored.
    """
    steps = ((np.arange(size) + 0.5) / size - 0.5) * pose.field_mm
    across, down = np.meshgrid(steps, steps)
    behind = pose.source_to_detector_mm - pose.source_to_centre_mm
    flat = np.stack([across, np.full_like(across, -behind), -down], axis=-1)
    source = np.array([0.0, pose.source_to_centre_mm, 0.0])
    shift = np.array([pose.shift_mm[0], 0.0, pose.shift_mm[1]])
    rotation = _rotation(pose)
    return rotation @ (source + shift), (flat + shift) @ rotation.T


def _rotation(pose: Pose) -> Points:
    turned: Points = _about_z(pose.azimuth_deg) @ _about_x(pose.tilt_deg) @ _about_y(pose.roll_deg)
    return turned


def _about_z(degrees: float) -> Points:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _about_x(degrees: float) -> Points:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(degrees: float) -> Points:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
