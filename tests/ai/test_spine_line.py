from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ai.availability import trusted_part
from ai.spine_line import UNIONS, SpineLine, spine_line
from ai.uncertainty import Trust
from tests.ai.boxes import Field, MakeChest, box


def vertebra(row: int, column: int) -> Field:
    return box((row - 10, row + 10), (column - 15, column + 15))


def test_line_runs_through_the_centres_and_half_a_vertebra_beyond(make_chest: MakeChest) -> None:
    found = make_chest(
        {
            "vertebrae T3": vertebra(150, 250),
            "vertebrae T4": vertebra(190, 260),
            "vertebrae T5": vertebra(230, 250),
        }
    )
    line = spine_line(found)
    assert isinstance(line, SpineLine)
    assert line.at(np.array([130.0, 150.0, 170.0, 190.0, 250.0])) == pytest.approx([250, 250, 255, 260, 250])
    assert np.isnan(line.at(np.array([129.0, 251.0]))).all()
    assert line.structures == ("vertebrae T3", "vertebrae T4", "vertebrae T5")


def test_two_vertebrae_are_too_few_and_the_mask_of_the_spine_is_taken(make_chest: MakeChest) -> None:
    given = {"vertebrae T3": vertebra(150, 250), "vertebrae T4": vertebra(190, 250)}
    line = spine_line(make_chest(given | {"spine": box((50, 500), (236, 256))}))
    assert isinstance(line, SpineLine)
    assert line.structures == ("spine",)
    assert line.at(np.array([100.0])) == pytest.approx([246])


@pytest.mark.parametrize("gone", [(5,), (5, 6), range(2, 11)])
def test_line_is_not_drawn_through_vertebrae_that_were_not_found(
    make_chest: MakeChest, gone: Sequence[int]
) -> None:
    given = {f"vertebrae T{n}": vertebra(60 + 40 * n, 250) for n in range(1, 13) if n not in gone}
    line = spine_line(make_chest(given, unsupported=UNIONS))
    if len(gone) > 1:
        assert line == "more than one vertebra in a row was not found"
        masked = spine_line(make_chest(given | {"spine": box((50, 590), (236, 256))}))
        assert isinstance(masked, SpineLine)
        assert masked.structures == ("spine",)
    else:
        assert isinstance(line, SpineLine)
        assert line.rows[[0, -1]] == pytest.approx([80, 560])  # half a level beyond T1 and T12


def test_vertebrae_that_are_not_trusted_are_told_of(make_chest: MakeChest) -> None:
    given = {f"vertebrae T{n}": vertebra(60 + 40 * n, 250) for n in range(1, 13)}
    found = make_chest(given, unsupported=UNIONS)
    doubtful = replace(found, trust=dict.fromkeys(list(given)[:10], Trust(0.3, 0.8)))
    told = "2 thoracic vertebrae were found, 3 are needed; 10 of them cannot be told with certainty"
    assert spine_line(trusted_part(doubtful)) == told


def test_ragged_edges_are_averaged_over_a_vertebra(make_chest: MakeChest) -> None:
    ragged = box((60, 540), (230, 270))
    for row in range(60, 540, 40):
        ragged[row : row + 20, 230:238] = False
    line = spine_line(make_chest({"thoracic spine": ragged}))
    assert isinstance(line, SpineLine)
    inner = line.at(np.arange(100.0, 480.0) + 0.5)
    assert np.ptp(inner) < 0.5
    assert inner.mean() == pytest.approx(252, abs=0.3)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "thoracic spine was not found"),
        ({"thoracic spine": box((50, 500), (380, 420))}, "do not lie in the middle between the lungs"),
        ({"thoracic spine": box((450, 590), (230, 270))}, "the spine does not lie between the lungs"),
        (
            {f"vertebrae T{n}": vertebra(row, 250) for n, row in ((3, 150), (4, 230), (5, 190))},
            "the vertebrae do not lie in their order",
        ),
    ],
)
def test_what_is_no_spine_gives_no_line(make_chest: MakeChest, given: dict[str, Field], told: str) -> None:
    line = spine_line(make_chest(given))
    assert isinstance(line, str)
    assert told in line
