"""Ribs are counted beside the spine; a count that may be wrong is refused."""

import numpy as np
import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.labelling.rib_count import Mask, SpineAxis, numbered_sections

SHAPE = (120, 80, 111)
AXIS = SpineAxis(np.full(SHAPE[0], 55.0), np.full(SHAPE[0], 55.0))
SPACING_MM = 1.5


def _height(rib: int) -> int:
    return 112 - 8 * rib


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


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ((("right", 1), ("left", 1)), "the first one is not found"),
        ((("right", 5),), "left and right do not lie at the same heights"),
    ],
)
def test_count_with_a_rib_too_few_is_refused(missing: tuple[tuple[str, int], ...], words: str) -> None:
    with pytest.raises(LabellerError, match=words):
        numbered_sections(_cage(missing), _lungs(), AXIS, SPACING_MM)


def test_twelfth_rib_may_be_missing() -> None:
    found = numbered_sections(_cage((("left", 12),)), _lungs(), AXIS, SPACING_MM)
    assert set(np.unique(found)) == {*range(25)} - {24}


def test_lungs_that_are_cut_above_hide_the_first_rib() -> None:
    lungs = _lungs()
    lungs[104:, 30:40, 20:40] = True
    with pytest.raises(LabellerError, match="tops are not in the volume"):
        numbered_sections(_cage(), lungs, AXIS, SPACING_MM)
