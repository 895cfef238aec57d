from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from ai.measure_diaphragm import dome_difference, relative_dome_difference
from ai.measurement import Measurement, NotComputed, Unit
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation

MakeFilm = Callable[..., Radiograph]
MakeChest = Callable[..., Segmentation]
Field = npt.NDArray[np.bool_]


def domed(columns: tuple[int, int], lowest: int, dome: int, lateral: bool) -> Field:
    """A lung from row 80 down to a straight slope: `lowest` at its lateral edge, `dome` at its medial one."""
    rows, across = np.mgrid[:600, :500]
    share = (across - columns[0]) / (columns[1] - columns[0] - 1)
    slope = lowest + (dome - lowest) * (share if lateral else 1 - share)
    inside: Field = (rows >= 80) & (rows < slope) & (across >= columns[0]) & (across < columns[1])
    return inside


def lungs(right_dome: int, left_dome: int) -> dict[str, Field]:
    return {
        "visible lung right": domed((50, 190), 430, right_dome, lateral=True),
        "visible lung left": domed((330, 450), 430, left_dome, lateral=False),
    }


def below(lung: Field, shift: int) -> Field:
    """What lies under a lung, its upper edge so many rows below the lung's lower one."""
    bottom = 600 - lung[::-1].argmax(axis=0)
    rows, _ = np.mgrid[:600, :500]
    under: Field = (rows >= bottom + shift) & lung.any(axis=0) & (rows < 560)
    return under


@pytest.mark.parametrize(
    ("right", "left", "remark"),
    [
        (370, 400, "right dome stands higher"),
        (400, 370, "left dome stands higher"),
        (390, 390, "same height"),
    ],
)
def test_difference_is_that_of_the_highest_points_beside_the_heart(
    make_film: MakeFilm, make_chest: MakeChest, right: int, left: int, remark: str
) -> None:
    difference = dome_difference(make_film(), make_chest(lungs(right, left)))
    assert isinstance(difference, Measurement)
    assert difference.value == pytest.approx((left - right) * 0.8, abs=0.9)
    assert difference.unit is Unit.MILLIMETRE
    assert remark in difference.remarks[0]
    assert difference.structures == ("visible lung right", "visible lung left")
    [step] = difference.drawings
    assert step.points[3][1] - step.points[0][1] == pytest.approx(difference.value / 0.8)
    assert [step.points[0][1], step.points[2][1]] == [step.points[1][1], step.points[3][1]]


def test_hemidiaphragms_are_taken_where_the_model_has_both(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    both = lungs(370, 400)
    halves = {
        "right hemidiaphragm": below(both["visible lung right"], 0),
        "left hemidiaphragm": below(both["visible lung left"], 10),
    }
    difference = dome_difference(make_film(), make_chest(both | halves))
    assert isinstance(difference, Measurement)
    assert difference.value == pytest.approx((400 + 10 - 370) * 0.8, abs=0.9)
    assert difference.structures == ("right hemidiaphragm", "left hemidiaphragm")
    one = dome_difference(
        make_film(), make_chest(both | {"right hemidiaphragm": halves["right hemidiaphragm"]})
    )
    assert isinstance(one, Measurement)
    assert one.structures == ("visible lung right", "visible lung left")


def test_false_peak_behind_the_heart_does_not_count(make_film: MakeFilm, make_chest: MakeChest) -> None:
    both = lungs(370, 400)
    peak = np.zeros((600, 500), np.bool_)
    peak[300:500, 260:320] = True
    halves = {
        "right hemidiaphragm": below(both["visible lung right"], 0),
        "left hemidiaphragm": below(both["visible lung left"], 0) | peak,
    }
    difference = dome_difference(make_film(), make_chest(both | halves))
    assert isinstance(difference, Measurement)
    assert difference.value == pytest.approx(30 * 0.8, abs=0.9)


def test_share_of_the_thorax_counts_rows_and_columns_in_mm(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    found = make_chest(lungs(370, 400))
    share = relative_dome_difference(make_film(), found)
    assert isinstance(share, Measurement)
    assert share.value == pytest.approx(100 * 30 * 0.8 / (400 * 0.5), abs=0.4)
    assert share.unit is Unit.PERCENT
    square = relative_dome_difference(make_film(None), found)
    assert isinstance(square, Measurement)
    assert square.value == pytest.approx(100 * 30 / 400, abs=0.3)
    assert square.remarks[-1] == "the pixels are taken as square: no pixel spacing"


def test_heart_that_covers_a_lungs_base_hides_its_dome(make_film: MakeFilm, make_chest: MakeChest) -> None:
    heart = np.zeros((600, 500), np.bool_)
    heart[270:420, 190:442] = True
    result = dome_difference(make_film(), make_chest(lungs(370, 400) | {"heart": heart}))
    assert isinstance(result, NotComputed)
    assert result.reason == "the heart hides the left dome of the diaphragm"


def test_domes_too_far_apart_are_not_believed(make_film: MakeFilm, make_chest: MakeChest) -> None:
    for measured in (dome_difference, relative_dome_difference):
        result = measured(make_film(), make_chest(lungs(240, 400)))
        assert isinstance(result, NotComputed)
        assert "its domes differ by 64 % of the thoracic width" in result.reason


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"without": ("heart",)}, "heart was not found"),
        ({"without": ("visible lung left",)}, "visible lung left was not found"),
        ({"frontal": 0.2}, "the image looks like a lateral view (probability 0.80)"),
    ],
)
def test_what_is_missing_is_told(
    make_film: MakeFilm, make_chest: MakeChest, changes: dict[str, object], told: str
) -> None:
    for measured in (dome_difference, relative_dome_difference):
        result = measured(make_film(), make_chest(lungs(370, 400), **changes))
        assert isinstance(result, NotComputed)
        assert result.reason == told


def test_without_spacing_there_is_no_length(make_film: MakeFilm, make_chest: MakeChest) -> None:
    result = dome_difference(make_film(None), make_chest(lungs(370, 400)))
    assert isinstance(result, NotComputed)
    assert result.reason == "no pixel spacing"
