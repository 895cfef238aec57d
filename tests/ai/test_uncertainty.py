import numpy as np
import pytest
from scipy.special import expit

from ai.preprocess import Letterbox
from ai.uncertainty import (
    SHIFT,
    Reliability,
    Trust,
    agreement,
    expected_dice,
    probabilities,
    second_look,
    trust_of,
)

SIZE, GRID = 64, 32


def test_second_look_is_the_negative_moved_and_its_padding_stays_empty() -> None:
    box = Letterbox(64, 32, SIZE)  # 16 columns of padding on either side
    inputs = np.zeros((1, 1, SIZE, SIZE), np.float32)
    inputs[0, 0, :, 16:48] = np.linspace(0, 1, 32, dtype=np.float32)
    moved = second_look(inputs, [box.film()])
    assert np.array_equal(moved[0, 0, SHIFT:, 16 + SHIFT : 48 + SHIFT], 1 - inputs[0, 0, :-SHIFT, 16:48])
    assert not moved[0, 0, :SHIFT].any()
    assert not moved[0, 0, :, : 16 + SHIFT].any()
    assert not moved[0, 0, :, 48 + SHIFT :].any()


@pytest.mark.parametrize(("rows", "columns"), [(299, 320), (320, 301), (745, 1024), (64, 63)])
def test_padding_stays_empty_whatever_the_shape(rows: int, columns: int) -> None:
    """The second look has what is no padding exactly where the picture is, moved."""
    box = Letterbox(rows, columns, SIZE)
    inputs = box.to_network(np.zeros((rows, columns), np.float32))[None, None]
    inside = box.to_network(np.ones((rows, columns), np.float32)) > 0
    moved = second_look(inputs, [box.film()])[0, 0]
    assert np.array_equal(moved[SHIFT:, SHIFT:] == 1, inside[:-SHIFT, :-SHIFT])
    assert not moved[~np.roll(inside, (SHIFT, SHIFT), (0, 1))].any()


def test_looks_that_move_with_the_picture_agree_fully() -> None:
    cells = SHIFT * GRID // SIZE
    first = np.random.default_rng(0).normal(0, 3, (2, GRID, GRID)).astype(np.float32)
    second = np.full_like(first, -9)
    second[:, cells:, cells:] = first[:, :-cells, :-cells]
    assert agreement(first, second, SIZE) == pytest.approx([1, 1])
    second[1] = -second[1]
    agreed = agreement(first, second, SIZE)
    assert agreed[0] == pytest.approx(1)
    assert agreed[1] < 0.7


def test_agreement_of_two_squares_is_their_dice() -> None:
    first, second = (np.full((1, GRID, GRID), -20, np.float32) for _ in range(2))
    cells = SHIFT * GRID // SIZE
    first[0, 4:14, 4:14] = 20
    second[0, 4 + cells : 14 + cells, 9 + cells : 19 + cells] = 20  # half of it lies on the first
    assert agreement(first, second, SIZE)[0] == pytest.approx(0.5, abs=1e-3)


def test_expected_dice_is_what_the_probabilities_promise() -> None:
    logits = np.full((3, GRID, GRID), -20, np.float32)
    logits[0, :8] = 20  # certain
    logits[1, :8] = np.log(0.75 / 0.25)  # three quarters of the mask
    found = expected_dice(logits, np.zeros(3, np.float32))
    assert found == pytest.approx([1, 2 * 0.75 / 1.75, 0], abs=1e-4)


def test_better_signs_raise_the_probability_along_a_logistic_curve() -> None:
    curve = Reliability(bar=0.9, intercept=-1.0, expected=0.5, agreement=1.0)
    assert curve.probability(0.5, 0.5) == pytest.approx(1 / (1 + np.e))
    ways = [curve.probability(one, other) for one, other in ((0.5, 0.5), (0.9, 0.5), (0.9, 0.9), (1.0, 1.0))]
    assert ways == sorted(ways)
    assert 0 < curve.probability(0.0, 0.0) < 0.001 < 0.999 < curve.probability(1.0, 1.0) < 1


@pytest.mark.parametrize(
    "wrong",
    [{"bar": 1.0}, {"bar": 0.0}, {"expected": -0.1}, {"agreement": -1.0}, {"intercept": float("nan")}],
)
def test_a_curve_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="found"):
        Reliability(**{"bar": 0.9, "intercept": 0.0, "expected": 1.0, "agreement": 1.0, **wrong})


def test_trust_is_told_of_structures_with_a_curve() -> None:
    curves = {"heart": Reliability(0.9, 0.0, 0.0, 1.0)}
    signs = np.array([0.2, 0.2], np.float32), np.array([0.9, 0.2], np.float32)
    trusted = trust_of(curves, ("heart", "aorta"), *signs)
    assert list(trusted) == ["heart"]
    assert trusted["heart"].probability == pytest.approx(0.9)
    assert trusted["heart"].suffices


def test_trust_in_words() -> None:
    assert str(Trust(0.314, 0.9)) == "probability 0.31 of a Dice of 0.90 or more"
    assert not Trust(0.49, 0.9).suffices
    assert Trust(0.5, 0.9).suffices


def test_probabilities_are_those_of_scipy_from_impossible_to_certain() -> None:
    logits = np.array([-np.inf, -1000, -88.8, -20, -1, 0, 1, 20, 1000, np.inf], np.float32)
    assert probabilities(logits) == pytest.approx(expit(logits), abs=2e-7)
    assert probabilities(logits).dtype == np.float32
