from collections.abc import Mapping

import numpy as np
import pytest

from ai.segmentation import Mask
from ai.succession import MIN_MEMBERS, put_in_order, series

STEP = 20


def at(row: float, column: int = 50) -> Mask:
    return Mask(np.ones((9, 9), np.bool_), round(row) + 200, column)


def spine(**moved: float) -> dict[str, Mask]:
    """T1 to T12, one step of 20 rows apart; T5=3 puts T5 three steps below the place of T1."""
    rows = {f"T{level + 1}": float(level) for level in range(12)} | moved
    return {f"vertebrae {name}": at(STEP * row) for name, row in rows.items()}


def unchanged(masks: Mapping[str, Mask]) -> bool:
    ordered, told = put_in_order(masks)
    return told == () and list(ordered.items()) == list(masks.items())


def test_series_are_vertebrae_and_four_rows_of_ribs() -> None:
    assert {name: (len(members), members[0][0], members[-1][0]) for name, members in series().items()} == {
        "vertebrae": (24, "vertebrae C1", "vertebrae L5"),
        "posterior ribs right": (12, "posterior 1st rib right", "posterior 12th rib right"),
        "posterior ribs left": (12, "posterior 1st rib left", "posterior 12th rib left"),
        "anterior ribs right": (11, "anterior 1st rib right", "anterior 11th rib right"),
        "anterior ribs left": (11, "anterior 1st rib left", "anterior 11th rib left"),
    }


def test_vertebra_between_others_that_agree_is_withheld() -> None:
    ordered, told = put_in_order(spine(T5=8.2))
    assert "vertebrae T5" not in ordered
    assert len(ordered) == 11
    assert told == (
        "vertebrae T5: withheld, it lies out of order between vertebrae T4 and vertebrae T6, "
        "which agree with each other",
    )


def test_vertebra_far_above_its_place_is_withheld_too() -> None:
    ordered, told = put_in_order(spine(T9=1.5))
    assert set(spine()) - set(ordered) == {"vertebrae T9"}
    assert len(told) == 1


def test_rib_out_of_order_is_withheld_on_its_side_only() -> None:
    masks = {
        name: at(STEP * level, column)
        for series_name, column in (("posterior ribs right", 20), ("posterior ribs left", 80))
        for name, level in series()[series_name]
    }
    masks["posterior 6th rib left"] = at(STEP * 10, 80)
    ordered, _ = put_in_order(masks)
    assert set(masks) - set(ordered) == {"posterior 6th rib left"}


@pytest.mark.parametrize("beyond", [0.5, 0.9])
def test_less_than_a_step_out_of_order_is_anatomy(beyond: float) -> None:
    assert unchanged(spine(T5=5 + beyond))
    assert not unchanged(spine(T5=5 + 1.2))


def test_where_neighbours_do_not_agree_all_are_kept_and_told() -> None:
    masks = spine(T5=7, T6=6.8, T7=2)
    ordered, told = put_in_order(masks)
    assert ordered == masks
    assert told == ("vertebrae T6 and vertebrae T7: out of order; both are kept, one is wrong",)


def test_of_two_accused_side_by_side_none_is_withheld() -> None:
    masks = spine(T5=5.6, T6=4.2, T7=6.6)  # each lies out of order between two that agree
    ordered, told = put_in_order(masks)
    assert ordered == masks
    assert len(told) == 1
    assert told[0].startswith("vertebrae T5 and vertebrae T6: out of order; both are kept")


def test_the_first_and_the_last_have_one_neighbour_and_are_kept() -> None:
    masks = spine(T12=8)
    ordered, told = put_in_order(masks)
    assert ordered == masks
    assert told == ("vertebrae T11 and vertebrae T12: out of order; both are kept, one is wrong",)


def test_missing_levels_are_no_disorder() -> None:
    masks = {name: mask for name, mask in spine().items() if name[-1] not in "369"}
    assert unchanged(masks)


def test_series_from_feet_to_head_is_told_and_kept() -> None:
    masks = {name: at(-STEP * level) for name, level in series()["posterior ribs right"] if level < 9}
    ordered, told = put_in_order(masks)
    assert ordered == masks
    assert told == ("posterior ribs right: not in order from head to feet; all are kept",)


def test_few_members_are_not_judged() -> None:
    masks = dict(list(spine(T2=3.9).items())[: MIN_MEMBERS - 1])
    assert unchanged(masks)


@pytest.mark.parametrize("seed", range(30))
def test_plausible_series_come_back_as_the_same_objects(seed: int) -> None:
    generator = np.random.default_rng(seed)
    masks = {}
    for members in series().values():
        start, step = generator.integers(0, 60), generator.uniform(12, 40)
        for name, level in members:
            if generator.random() < 0.9:
                masks[name] = at(start + step * (level + generator.uniform(-0.3, 0.3)))
    ordered, told = put_in_order(masks)
    assert told == ()
    assert all(ordered[name] is mask for name, mask in masks.items())
