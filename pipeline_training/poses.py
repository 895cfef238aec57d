"""Poses as they occur: upright from behind, in bed from in front, from either side, each somewhat off."""

import numpy as np

from pipeline_training.geometry import Pose

BEDSIDE_SHARE = 0.35
"""Share of frontal views taken in bed, from in front and from near."""

UPRIGHT_MM = (1500.0, 1950.0)
BEDSIDE_MM = (900.0, 1300.0)
"""Source to detector: 1800 and 1000 by the rules of radiography."""

BEHIND_LUNGS_MM = (110.0, 230.0)
BEHIND_LUNGS_LATERAL_MM = (200.0, 320.0)
"""From the lungs' centre to the detector."""

FIELD_MM = (260.0, 430.0)
"""Of the detector: a film shows little air beside the body."""


def draw_pose(generator: np.random.Generator, lateral_share: float) -> Pose:
    """Return a clinical pose: upright PA, bedside AP or lateral, each somewhat off."""
    lateral, bedside = generator.random() < lateral_share, generator.random() < BEDSIDE_SHARE
    distance = generator.uniform(*(BEDSIDE_MM if bedside and not lateral else UPRIGHT_MM))
    base = float(generator.choice([90.0, -90.0])) if lateral else (180.0 if bedside else 0.0)
    behind_lungs = generator.uniform(*(BEHIND_LUNGS_LATERAL_MM if lateral else BEHIND_LUNGS_MM))
    return Pose(
        source_to_detector_mm=distance,
        source_to_centre_mm=distance - behind_lungs,
        azimuth_deg=base + generator.normal(0, 6),
        tilt_deg=generator.normal(0, 6 if bedside else 4),
        roll_deg=generator.normal(0, 5),
        shift_mm=(generator.normal(0, 18), generator.normal(-5, 20)),
        field_mm=generator.uniform(*FIELD_MM),
        mirrored=bedside and not lateral,
    )


def is_lateral(pose: Pose) -> bool:
    """Return whether a view counts as lateral, not as frontal."""
    return abs(abs(pose.azimuth_deg) - 90) < 45
