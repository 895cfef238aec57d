"""Names in a panel, and the lines of a report."""

from io import BytesIO

import pytest

from ai.stand_in import StandInSegmenter
from node.options import OutputOptions
from node.pipeline import process
from tests.conftest import MakeDx
from tests.viewers.check_results import panel_faults, polylines

FOUND = ["spine", "right lung", "left lung"]


def test_a_panel_with_every_name_in_order_is_right() -> None:
    assert panel_faults([(1, "spine"), (2, "right lung"), (3, "left lung")], FOUND, FOUND) == []


def test_a_group_of_the_structures_is_right() -> None:
    assert panel_faults([(1, "right lung")], FOUND, ["right lung"]) == []


@pytest.mark.parametrize(
    "panel",
    [
        [(1, "spine"), (2, "left lung"), (3, "right lung")],
        [(1, "Background"), (2, "spine"), (3, "right lung")],
        [(1, "spine"), (2, "right lung")],
        [(2, "spine"), (3, "right lung"), (4, "left lung")],
        [],
    ],
)
def test_names_that_are_missing_or_out_of_order_are_faults(panel: list[tuple[int, str]]) -> None:
    assert len(panel_faults(panel, FOUND, FOUND)) == 1


def test_every_line_of_a_report_is_found_with_its_name(make_dx: MakeDx) -> None:
    content = BytesIO()
    make_dx().save_as(content, enforce_file_format=True)
    content.seek(0)
    results = process(content, StandInSegmenter(), OutputOptions(seg="none")).results
    lines = list(polylines(results[0].dataset))
    assert len(lines) > 3
    assert any("cardiothoracic ratio" in name for name, _ in lines)
    assert all(len(points) > 1 and name for name, points in lines)
