import numpy as np
import pytest

from pipeline_training.film_marks import (
    Collimation,
    Letters,
    collimated,
    draw_collimation,
    draw_letters,
    mark,
)

GREY = np.full((160, 160), 0.4, np.float32)


def test_right_is_marked_on_the_left_and_left_on_the_right() -> None:
    drawn = [draw_letters(np.random.default_rng(seed)) for seed in range(80)]
    assert {each.text for each in drawn} > {"R", "L"}
    for each in drawn:
        changed = np.flatnonzero((mark(GREY, each) != GREY).any(axis=0))
        if each.text in ("R", "L"):
            assert (changed.mean() < 80) == (each.text == "R")


@pytest.mark.parametrize("height", [0.03, 0.1])
def test_mark_has_its_height_and_brightness(height: float) -> None:
    marked = mark(GREY, Letters("L", height, False, 0.1, 0.5, 0.95))
    rows = np.flatnonzero((marked != GREY).any(axis=1))
    assert np.ptp(rows) + 1 == pytest.approx(max(height * 160, 6), abs=3)
    assert marked.max() == pytest.approx(0.95, abs=0.1)


def test_collimated_border_is_straight_and_of_one_grey() -> None:
    framed = collimated(GREY, Collimation((0.1, 0.0, 0.0, 0.05), (0.0, 0.0, 0.0, 0.0), 0.0, 0.5))
    assert not framed[:15].any()
    assert not framed[:, -7:].any()
    np.testing.assert_array_equal(framed[17:, :151], GREY[17:, :151])


def test_turned_edge_runs_at_its_angle() -> None:
    framed = collimated(GREY, Collimation((0.2, 0.0, 0.0, 0.0), (3.0, 0.0, 0.0, 0.0), 1.0, 1.0))
    edge = [int(np.flatnonzero(framed[:, column] < 0.9)[0]) for column in (20, 140)]
    assert edge[0] - edge[1] == pytest.approx(120 * np.tan(np.radians(3)), abs=1.5)


def test_drawn_marks_follow_the_generator() -> None:
    for draw in (draw_letters, draw_collimation):
        assert draw(np.random.default_rng(1)) == draw(np.random.default_rng(1))
