import numpy as np
import pytest

from ai.spine_line import SpineLine, spine_line
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
