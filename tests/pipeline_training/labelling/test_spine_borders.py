"""A spine that was laid half a vertebra too low is slid to its endplates."""

import numpy as np
import numpy.typing as npt

from pipeline_training.labelling import spine_borders
from pipeline_training.labelling.spine_borders import T1

SPACING_MM = 1.5
HEIGHT = 14
"""Of a vertebra, in slices."""


def _levels(shift: int = 0) -> npt.NDArray[np.uint8]:
    """T1 to T12 from above, in a block before the cord."""
    levels = np.zeros((200, 50, 40), np.uint8)
    for number in range(12):
        top = 190 - HEIGHT * number + shift
        levels[max(0, top - HEIGHT) : top, 10:26, 12:28] = T1 + number + 1
    return levels


def _ct() -> npt.NDArray[np.int16]:
    hu = np.where(_levels() > 0, 150, 40).astype(np.int16)
    for number in range(13):
        border = 190 - HEIGHT * number
        hu[border - 1 : border + 1, 10:26, 12:28] = 500
    return hu


def _cord() -> npt.NDArray[np.bool_]:
    cord = np.zeros((200, 50, 40), np.bool_)
    cord[:, 30:36, 17:23] = True
    return cord


def _corrected(heads: dict[int, float]) -> npt.NDArray[np.uint8]:
    levels = _levels(shift=-7)
    line = spine_borders.body_line(levels, _cord())
    assert line is not None
    before = spine_borders.borders_in(levels, line)
    ribs = spine_borders.awaited(heads, line, SPACING_MM)
    bright = spine_borders.brightness(_ct(), line, SPACING_MM)
    return spine_borders.moved(levels, before, spine_borders.find_borders(bright, line, before, ribs))


def test_vertebrae_are_slid_between_their_endplates() -> None:
    heads = {rib: 190.0 - HEIGHT * (rib - 1) + 2 for rib in range(2, 11)}  # two slices off
    found, truth = _corrected(heads), _levels()
    inner = slice(190 - HEIGHT * 11, 190 - HEIGHT)
    assert (found[inner] == truth[inner]).mean() > 0.99
    assert (_levels(shift=-7)[inner] == truth[inner]).mean() < 0.95


def test_the_ribs_say_which_vertebra_it_is() -> None:
    one_lower = {rib: 190.0 - HEIGHT * rib for rib in range(2, 11)}
    found = _corrected(one_lower)
    place = 190 - HEIGHT * 6 + HEIGHT // 2  # in the middle of the sixth
    assert found[place, 18, 20] == T1 + 5, "the fifth, as the ribs have it"


def test_without_ribs_no_border_is_found() -> None:
    assert not _corrected({}).any()
