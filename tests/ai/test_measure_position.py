import numpy as np
import pytest

from ai.measure_position import ORDINALS, anterior_ribs, clavicle_asymmetry, posterior_ribs
from ai.measurement import Measurement, NotComputed, Unit
from tests.ai.boxes import Field, MakeChest, MakeFilm, box


def clavicles(right: int = 220, left: int = 280) -> dict[str, Field]:
    """Clavicles 140 columns wide that end on these columns."""
    return {
        "clavicle right": box((90, 100), (right - 140, right)),
        "clavicle left": box((90, 100), (left, left + 140)),
    }


SPINE = {"thoracic spine": box((60, 500), (230, 270))}


def ribs(part: str, count: int, pitch: int) -> dict[str, Field]:
    """Right ribs across the right lung, the first on row 90; the 1st does not reach the clavicle's middle."""
    found = {
        f"{part} {ordinal} rib right": box((90 + pitch * n - 5, 90 + pitch * n + 5), (60, 220))
        for n, ordinal in enumerate(ORDINALS[:count])
    }
    found[f"{part} 1st rib right"] = box((85, 95), (170, 220))
    return found


def test_ribs_above_the_diaphragm_are_counted(make_film: MakeFilm, make_chest: MakeChest) -> None:
    count = posterior_ribs(make_film(None), make_chest(clavicles() | ribs("posterior", 11, 34)))
    assert isinstance(count, Measurement)
    assert count.value == 10  # rows 90 to 396; the eleventh lies on row 430, the lung ends at 420
    assert count.unit is Unit.COUNT
    assert count.text == "10"
    assert count.structures[-1] == "visible lung right"
    assert len(count.structures) == 11
    [line] = count.drawings
    # the first rib does not reach the column
    assert (line.points[0], line.points[1], line.points[-1]) == (
        (170.5, 90.0),
        (150.5, 124.0),
        (150.5, 420.0),
    )


