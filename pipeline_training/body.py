"""A body to be projected: drawn from a scanned one by everything that differs between patients.

Drawing is apart from making: `draw_body` says what differs, `make_body` does it.
"""

from dataclasses import dataclass

import numpy as np

from pipeline_training.anatomy import Anatomy
from pipeline_training.arms import Arm, cut_sides, draw_arms, lower_arms
from pipeline_training.breasts import Breasts, add_breasts, draw_breasts
from pipeline_training.clavicles import turn_clavicles
from pipeline_training.deform import Deformation, draw_deformation
from pipeline_training.devices import Device
from pipeline_training.fittings import draw_fittings, fit
from pipeline_training.organ_factors import attenuate, draw_factors
from pipeline_training.respiration import breathe, draw_shift
from pipeline_training.scanned import Scanned
from pipeline_training.shoulders import Shoulder, clavicle_slopes, draw_shoulders, move_shoulders
from pipeline_training.warp import Motion, least_jacobian, warp

ARMS_SHARE = 0.6
"""Of the bodies whose arms are lowered; the others keep what the scan shows."""

BREASTS_SHARE = 0.35
CUT_SHARE = 0.15
CUT_BESIDE_LUNGS_MM = (15.0, 90.0)

LEAST_JACOBIAN = 0.1
"""Volume that a voxel keeps at least."""

SOFTENING = 0.7
"""A motion that folds the body is drawn back by this factor until it does not."""


@dataclass(frozen=True, eq=False)
class Body:
    """What is projected.

    Attributes:
        anatomy: Volume and structures.
        scanned: Which of its slices were scanned.
        devices: What else is in the beam.
    """

    anatomy: Anatomy
    scanned: Scanned
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, eq=False)
class Difference:
    """How a body differs from the scanned one; None where it does not."""

    deformation: Deformation
    shift_mm: float
    shoulders: tuple[Shoulder, Shoulder]
    arms: tuple[Arm, Arm] | None
    breasts: Breasts | None
    cut_mm: tuple[float, float] | None


def as_scanned(anatomy: Anatomy, scanned: Scanned) -> Body:
    """Return the scanned body itself."""
    return Body(anatomy, scanned)


def draw_difference(anatomy: Anatomy, generator: np.random.Generator) -> Difference:
    """Return how a random body differs."""
    cut = (float(generator.uniform(*CUT_BESIDE_LUNGS_MM)), float(generator.uniform(*CUT_BESIDE_LUNGS_MM)))
    with_arms, with_breasts, is_cut = generator.random(3) < (ARMS_SHARE, BREASTS_SHARE, CUT_SHARE)
    arms, breasts = draw_arms(generator), draw_breasts(generator)
    return Difference(
        deformation=draw_deformation(anatomy, generator),
        shift_mm=draw_shift(generator),
        shoulders=draw_shoulders(generator, clavicle_slopes(anatomy)),
        arms=arms if with_arms else None,
        breasts=breasts if with_breasts else None,
        cut_mm=cut if is_cut else None,
    )


def draw_body(anatomy: Anatomy, scanned: Scanned, generator: np.random.Generator) -> Body:
    """Return a random body made from the scanned one, with what was fitted to it.

    Raises:
        pipeline_training.errors.VolumeError: If the lungs were moved out of the volume.
    """
    moved, ends = make_body(anatomy, scanned, draw_difference(anatomy, generator))
    denser = attenuate(moved, draw_factors(moved, generator))
    return Body(denser, ends, fit(moved, draw_fittings(generator)))


def make_body(anatomy: Anatomy, scanned: Scanned, difference: Difference) -> tuple[Anatomy, Scanned]:
    """Return the anatomy changed, and what of it is still known.

    Raises:
        pipeline_training.errors.VolumeError: If the lungs were moved out of the volume.
    """
    right, left = (shoulder.tilt_deg for shoulder in difference.shoulders)
    anatomy = turn_clavicles(anatomy, (right, left), scanned)
    motions = unfolded_motions(anatomy, difference)
    moved, ends = warp(anatomy, motions), scanned.moved(anatomy.hu.shape, motions, anatomy.spacing_mm)
    if difference.breasts is not None:
        moved = add_breasts(moved, difference.breasts)
    if difference.arms is not None:
        moved = lower_arms(moved, difference.arms)
    if difference.cut_mm is not None:
        moved = cut_sides(moved, difference.cut_mm)
    return moved, ends


def unfolded_motions(anatomy: Anatomy, difference: Difference) -> tuple[Motion, ...]:
    """Return the motions of a body, fields drawn back until they fold nothing."""
    motions: tuple[Motion, ...] = (
        difference.deformation,
        breathe(anatomy, difference.shift_mm),
        move_shoulders(anatomy, difference.shoulders),
    )
    while least_jacobian(anatomy.hu.shape, motions, anatomy.spacing_mm) < LEAST_JACOBIAN:
        motions = tuple(motion.softened(SOFTENING) for motion in motions)
    return motions
