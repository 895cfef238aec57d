from dataclasses import replace

import numpy as np
import pytest

from ai.measure_airway import _side, carinal_angle, tracheal_deviation
from ai.measurement import Measurement, NotComputed, Unit
from ai.radiograph import PixelSpacing
from tests.ai.boxes import Field, MakeChest, MakeFilm, box


def spine(column: int = 250) -> dict[str, Field]:
    return {
        f"vertebrae T{n + 1}": box((50 + 40 * n, 75 + 40 * n), (column - 15, column + 15)) for n in range(10)
    }


def bent(offset: int) -> Field:
    """A trachea 20 columns wide about column 250, on rows 50 to 200; from row 120 `offset` aside."""
    return box((50, 120), (240, 260)) | box((120, 200), (240 + offset, 260 + offset))


def fork(slope_right: float, slope_left: float, carina: int = 220) -> Field:
    """One part from row 200 on; below the carina, to row 240, a gap opens by these columns a row."""
    rows, columns = np.mgrid[:600, :500] + 0.5
    below = np.maximum(rows - carina, 0)
    gap = (columns > 250 - slope_right * below) & (columns < 250 + slope_left * below)
    inside: Field = box((200, 240), (200, 300)) & ~gap
    return inside


@pytest.mark.parametrize(
    ("offset", "side"), [(24, "towards the patient's left"), (-16, "towards the patient's right")]
)
def test_deviation_is_the_largest_distance_from_the_spine_with_its_side(
    make_film: MakeFilm, make_chest: MakeChest, offset: int, side: str
) -> None:
    found = make_chest(spine() | {"trachea": bent(offset)})
    deviation = tracheal_deviation(make_film(), found)
    assert isinstance(deviation, Measurement)
    assert deviation.value == pytest.approx(offset * 0.5)
    assert deviation.unit is Unit.MILLIMETRE
    assert deviation.remarks == (side,)
    assert deviation.structures[:2] == ("trachea", "vertebrae T1")
    (first, row), (last, again) = deviation.drawings[0].points
    assert (first, last - first, row) == (250, offset, again)
    assert [drawing.name for drawing in deviation.drawings[1:]] == [
        "centre line of the trachea",
        "middle of the spine",
    ]