def test_a_rib_that_ends_early_is_held_against_the_border_where_it_ends(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    """A dome that rises towards the heart: the 11th rib ends on it, above where the border is further out."""
    rows, columns = np.mgrid[:600, :500]
    domed = {"visible lung right": box((80, 420), (50, 200)) & (rows < 420 - (columns - 50) * 0.3)}
    reaching = clavicles() | ribs("posterior", 11, 31) | domed
    count = posterior_ribs(make_film(), make_chest(reaching))
    assert isinstance(count, Measurement)
    assert count.value == 10  # the border lies on row 390 there, the tenth rib on 369, the eleventh on 400
    for rows_of_tenth, expected in (
        ((364, 376), 10),
        ((378, 390), 9),
    ):  # column 195 has the border on row 376
        short = {"posterior 10th rib right": box(rows_of_tenth, (195, 220))}
        fewer = posterior_ribs(make_film(), make_chest(reaching | short))
        assert isinstance(fewer, Measurement)
        assert fewer.value == expected


def test_a_rib_that_ends_beside_the_lung_counts_where_it_is_clear_of_the_diaphragm(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    rows, columns = np.mgrid[:600, :500]
    domed = {"visible lung right": box((80, 420), (50, 200)) & (rows < 420 - (columns - 50) * 0.3)}
    beside = clavicles() | ribs("posterior", 11, 34) | domed
    clear = beside | {"posterior 1st rib right": box((85, 95), (205, 225))}
    count = posterior_ribs(make_film(), make_chest(clear))
    assert isinstance(count, Measurement)
    assert count.value == 9
    doubtful = beside | {"posterior 10th rib right": box((395, 401), (205, 225))}
    result = posterior_ribs(make_film(), make_chest(doubtful))
    assert isinstance(result, NotComputed)
    assert result.reason == "posterior 10th rib right ends beside the right lung, on the level of its base"


def test_second_rib_may_cross_the_first_one(make_film: MakeFilm, make_chest: MakeChest) -> None:
    crossing = ribs("posterior", 11, 34)
    crossing["posterior 1st rib right"] = box((85, 95), (170, 220)) | box((95, 150), (170, 180))
    crossing["posterior 2nd rib right"] = box((80, 90), (60, 160)) | box((90, 170), (165, 220))
    count = posterior_ribs(make_film(), make_chest(clavicles() | crossing))
    assert isinstance(count, Measurement)
    assert count.value == 10
    assert count.drawings[0].points[1][1] < count.drawings[0].points[0][1]


def test_anterior_ribs_are_counted_in_the_same_way(make_film: MakeFilm, make_chest: MakeChest) -> None:
    count = anterior_ribs(make_film(), make_chest(clavicles() | ribs("anterior", 8, 50)))
    assert isinstance(count, Measurement)
    assert count.value == 7


def test_border_is_the_hemidiaphragm_where_the_model_has_both(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    halves = {
        "right hemidiaphragm": box((380, 500), (50, 240)),
        "left hemidiaphragm": box((420, 500), (260, 450)),
    }
    count = posterior_ribs(make_film(), make_chest(clavicles() | ribs("posterior", 11, 34) | halves))
    assert isinstance(count, Measurement)
    assert count.value == 9
    assert count.structures[-1] == "right hemidiaphragm"


def without(found: dict[str, Field], name: str) -> dict[str, Field]:
    return {each: field for each, field in found.items() if each != name}


ELEVEN = clavicles() | ribs("posterior", 11, 34)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (without(ELEVEN, "posterior 4th rib right"), "posterior 4th rib right was not found"),
        (without(ELEVEN, "posterior 11th rib right"), "posterior 11th rib right was not found"),
        (without(ELEVEN, "clavicle right"), "clavicle right was not found"),
        (
            ELEVEN | {"posterior 4th rib right": ELEVEN["posterior 6th rib right"]},
            "the ribs do not lie in their order",
        ),
        (clavicles() | ribs("posterior", 12, 20), "no rib was found below the right hemidiaphragm"),
        (
            ELEVEN | {"clavicle right": box((90, 100), (200, 300))},
            "the right clavicle's middle does not lie above the right lung",
        ),
        (
            ELEVEN | {f"posterior {ordinal} rib right": box((430, 440), (60, 220)) for ordinal in ORDINALS},
            "no rib lies above the right hemidiaphragm",
        ),
    ],
)
def test_ribs_are_not_counted_where_the_count_would_be_wrong(
    make_film: MakeFilm, make_chest: MakeChest, given: dict[str, Field], told: str
) -> None:
    result = posterior_ribs(make_film(), make_chest(given))
    assert isinstance(result, NotComputed)
    assert result.reason == told


def test_model_without_ribs_is_told(make_film: MakeFilm, make_chest: MakeChest) -> None:
    found = make_chest(clavicles(), unsupported=("anterior 1st rib right",))
    result = anterior_ribs(make_film(), found)
    assert isinstance(result, NotComputed)
    assert result.reason == "the model does not look for the right anterior 1st rib: it was not trained to"


@pytest.mark.parametrize(
    ("right", "left", "value", "remark"),
    [
        (220, 280, 0.0, None),
        (210, 270, 100 * (40 - 20) / 60, "the right clavicle ends further from the spine"),
        (230, 285, 100 * (20 - 35) / 55, "the left clavicle ends further from the spine"),
    ],
)
def test_asymmetry_is_the_difference_over_the_sum(
    make_film: MakeFilm, make_chest: MakeChest, right: int, left: int, value: float, remark: str | None
) -> None:
    result = clavicle_asymmetry(make_film(None), make_chest(clavicles(right, left) | SPINE))
    assert isinstance(result, Measurement)
    assert result.value == pytest.approx(value)
    assert result.unit is Unit.PERCENT
    assert result.remarks == (*((remark,) if remark else ()), "not compared with readers")
    assert [drawing.points for drawing in result.drawings] == [
        ((right, 95.0), (250.0, 95.0)),
        ((250.0, 95.0), (left, 95.0)),
    ]
    assert result.structures == ("clavicle right", "clavicle left", "thoracic spine")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (SPINE, "clavicle right was not found"),
        (clavicles(), "thoracic spine was not found"),
        (clavicles(260, 300) | SPINE, "a clavicle ends beyond the middle of the spine"),
        (clavicles(235, 285) | SPINE, "one clavicle ends over 2 times as far from the spine as the other"),
        (clavicles(160, 340) | SPINE, "their ends lie 0.45 of the thoracic width apart"),
        (clavicles(248, 252) | SPINE, "their ends lie 0.01 of the thoracic width apart"),
        (
            clavicles() | SPINE | {"clavicle left": box((90, 100), (280, 330))},
            "the right one is 2.8 times as wide as the left one",
        ),
        (
            clavicles() | {"thoracic spine": box((150, 500), (230, 270))},
            "the spine was not found beside the medial ends",
        ),
        (clavicles() | SPINE | {"clavicle right": box((90, 100), (0, 220))}, "is cut off by the edge"),
    ],
)
def test_asymmetry_is_not_told_where_it_would_be_wrong(
    make_film: MakeFilm, make_chest: MakeChest, given: dict[str, Field], told: str
) -> None:
    result = clavicle_asymmetry(make_film(), make_chest(given))
    assert isinstance(result, NotComputed)
    assert told in result.reason


def test_lateral_views_tell_nothing(make_film: MakeFilm, make_chest: MakeChest) -> None:
    found = make_chest(ELEVEN | SPINE, frontal=0.1)
    for measured in (posterior_ribs, anterior_ribs, clavicle_asymmetry):
        result = measured(make_film(), found)
        assert isinstance(result, NotComputed)
        assert "lateral" in result.reason
