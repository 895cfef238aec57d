from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.shoulders import (
    SLOPE_DEG,
    TILT_DEG,
    Shoulder,
    clavicle_slopes,
    draw_shoulders,
    move_shoulders,
)
from pipeline_training.warp import warp

STILL = Shoulder(0.0, 0.0, 0.0)


def centre(body: Anatomy, name: str) -> npt.NDArray[np.float64]:
    places: npt.NDArray[np.float64] = np.argwhere(body.organs.mask(name)).mean(axis=0) * body.spacing_mm
    return places


def moved(anatomy: Anatomy, right: Shoulder = STILL, left: Shoulder = STILL) -> Anatomy:
    return warp(anatomy, [move_shoulders(anatomy, (right, left))])


def test_still_shoulders_stay(anatomy: Anatomy) -> None:
    np.testing.assert_array_equal(moved(anatomy).organs.parts, anatomy.organs.parts)


def test_rolled_shoulders_take_the_scapulae_outwards(anatomy: Anatomy) -> None:
    rolled = Shoulder(0.0, 12.0, 0.0)
    body = moved(anatomy, rolled, rolled)
    assert centre(body, "scapula left")[2] - centre(anatomy, "scapula left")[2] == pytest.approx(12, abs=4)
    assert centre(anatomy, "scapula right")[2] - centre(body, "scapula right")[2] == pytest.approx(12, abs=4)


def test_turned_scapula_brings_its_tip_towards_the_spine(anatomy: Anatomy) -> None:
    body = moved(anatomy, left=Shoulder(18.0, 0.0, 0.0))

    def tip(of: Anatomy) -> float:
        places = np.argwhere(of.organs.mask("scapula left"))
        return float(places[places[:, 0] <= places[:, 0].min() + 2][:, 2].mean()) * of.spacing_mm

    assert tip(body) < tip(anatomy) - 6
    np.testing.assert_allclose(centre(body, "scapula right"), centre(anatomy, "scapula right"), atol=1)


def test_tilt_of_a_clavicle_moves_nothing_smoothly(anatomy: Anatomy) -> None:
    tilted = Shoulder(0.0, 0.0, 10.0)
    np.testing.assert_array_equal(moved(anatomy, tilted, tilted).organs.parts, anatomy.organs.parts)


def test_sunk_clavicles_lie_lower_from_end_to_end_and_as_far_out(anatomy: Anatomy) -> None:
    sunk = Shoulder(0.0, 0.0, 0.0, sink_mm=18.0)
    body = moved(anatomy, sunk, sunk)

    def ends(of: Anatomy, side: str) -> npt.NDArray[np.float64]:
        places = np.argwhere(of.organs.mask(f"clavicle {side}")) * of.spacing_mm
        low, high = np.quantile(places[:, 2], [0.15, 0.85])
        return np.array([places[places[:, 2] <= low].mean(axis=0), places[places[:, 2] >= high].mean(axis=0)])

    for side in ("right", "left"):
        moves = ends(body, side) - ends(anatomy, side)
        np.testing.assert_allclose(moves[:, 0], -18, atol=5)
        np.testing.assert_allclose(moves[:, 2], 0, atol=3)


def test_both_clavicles_together_take_the_sternum_no_further_than_they_go(anatomy: Anatomy) -> None:
    sunk = Shoulder(0.0, 0.0, 0.0, sink_mm=18.0)
    furthest = np.abs(move_shoulders(anatomy, (sunk, sunk)).voxels).max() * anatomy.spacing_mm
    assert 15 < furthest < 18.5


def test_raised_clavicles_are_drawn_as_they_lie_with_the_arms_down() -> None:
    tilts = [draw_shoulders(np.random.default_rng(seed), (30.0, 26.0)) for seed in range(100)]
    right = np.array([30.0 - each[0].tilt_deg for each in tilts])
    left = np.array([26.0 - each[1].tilt_deg for each in tilts])
    for slopes in (right, left):
        assert slopes.min() > SLOPE_DEG[0] - 8
        assert slopes.max() < SLOPE_DEG[1] + 8
        assert slopes.mean() == pytest.approx(np.mean(SLOPE_DEG), abs=3)
    level = [draw_shoulders(np.random.default_rng(seed))[0].tilt_deg for seed in range(100)]
    assert min(level) == TILT_DEG[0], "no clavicle is raised by more"


@pytest.mark.parametrize("degrees", [0.0, 12.0, 24.0])
def test_slope_of_a_clavicle_is_how_it_rises_outwards(anatomy: Anatomy, degrees: float) -> None:
    """Straight bones, drawn along lines that rise by so many degrees."""
    parts = np.zeros_like(anatomy.organs.parts)
    layer = anatomy.organs.with_parts(parts)
    run = np.arange(0, 14, 0.25)
    for side, outwards in (("right", -1), ("left", 1)):
        columns = (parts.shape[2] // 2 + outwards * (2 + run)).astype(int)
        slices = (5 + run * np.tan(np.radians(degrees))).round().astype(int)
        (part,) = anatomy.organs.structures[f"clavicle {side}"]
        parts[slices, parts.shape[1] // 3, columns] = part
    assert clavicle_slopes(replace(anatomy, organs=layer)) == pytest.approx((degrees, degrees), abs=2.5)


def test_unknown_clavicles_are_level(anatomy: Anatomy) -> None:
    layer = anatomy.organs.with_parts(np.zeros_like(anatomy.organs.parts))
    assert clavicle_slopes(replace(anatomy, organs=layer)) == (0.0, 0.0)


def test_shoulders_are_alike_and_follow_the_generator() -> None:
    right, left = draw_shoulders(np.random.default_rng(4))
    assert (right, left) == draw_shoulders(np.random.default_rng(4))
    assert right != left
    assert abs(right.turn_deg - left.turn_deg) < 12