def test_trachea_beside_a_bent_spine_is_measured_against_it_row_by_row(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    shifted = {name: np.roll(field, n, axis=1) for n, (name, field) in enumerate(spine().items())}
    rows, columns = np.mgrid[:600, :500]
    centre = 250 + (rows - 62) / 40
    trachea = (rows >= 50) & (rows < 200) & (abs(columns + 0.5 - centre) < 10)
    deviation = tracheal_deviation(make_film(), make_chest(shifted | {"trachea": trachea}))
    assert isinstance(deviation, Measurement)
    assert abs(deviation.value) <= 0.5


def test_neck_and_bifurcation_do_not_count(make_film: MakeFilm, make_chest: MakeChest) -> None:
    given = {
        "trachea": box((0, 80), (300, 320)) | box((75, 80), (240, 320)) | box((80, 200), (240, 260)),
        "tracheal bifurcation": box((160, 200), (220, 280)),
    }
    deviation = tracheal_deviation(make_film(), make_chest(spine() | given))
    assert isinstance(deviation, Measurement)
    assert deviation.value == pytest.approx(0, abs=0.1)
    assert deviation.remarks == ("on the midline",)
    assert max(row for _, row in deviation.drawings[1].points) < 160


def test_mask_of_the_spine_stands_in_for_vertebrae(make_film: MakeFilm, make_chest: MakeChest) -> None:
    given = {"trachea": bent(20), "thoracic spine": box((40, 500), (230, 270))}
    deviation = tracheal_deviation(make_film(), make_chest(given))
    assert isinstance(deviation, Measurement)
    assert deviation.value == pytest.approx(10)
    assert deviation.structures == ("trachea", "thoracic spine")


def test_bifurcation_that_lies_elsewhere_does_not_end_the_trachea(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    given = spine() | {"trachea": bent(24), "tracheal bifurcation": box((100, 118), (60, 100))}
    deviation = tracheal_deviation(make_film(), make_chest(given))
    assert isinstance(deviation, Measurement)
    assert deviation.value == pytest.approx(12)


@pytest.mark.parametrize(("first", "remarks"), [(60, 0), (110, 1)])
def test_trachea_that_is_partly_without_a_spine_says_so(
    make_film: MakeFilm, make_chest: MakeChest, first: int, remarks: int
) -> None:
    given = {"trachea": bent(20), "thoracic spine": box((first, 500), (230, 270))}
    deviation = tracheal_deviation(make_film(), make_chest(given))
    assert isinstance(deviation, Measurement)
    told = ("the spine is known beside 75% of the trachea",)  # rows 80 to 200 lie below the apices
    assert deviation.remarks[1:] == told[:remarks]


def test_side_is_that_of_the_value_as_it_is_told(make_film: MakeFilm, make_chest: MakeChest) -> None:
    fine = PixelSpacing(0.7, 0.7, "Pixel Spacing", calibrated=True)
    given = {"trachea": bent(0), "thoracic spine": box((40, 500), (230, 270))}
    deviation = tracheal_deviation(make_film(fine), make_chest(given))
    assert isinstance(deviation, Measurement)
    nearly = replace(deviation, value=-0.044)
    assert (nearly.text, _side(-0.044)) == ("0.0 mm", "on the midline")
    assert _side(-0.06) == "towards the patient's right"


@pytest.mark.parametrize(
    ("given", "unsupported", "told"),
    [
        (spine(), (), "trachea was not found"),
        (spine(), ("trachea",), "the model does not look for the trachea: it was not trained to"),
        ({"trachea": bent(0)}, (), "thoracic spine was not found"),
        ({"trachea": bent(0)} | spine(400), (), "the vertebrae do not lie in the middle between the lungs"),
        (
            {"trachea": bent(0), "thoracic spine": box((180, 500), (230, 270))},
            (),
            "the spine was not found beside most of the trachea",
        ),
        ({"trachea": box((80, 120), (220, 280))} | spine(), (), "too short for its width"),
        ({"trachea": box((80, 300), (250, 257))} | spine(), (), "it would be 4 mm wide"),
        (
            {"trachea": box((80, 90), (200, 300)) | box((90, 300), (240, 260))} | spine(),
            (),
            "wide at its top",
        ),
    ],
)
def test_deviation_is_not_told_where_it_would_be_wrong(
    make_film: MakeFilm,
    make_chest: MakeChest,
    given: dict[str, Field],
    unsupported: tuple[str, ...],
    told: str,
) -> None:
    result = tracheal_deviation(make_film(), make_chest(given, unsupported=unsupported))
    assert isinstance(result, NotComputed)
    assert told in result.reason


@pytest.mark.parametrize(("right", "left"), [(0.5, 0.5), (0.4, 1.0), (1.2, 0.6)])
def test_carinal_angle_is_that_of_the_borders_that_face_each_other(
    make_film: MakeFilm, make_chest: MakeChest, right: float, left: float
) -> None:
    square = PixelSpacing(0.7, 0.7, "Pixel Spacing", calibrated=True)
    angle = carinal_angle(make_film(square), make_chest({"tracheal bifurcation": fork(right, left)}))
    assert isinstance(angle, Measurement)
    assert angle.value == pytest.approx(float(np.degrees(np.arctan(right) + np.arctan(left))), abs=2)
    assert angle.unit is Unit.DEGREE
    assert [drawing.name for drawing in angle.drawings] == [
        "lower border of the right main bronchus",
        "lower border of the left main bronchus",
    ]


def test_angle_counts_rows_and_columns_in_mm(make_film: MakeFilm, make_chest: MakeChest) -> None:
    found = make_chest({"tracheal bifurcation": fork(0.8, 0.8)})
    angle = carinal_angle(make_film(), found)
    assert isinstance(angle, Measurement)
    assert angle.value == pytest.approx(2 * float(np.degrees(np.arctan(0.8 * 0.5 / 0.8))), abs=2)
    square = carinal_angle(make_film(None), found)
    assert isinstance(square, Measurement)
    assert square.value == pytest.approx(2 * float(np.degrees(np.arctan(0.8))), abs=2)
    assert square.remarks == (
        "not compared with readers",
        "the pixels are taken as square: no pixel spacing",
    )


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (box((200, 240), (200, 300)), "cannot be told apart"),
        (fork(0.6, 0.6, carina=232), "cannot be told apart"),
        (fork(0.05, 0.05), "do not part"),
        (fork(0.1, 0.1, carina=201), "do not part"),
        (fork(0.6, 0.6) & ~box((200, 206), (240, 260)), "does not part once, from above"),
        (fork(0.6, 0.6) & ~box((232, 240), (220, 280)), "are not straight"),
        (np.roll(fork(0.6, 0.6), -190, axis=1), "does not lie between the lungs"),
    ],
)
def test_angle_is_told_only_of_a_clear_fork(
    make_film: MakeFilm, make_chest: MakeChest, mask: Field, told: str
) -> None:
    result = carinal_angle(make_film(), make_chest({"tracheal bifurcation": mask}))
    assert isinstance(result, NotComputed)
    assert told in result.reason


def test_angle_without_the_bifurcation_is_not_computed(make_film: MakeFilm, make_chest: MakeChest) -> None:
    result = carinal_angle(make_film(), make_chest(unsupported=("tracheal bifurcation",)))
    assert isinstance(result, NotComputed)
    assert result.reason == "the model does not look for the tracheal bifurcation: it was not trained to"


def test_ragged_row_above_the_carina_is_let_pass(make_film: MakeFilm, make_chest: MakeChest) -> None:
    square = PixelSpacing(0.7, 0.7, "Pixel Spacing", calibrated=True)
    ragged = fork(0.6, 0.6) & ~box((210, 212), (249, 251))
    angle = carinal_angle(make_film(square), make_chest({"tracheal bifurcation": ragged}))
    assert isinstance(angle, Measurement)
    assert angle.value == pytest.approx(2 * float(np.degrees(np.arctan(0.6))), abs=2)


def test_stubs_of_the_bronchi_do_not_count_as_trachea(make_film: MakeFilm, make_chest: MakeChest) -> None:
    stubs = bent(0) | box((190, 200), (190, 240))
    deviation = tracheal_deviation(make_film(), make_chest(spine() | {"trachea": stubs}))
    assert isinstance(deviation, Measurement)
    assert deviation.value == pytest.approx(0, abs=0.1)
    assert max(row for _, row in deviation.drawings[1].points) < 190
