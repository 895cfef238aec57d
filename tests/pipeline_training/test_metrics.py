"""Overlap and distance against shapes whose answer is known by geometry."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.metrics import (
    Interval,
    agreement,
    bootstrap_interval,
    border,
    diagonal,
    dice,
    hausdorff95,
    iou,
    t_interval,
)

SHAPE = (120, 160)


def square(top: int, left: int, side: int = 40) -> npt.NDArray[np.bool_]:
    mask = np.zeros(SHAPE, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def disc(radius: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    inside: npt.NDArray[np.bool_] = np.hypot(rows - 60, columns - 80) <= radius
    return inside


EMPTY = np.zeros(SHAPE, np.bool_)


def test_a_mask_agrees_fully_with_itself() -> None:
    mask = square(10, 10)
    assert (dice(mask, mask), iou(mask, mask), hausdorff95(mask, mask)) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("shift", [1, 7, 20, 40])
def test_overlap_of_shifted_squares_is_that_of_geometry(shift: int) -> None:
    a, b = square(30, 30), square(30, 30 + shift)
    assert dice(a, b) == pytest.approx((40 - shift) / 40)
    assert iou(a, b) == pytest.approx((40 - shift) / (40 + shift))


@pytest.mark.parametrize("shift", [1, 7, 20])
def test_distance_of_shifted_squares_is_the_shift(shift: int) -> None:
    # More than 5 % of each border lies on the far side, so the 95th percentile is the whole shift.
    assert hausdorff95(square(30, 30), square(30, 30 + shift)) == pytest.approx(shift)


def test_overlap_of_concentric_discs_is_the_ratio_of_their_areas() -> None:
    assert iou(disc(20), disc(40)) == pytest.approx((20 / 40) ** 2, abs=0.01)


def test_distance_of_concentric_discs_is_the_difference_of_their_radii() -> None:
    assert hausdorff95(disc(20), disc(45)) == pytest.approx(25, abs=1)


def test_distance_is_given_in_the_unit_of_the_spacing() -> None:
    across, down = (square(30, 30), square(30, 40)), (square(30, 30), square(40, 30))
    assert hausdorff95(*across, spacing=(0.2, 0.7)) == pytest.approx(7)
    assert hausdorff95(*down, spacing=(0.2, 0.7)) == pytest.approx(2)


def test_distance_is_symmetric_where_one_mask_has_a_distant_part() -> None:
    small, large = square(30, 30), square(30, 30) | square(70, 110)
    assert hausdorff95(small, large) == hausdorff95(large, small)
    assert (hausdorff95(small, large) or 0) > 40


def test_a_stray_pixel_does_not_decide_the_distance() -> None:
    stray = square(30, 30)
    stray[100, 150] = True
    assert hausdorff95(square(30, 30), stray) == 0


def test_a_mask_on_the_edge_of_the_image_has_a_border_there() -> None:
    assert border(np.ones((3, 3), np.bool_)).sum() == 8


def test_one_empty_mask_scores_zero_and_the_diagonal() -> None:
    for pair in ((EMPTY, square(0, 0)), (square(0, 0), EMPTY)):
        assert (dice(*pair), iou(*pair)) == (0.0, 0.0)
        assert hausdorff95(*pair) == math.hypot(120, 160) == diagonal(SHAPE)
    assert hausdorff95(EMPTY, square(0, 0), spacing=(0.5, 0.5)) == pytest.approx(100)


def test_two_empty_masks_are_not_counted() -> None:
    assert dice(EMPTY, EMPTY) is iou(EMPTY, EMPTY) is hausdorff95(EMPTY, EMPTY) is None


def test_masks_of_different_shape_are_refused() -> None:
    for metric in (dice, iou, hausdorff95):
        with pytest.raises(ValueError, match=r"one shape, found \(120, 160\) and \(2, 2\)"):
            metric(EMPTY, np.ones((2, 2), np.bool_))


def test_interval_approaches_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(0.9, 0.05, 400).tolist()
    interval = bootstrap_interval(values)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.05 / math.sqrt(400), rel=0.15)
    assert interval.low < interval.mean < interval.high


def test_interval_is_the_same_for_the_same_seed() -> None:
    values = [0.1, 0.5, 0.9, 0.7]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, resamples=50, seed=3) != bootstrap_interval(
        values, resamples=50, seed=4
    )


def test_no_values_have_no_interval() -> None:
    with pytest.raises(ValueError, match="needs values"):
        bootstrap_interval([])


def test_agreement_of_values_off_by_known_amounts() -> None:
    found = agreement([0.5, 0.5, 0.5, 0.5], [0.52, 0.48, 0.52, 0.48])
    assert found.n == 4
    assert found.mean_absolute_error.mean == pytest.approx(0.02)
    assert found.bias.mean == pytest.approx(0)
    spread = 1.96 * 0.02 * math.sqrt(4 / 3)
    assert (found.lower_limit, found.upper_limit) == pytest.approx((-spread, spread))


def test_t_interval_holds_where_values_are_few() -> None:
    generator = np.random.default_rng(0)
    found = [t_interval(generator.normal(0, 1, 5).tolist()) for _ in range(1000)]
    missed = sum(not each.low <= 0 <= each.high for each in found) / len(found)
    assert missed == pytest.approx(0.05, abs=0.02), "the percentile bootstrap misses 16 % here"


def test_t_interval_of_one_value_has_no_width_and_of_none_is_refused() -> None:
    assert t_interval([0.5]) == Interval(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="needs values"):
        t_interval([])
