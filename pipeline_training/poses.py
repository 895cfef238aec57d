"""Poses as they occur: upright from behind, in bed from in front, from either side, each somewhat off."""

from dataclasses import dataclass

import numpy as np

from pipeline_training.anatomy import Anatomy
from pipeline_training.geometry import Pose

BEDSIDE_SHARE = 0.35
"""Share of frontal views taken in bed, from in front and from near."""

UPRIGHT_MM = (1500.0, 1950.0)
BEDSIDE_MM = (900.0, 1300.0)
"""Source to detector: 1800 and 1000 by the rules of radiography."""

BEHIND_LUNGS_MM = (110.0, 230.0)
BEHIND_LUNGS_LATERAL_MM = (200.0, 320.0)
"""From the lungs' centre to the detector."""

FIELD_MM = (300.0, 450.0)
"""Of the detector: a film shows the lungs whole, most often, and little air beside the body."""

TURN_DEG = 4.0
"""Standard deviation of a patient's turn about the body's axis. A turned patient's spinous processes lie off
the clavicles' middle; films turned further are taken again."""

TILT_DEG = 3.0
TILT_BEDSIDE_DEG = 5.0
"""Standard deviations of the beam's tilt; in bed nothing holds the tube and the detector to each other."""

ROLL_DEG = 3.0
"""Standard deviation of the detector's turn in its own plane."""

SIDEWAYS_MM = 12.0
"""Standard deviation by which the detector's middle lies beside the lungs' centre."""

UPWARDS_MM = (-5.0, 15.0)
"""Mean and standard deviation by which it lies above: films reach further under the lungs than over them."""

APEX_MM = (5.0, 40.0)
"""By which the lungs' apices are seen above the inner ends of the clavicles in an upright PA view: about 25
where the patient leans onto the detector as the rules of radiography ask."""

APEX_BEDSIDE_MM = (-10.0, 30.0)
"""In bed, where patients lean back, the clavicles are seen higher."""

LEAN_DEG = 14.0
"""At most: no patient leans further against the lying posture of a CT."""


@dataclass(frozen=True)
class Lean:
    """Where the lungs' apices lie from the inner ends of the clavicles: mm towards posterior and superior."""

    posterior_mm: float
    superior_mm: float

    def tilt(self, apex_mm: float) -> float:
        """Return the degrees of tilt of a beam from behind that show the apices so far above the clavicles.

        In mm of the patient, parallel rays; at most LEAN_DEG either way. From in front it has the other sign.
        """
        reach = float(np.hypot(self.posterior_mm, self.superior_mm))
        angle = np.arcsin(np.clip(apex_mm / max(reach, 1e-3), -1, 1))
        against = np.degrees(angle - np.arctan2(self.superior_mm, self.posterior_mm))
        return -float(np.clip(against, -LEAN_DEG, LEAN_DEG))


def lean_of(anatomy: Anatomy) -> Lean | None:
    """Return a body's lean; None where it does not know a clavicle or the lungs of that side."""
    offsets = []
    for side, outwards in (("right", -1), ("left", 1)):
        clavicle = np.argwhere(anatomy.organs.mask(f"clavicle {side}"))
        lung = np.argwhere(anatomy.organs.mask(f"{side} lung"))
        if not len(clavicle) or not len(lung):
            return None
        inner = clavicle[np.argmin(outwards * clavicle[:, 2])]
        apex = lung[lung[:, 0] == lung[:, 0].max()].mean(axis=0)
        offsets.append((apex - inner) * anatomy.spacing_mm)
    superior, posterior, _ = np.mean(offsets, axis=0)
    return Lean(float(posterior), float(superior))


def draw_pose(generator: np.random.Generator, lateral_share: float, lean: Lean | None = None) -> Pose:
    """Return a clinical pose: upright PA, bedside AP or lateral, each somewhat off.

    Args:
        generator: Draws it.
        lateral_share: Of views from the side.
        lean: Of the body; with it frontal views show the apices above the clavicles as radiographs do.
    """
    lateral, bedside = generator.random() < lateral_share, generator.random() < BEDSIDE_SHARE
    distance = generator.uniform(*(BEDSIDE_MM if bedside and not lateral else UPRIGHT_MM))
    base = float(generator.choice([90.0, -90.0])) if lateral else (180.0 if bedside else 0.0)
    tilt = 0.0
    if lean is not None and not lateral:
        apex_mm = generator.uniform(*(APEX_BEDSIDE_MM if bedside else APEX_MM))
        tilt = -lean.tilt(apex_mm) if bedside else lean.tilt(apex_mm)
    behind_lungs = generator.uniform(*(BEHIND_LUNGS_LATERAL_MM if lateral else BEHIND_LUNGS_MM))
    return Pose(
        source_to_detector_mm=distance,
        source_to_centre_mm=distance - behind_lungs,
        azimuth_deg=base + generator.normal(0, TURN_DEG),
        tilt_deg=tilt + generator.normal(0, TILT_BEDSIDE_DEG if bedside else TILT_DEG),
        roll_deg=generator.normal(0, ROLL_DEG),
        shift_mm=(generator.normal(0, SIDEWAYS_MM), generator.normal(*UPWARDS_MM)),
        field_mm=generator.uniform(*FIELD_MM),
        mirrored=bedside and not lateral,
    )


def is_lateral(pose: Pose) -> bool:
    """Return whether a view counts as lateral, not as frontal."""
    return abs(abs(pose.azimuth_deg) - 90) < 45
