"""Ribs are counted beside the spine; a count that may be wrong is refused."""

import numpy as np
import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.labelling.rib_count import Mask, SpineAxis, numbered_sections

SHAPE = (120, 80, 111)
AXIS = SpineAxis(np.full(SHAPE[0], 55.0), np.full(SHAPE[0], 55.0))
SPACING_MM = 1.5


def _height(rib: int) -> int:
    """Of its lowest slice; the second leaves the spine hardly below the first."""
    return 100 if rib == 1 else 112 - 8 * rib


def _cage(missing: tuple[tuple[str, int], ...] = ()) -> Mask:
    """Twelve bars on each side, one below the other; the first lies further forward."""
    bone = np.zeros(SHAPE, np.bool_)
    for side, columns in (("right", slice(5, 45)), ("left", slice(66, 106))):
        for rib in range(1, 13):
            if (side, rib) not in missing:
                row = 42 if rib == 1 else 58
                bone[_height(rib) : _height(rib) + 4, row : row + 5, columns] = True
    return bone


def _lungs() -> Mask:
    lungs = np.zeros(SHAPE, np.bool_)
    lungs[10:104, 25:55, 15:50] = lungs[10:104, 25:55, 61:96] = True
    return lungs


def test_ribs_get_their_numbers_from_the_top_on_both_sides() -> None:
    found = numbered_sections(_cage(), _lungs(), AXIS, SPACING_MM)
    for rib in range(1, 13):
        row = 44 if rib == 1 else 60
        assert found[_height(rib) + 1, row, 19] == rib
        assert found[_height(rib) + 1, row, 91] == rib + 12
    assert not found[_cage() == 0].any()


@pytest.mark.parametrize("sides", [("right",), ("left",), ("right", "left")])
@pytest.mark.parametrize("rib", range(1, 12))
def test_count_with_a_rib_too_few_is_refused(rib: int, sides: tuple[str, ...]) -> None:
    with pytest.raises(LabellerError, match="cannot be counted"):
        numbered_sections(_cage(tuple((side, rib) for side in sides)), _lungs(), AXIS, SPACING_MM)


@pytest.mark.parametrize("columns", [[slice(5, 45)], [slice(66, 106)], [slice(5, 45), slice(66, 106)]])
@pytest.mark.parametrize("below", range(2, 10))
def test_something_dense_between_two_ribs_gives_none_a_wrong_number(below: int, columns: list[slice]) -> None:
    bone = _cage()
    for each in columns:
        bone[_height(below) - 3 : _height(below) - 1, 58:66, each] = True
    try:
        found = numbered_sections(bone, _lungs(), AXIS, SPACING_MM)
    except LabellerError:
        return
    for rib in range(2, 13):
        assert found[_height(rib) + 1, 60, 19] == rib
        assert found[_height(rib) + 1, 60, 91] == rib + 12


def test_piece_in_front_of_the_spine_above_the_first_rib_is_not_the_first() -> None:
    bone = _cage()
    bone[110:114, 42:47, 5:45] = bone[110:114, 42:47, 66:106] = True
    with pytest.raises(LabellerError, match="cannot be counted"):
        numbered_sections(bone, _lungs(), AXIS, SPACING_MM)


def test_shoulder_blade_behind_the_upper_ribs_is_no_rib() -> None:
    bone = _cage()
    bone[84:92, 72:76, 5:45] = bone[84:92, 72:76, 66:106] = True
    found = numbered_sections(bone, _lungs(), AXIS, SPACING_MM)
    assert not found[84:92, 72:76].any()
    assert found[_height(8) + 1, 60, 19] == 8


def test_dense_piece_below_the_twelfth_rib_changes_no_number() -> None:
    bone = _cage()
    bone[_height(12) - 8 : _height(12) - 4, 58:63, 5:45] = True
    found = numbered_sections(bone, _lungs(), AXIS, SPACING_MM)
    assert found[_height(12) + 1, 60, 19] == 12
    assert not found[: _height(12) - 1].any()


def test_twelfth_rib_may_be_missing() -> None:
    found = numbered_sections(_cage((("left", 12),)), _lungs(), AXIS, SPACING_MM)
    assert set(np.unique(found)) == {*range(25)} - {24}


def test_lungs_that_are_cut_above_hide_the_first_rib() -> None:
    lungs = _lungs()
    lungs[104:, 30:40, 20:40] = True
    with pytest.raises(LabellerError, match="tops are not in the volume"):
        numbered_sections(_cage(), lungs, AXIS, SPACING_MM)
