from dataclasses import replace

import numpy as np
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.arms import ROOM_MM
from pipeline_training.body import (
    LEAST_JACOBIAN,
    as_scanned,
    draw_body,
    draw_difference,
    make_body,
    unfolded_motions,
)
from pipeline_training.scanned import extend
from pipeline_training.warp import least_jacobian


@pytest.fixture(scope="module")
def extended(anatomy: Anatomy) -> Anatomy:
    return extend(anatomy)[0]


def test_same_generator_makes_the_same_body(anatomy: Anatomy) -> None:
    extended, scanned = extend(anatomy)
    first, second = (draw_body(extended, scanned, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.anatomy.hu, second.anatomy.hu)
    np.testing.assert_array_equal(first.anatomy.organs.parts, second.anatomy.organs.parts)
    assert [d.name for d in first.devices] == [d.name for d in second.devices]
    assert first.scanned == second.scanned
    other = draw_body(extended, scanned, np.random.default_rng(6))
    assert not np.array_equal(other.anatomy.hu.shape, first.anatomy.hu.shape) or not np.array_equal(
        other.anatomy.hu, first.anatomy.hu
    )


@pytest.mark.parametrize("seed", range(4))
def test_no_drawn_body_is_folded(extended: Anatomy, seed: int) -> None:
    difference = draw_difference(extended, np.random.default_rng(seed))
    motions = unfolded_motions(extended, difference)
    assert least_jacobian(extended.hu.shape, motions, extended.spacing_mm) >= LEAST_JACOBIAN


def test_folding_difference_is_softened_until_it_does_not_fold(extended: Anatomy) -> None:
    difference = draw_difference(extended, np.random.default_rng(0))
    wild = replace(difference.deformation, bend_voxels=difference.deformation.bend_voxels * 40)
    motions = unfolded_motions(extended, replace(difference, deformation=wild))
    assert least_jacobian(extended.hu.shape, [wild], extended.spacing_mm) < 0
    assert least_jacobian(extended.hu.shape, motions, extended.spacing_mm) >= LEAST_JACOBIAN


def test_bodies_differ_in_everything_that_can(anatomy: Anatomy) -> None:
    extended, _ = extend(anatomy)
    drawn = [draw_difference(extended, np.random.default_rng(seed)) for seed in range(60)]
    assert 0.4 < np.mean([each.arms is not None for each in drawn]) < 0.8
    assert 0.15 < np.mean([each.breasts is not None for each in drawn]) < 0.55
    assert 0.02 < np.mean([each.cut_mm is not None for each in drawn]) < 0.35
    assert len({each.shift_mm for each in drawn}) == len(drawn)


def test_devices_and_arms_and_factors_leave_the_masks_alone(anatomy: Anatomy) -> None:
    extended, scanned = extend(anatomy)
    difference = draw_difference(extended, np.random.default_rng(3))
    plain, _ = make_body(extended, scanned, replace(difference, arms=None, breasts=None, cut_mm=None))
    arms = difference.arms or draw_difference(extended, np.random.default_rng(4)).arms
    armed, _ = make_body(extended, scanned, replace(difference, arms=arms, breasts=None, cut_mm=None))
    sides = (armed.hu.shape[2] - plain.hu.shape[2]) // 2
    assert sides in (0, round(ROOM_MM / anatomy.spacing_mm))
    inside = slice(sides, armed.hu.shape[2] - sides)
    for name in plain.known():
        for before, after in zip(plain.layers, armed.layers, strict=True):
            np.testing.assert_array_equal(after.mask(name)[:, :, inside], before.mask(name))


def test_scanned_body_is_the_scan(anatomy: Anatomy) -> None:
    extended, scanned = extend(anatomy)
    body = as_scanned(extended, scanned)
    assert body.anatomy is extended
    assert body.devices == ()
