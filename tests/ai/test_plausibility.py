import numpy as np
import pytest

from ai.errors import NotAChestError
from ai.plausibility import check_lungs, check_seen_view, check_trust, frontal_probability
from ai.radiograph import Radiograph, View
from ai.segmentation import Mask
from ai.stated_view import check_stated_view
from ai.uncertainty import Trust

VISIBLE = ("visible lung right", "visible lung left")


def lung(height: int, width: int, top: int = 20) -> Mask:
    return Mask(np.ones((height, width), np.bool_), top, 0)


def test_probability_of_a_frontal_view_is_the_softmax_of_its_logits() -> None:
    assert frontal_probability(np.array([0, 0], np.float32)) == 0.5
    assert frontal_probability(np.array([2, -1], np.float32)) == pytest.approx(1 / (1 + np.exp(-3)))
    assert frontal_probability(np.array([-1e6, 1e6], np.float32)) == pytest.approx(0)


@pytest.mark.parametrize("view", [View.LEFT_LATERAL, View.RIGHT_LATERAL])
def test_stated_lateral_passes_only_a_model_for_laterals(view: View) -> None:
    radiograph = Radiograph(np.eye(64, dtype=np.float32), view=view)
    check_stated_view(radiograph.view, ("frontal", "lateral"))
    with pytest.raises(NotAChestError, match=view):
        check_stated_view(radiograph.view, ("frontal",))


def test_seen_lateral_passes_only_a_model_for_laterals() -> None:
    check_seen_view(0.2, ("lateral",))
    check_seen_view(0.5, ("frontal",))
    with pytest.raises(NotAChestError, match=r"probability 0\.80"):
        check_seen_view(0.2, ("frontal",))


def test_two_lungs_of_usual_size_pass() -> None:
    check_lungs(dict.fromkeys(VISIBLE, lung(40, 25)), (100, 100), VISIBLE)


def test_one_lung_is_enough_for_a_chest() -> None:
    check_lungs({VISIBLE[0]: lung(40, 25)}, (100, 100), VISIBLE)


@pytest.mark.parametrize(("height", "width", "told"), [(10, 10, "2.0 %"), (100, 50, "100.0 %")])
def test_lungs_of_impossible_size_are_no_chest(height: int, width: int, told: str) -> None:
    with pytest.raises(NotAChestError, match=told):
        check_lungs(dict.fromkeys(VISIBLE, lung(height, width, 0)), (100, 100), VISIBLE)


def test_whole_lungs_are_judged_where_the_model_knows_no_visible_ones() -> None:
    with pytest.raises(NotAChestError, match="no lungs were found"):
        check_lungs({}, (100, 100), ("heart", "right lung", "left lung"))
    check_lungs({}, (100, 100), ("heart",))


LOW, HIGH = Trust(0.23, 0.85), Trust(0.5, 0.9)


def found(*names: str) -> dict[str, Mask]:
    return dict.fromkeys(names, lung(40, 25))


def test_picture_of_which_neither_lungs_nor_heart_are_sure_is_no_chest() -> None:
    masks = found(*VISIBLE, "heart", "scapula left")
    doubted = {VISIBLE[0]: Trust(0.03, 0.9), VISIBLE[1]: Trust(0.1, 0.9), "heart": LOW, "scapula left": HIGH}
    with pytest.raises(NotAChestError, match=r"surest is heart, probability 0\.23 of a Dice of 0\.85"):
        check_trust(masks, doubted)
    for sure in (*VISIBLE, "heart"):
        check_trust(masks, doubted | {sure: HIGH})


def test_whole_lungs_count_only_where_no_visible_ones_were_found() -> None:
    trust = {"right lung": HIGH, VISIBLE[0]: LOW}
    check_trust(found("right lung"), trust)
    with pytest.raises(NotAChestError, match="neither lungs nor heart"):
        check_trust(found("right lung", VISIBLE[0]), trust)


def test_what_was_not_judged_is_not_doubted() -> None:
    check_trust(found(*VISIBLE, "heart"), {})
    check_trust(found(*VISIBLE, "heart"), {"heart": LOW})
    check_trust(found(*VISIBLE, "heart"), dict.fromkeys(VISIBLE, LOW))
    check_trust(found("heart"), {"heart": LOW})
