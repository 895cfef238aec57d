"""A table of vertebrae: what is read from it, and what is refused by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.errors import RadiographSetError
from pipeline_training.radiograph_folders import read_set
from pipeline_training.spine_landmarks import MARKED, SpineReading, read_spine_table

Row = dict[str, str]
LandmarkRow = Callable[..., Row]
MakeSpineSet = Callable[..., Path]
SHAPE = (400, 160)


def test_vertebrae_are_read_by_label(make_spine_set: MakeSpineSet, landmark_row: LandmarkRow) -> None:
    spine = read_set(make_spine_set(rows=[landmark_row("0.png", (30, 20.5, 0))])).spine
    assert spine is not None
    reading = spine.readings["0.png"]
    assert (tuple(reading.corners), reading.cobb) == (MARKED, (30, 20.5, 0))
    assert reading.centre("vertebrae T9") == pytest.approx((80, 190), abs=0.01)
    assert reading.centre("vertebrae L5") == pytest.approx((80, 350), abs=0.01)


def test_the_largest_angle_is_between_the_middle_lines_of_any_two() -> None:
    flat = np.array([(0, 0), (20, 0), (0, 10), (20, 10)], np.float64)
    wedge = np.array([(0, 20), (20, 20), (0, 30), (20, 40)], np.float64)
    steep = np.array([(0, 60), (20, 40), (0, 70), (20, 50)], np.float64)
    corners = dict(zip(MARKED, (flat, wedge, steep), strict=False))
    reading = SpineReading(corners, (0, 0, 0))
    tilt = np.degrees(np.arctan(0.25))
    assert reading.largest_angle(MARKED[:2]) == pytest.approx(tilt)
    assert reading.largest_angle(MARKED[:3]) == pytest.approx(45 + tilt)


def test_vertebrae_are_drawn_where_their_corners_lie() -> None:
    corners = np.array([(10, 20), (40, 20), (10, 36), (40, 36)], np.float64)
    leaning = np.array([(60.2, 40.1), (90.2, 50.1), (55.2, 55.1), (85.2, 65.1)])
    outside = corners + 1000
    reading = SpineReading(dict(zip(MARKED, (corners, leaning, outside), strict=False)), (0, 0, 0))
    drawn = reading.drawn(MARKED[:3], SHAPE)
    assert tuple(drawn.masks) == MARKED[:2]
    assert (drawn.masks[MARKED[0]].area, drawn.masks[MARKED[0]].centroid) == (30 * 16, (25, 28))
    assert drawn.masks[MARKED[1]].area == pytest.approx(30 * 15 + 10 * 5, rel=0.02)
    assert drawn.masks[MARKED[1]].centroid == pytest.approx((72.7, 52.6), abs=0.2)


def test_a_vertebra_without_numbers_was_not_marked(
    make_spine_set: MakeSpineSet, landmark_row: LandmarkRow
) -> None:
    row = {key: "" if "_L5_" in key else value for key, value in landmark_row("0.png").items()}
    spine = read_set(make_spine_set(rows=[row])).spine
    assert spine is not None
    assert tuple(spine.readings["0.png"].corners) == MARKED[:-1]


def test_without_a_table_there_is_no_spine(make_spine_set: MakeSpineSet) -> None:
    folder = make_spine_set()
    (folder / "landmarks.csv").unlink()
    assert read_set(folder).spine is None


def test_landmarks_of_something_else_are_left_alone(make_spine_set: MakeSpineSet) -> None:
    folder = make_spine_set()
    (folder / "landmarks.csv").write_text("file,right_apex_x,right_apex_y\n0.png,0.4,0.1\n")
    assert read_set(folder).spine is None


def test_a_picture_that_is_not_there_is_told(make_spine_set: MakeSpineSet, landmark_row: LandmarkRow) -> None:
    spine = read_set(make_spine_set(rows=[landmark_row("0.png"), landmark_row("gone.png")])).spine
    assert spine is not None
    assert spine.without_picture == ("gone.png",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"y_T3_LR": None}, "lacks 1 of the columns of a spine's landmarks, such as y_T3_LR"),
        ({"file": None}, "lacks 1 of the columns of a spine's landmarks, such as file"),
        ({"cobb_thoracolumbar": None}, "such as cobb_thoracolumbar"),
        ({"x_T1_UL": "left"}, "x_T1_UL of '0.png' must be a number, found 'left'"),
        ({"x_T1_UL": ""}, "x_T1_UL of '0.png' must be a number, found ''"),
        ({"y_L5_LR": "inf"}, "y_L5_LR of '0.png' must be a number, found 'inf'"),
        ({"cobb_main_thoracic": ""}, "cobb_main_thoracic of '0.png' must be a number"),
        ({"file": "1.jpg"}, "names none of the 2 pictures beside it"),
        ({"x_T2_UL": "150", "x_T2_LL": "150"}, "vertebrae T2 of '0.png' has its corners on the wrong sides"),
        ({"y_T2_UL": "90", "y_T2_UR": "90"}, "vertebrae T2 of '0.png' has its corners on the wrong sides"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_name(
    change: dict[str, str | None], told: str, make_spine_set: MakeSpineSet, landmark_row: LandmarkRow
) -> None:
    changed = landmark_row("0.png") | change
    row = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(RadiographSetError, match=r"landmarks\.csv") as refused:
        read_set(make_spine_set(rows=[row]))
    assert told in str(refused.value)


def test_a_row_without_vertebrae_is_refused(make_spine_set: MakeSpineSet, landmark_row: LandmarkRow) -> None:
    row = {key: "" if key[:2] in {"x_", "y_"} else value for key, value in landmark_row("0.png").items()}
    with pytest.raises(RadiographSetError, match="marks no vertebra"):
        read_set(make_spine_set(rows=[row]))


def test_a_picture_that_is_named_twice_is_refused(
    make_spine_set: MakeSpineSet, landmark_row: LandmarkRow
) -> None:
    with pytest.raises(RadiographSetError, match="twice: 2 rows, 1 pictures"):
        read_set(make_spine_set(rows=[landmark_row("0.png")] * 2))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.csv"
    path.write_bytes(b"\xff\xfe\x00cobb")
    with pytest.raises(RadiographSetError, match="cannot be read"):
        read_spine_table(path, ())


def test_vertebrae_outside_their_picture_are_refused(make_spine_set: MakeSpineSet) -> None:
    folder = make_spine_set()
    found = read_set(folder)
    assert found.spine is not None
    assert found.spine.reading(found.images[0], SHAPE) is found.spine.readings["0.png"]
    with pytest.raises(RadiographSetError, match="in pixels of the picture as stored"):
        found.spine.reading(found.images[0], (200, 80))
