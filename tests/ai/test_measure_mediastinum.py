import numpy as np
import pytest

from ai.measure_mediastinum import aortic_arch_width, mediastinal_ratio, mediastinal_width
from ai.measurement import Measurement, NotComputed, Unit
from ai.radiograph import View
from tests.ai.boxes import Field, MakeChest, MakeFilm, box


def tapered() -> dict[str, Field]:
    """Lungs whose medial edges part by two columns a row, from columns 240 and 260 on row 80."""
    rows, columns = np.mgrid[:600, :500]
    above = (rows >= 80) & (rows < 420)
    return {
        "visible lung right": above & (columns >= 50) & (columns < np.maximum(240 - (rows - 80), 150)),
        "visible lung left": above & (columns < 450) & (columns >= np.minimum(260 + (rows - 80), 350)),
    }


ARCH = {"aortic arch": box((110, 141), (220, 300))}
CARINA = {"tracheal bifurcation": box((170, 191), (225, 275))}
BESIDE_KNOB = {"aortic arch": box((110, 141), (220, 275))}
NOTCHED = {"visible lung left": tapered()["visible lung left"] & ~box((90, 160), (0, 430))}
TRACHEA = {"trachea": box((60, 170), (235, 260))}


def test_width_is_that_between_the_lungs_on_the_middle_row_of_the_arch(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    found = make_chest(tapered() | ARCH)
    width, ratio = mediastinal_width(make_film(), found), mediastinal_ratio(make_film(None), found)
    assert isinstance(width, Measurement)
    assert isinstance(ratio, Measurement)
    assert width.value == pytest.approx((20 + 2 * 45) * 0.5, abs=0.6)
    assert width.unit is Unit.MILLIMETRE
    assert width.structures == ("visible lung right", "visible lung left", "aortic arch")
    [line] = width.drawings
    assert {row for _, row in line.points} == {125.5}
    assert line.points[1][0] - line.points[0][0] == pytest.approx(width.value / 0.5)
    assert ratio.value == pytest.approx(110 / 400, abs=0.003)
    assert not width.remarks


def test_without_the_arch_the_level_is_taken_between_apices_and_carina(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    width = mediastinal_width(make_film(), make_chest(tapered() | CARINA))
    assert isinstance(width, Measurement)
    row = int(80 + 0.65 * (180.5 - 80))
    assert width.drawings[0].points[0][1] == row + 0.5
    assert width.value == pytest.approx((20 + 2 * (row - 80)) * 0.5, abs=0.6)
    assert width.remarks[0].startswith(
        "the level is 65% of the way from the apices to the carina: aortic arch"
    )


def test_arch_beside_which_there_is_no_lung_tells_no_level(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    width = mediastinal_width(make_film(), make_chest(tapered() | BESIDE_KNOB | TRACHEA | CARINA))
    assert isinstance(width, Measurement)
    assert width.structures == ("visible lung right", "visible lung left", "tracheal bifurcation")
    assert "its lateral border does not lie beside the left lung" in width.remarks[0]


def test_without_arch_and_carina_the_level_is_not_known(make_film: MakeFilm, make_chest: MakeChest) -> None:
    found = make_chest(tapered(), unsupported=("aortic arch",))
    for measured in (mediastinal_width, mediastinal_ratio):
        result = measured(make_film(), found)
        assert isinstance(result, NotComputed)
        assert result.reason == (
            "the level of the aortic arch is not known: the model does not look for the aortic arch: "
            "it was not trained to; tracheal bifurcation was not found"
        )


def test_whole_lungs_do_not_show_the_mediastinum(make_film: MakeFilm, make_chest: MakeChest) -> None:
    whole = {name.removeprefix("visible lung ") + " lung": field for name, field in tapered().items()}
    names = ("visible lung right", "visible lung left")
    result = mediastinal_width(make_film(), make_chest(whole | ARCH, without=names, unsupported=names))
    assert isinstance(result, NotComputed)
    assert result.reason == "the model does not look for the right visible lung: it was not trained to"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"aortic arch": box((300, 340), (220, 300))}, "does not lie in the upper half of the chest"),
        (
            {"aortic arch": box((110, 141), (220, 300)), "visible lung left": box((80, 420), (205, 450))},
            "0.01",
        ),
    ],
)
def test_what_no_mediastinum_can_be_is_not_told(
    make_film: MakeFilm, make_chest: MakeChest, given: dict[str, Field], told: str
) -> None:
    result = mediastinal_width(make_film(), make_chest(given))
    assert isinstance(result, NotComputed)
    assert told in result.reason


@pytest.mark.parametrize(("view", "told"), [(View.AP, "view AP"), (View.UNKNOWN, "not stated")])
def test_view_that_magnifies_is_remarked(
    make_film: MakeFilm, make_chest: MakeChest, view: View, told: str
) -> None:
    for measured in (mediastinal_width, mediastinal_ratio, aortic_arch_width):
        result = measured(make_film(view=view), make_chest(tapered() | ARCH | TRACHEA))
        assert isinstance(result, Measurement)
        assert told in result.remarks[0]


def test_arch_is_measured_from_the_trachea_to_its_lateral_border(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    bulge = ARCH["aortic arch"] | box((120, 131), (220, 310))
    width = aortic_arch_width(make_film(), make_chest(tapered() | TRACHEA | {"aortic arch": bulge}))
    assert isinstance(width, Measurement)
    assert width.value == pytest.approx((310 - 260) * 0.5)
    assert width.structures == ("aortic arch", "trachea")
    [line] = width.drawings
    assert [column for column, _ in line.points] == [260, 310]
    assert 120 < line.points[0][1] < 131


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "aortic arch was not found"),
        (ARCH, "trachea was not found"),
        (ARCH | {"trachea": box((60, 105), (235, 260))}, "too short for its width"),
        (
            ARCH | {"trachea": box((60, 170), (310, 335))},
            "the aortic arch does not lie on the left of the trachea",
        ),
        (ARCH | {"trachea": box((60, 170), (20, 40))}, "the trachea does not lie between the lungs"),
        (
            {"aortic arch": box((130, 180), (220, 300)), "trachea": box((60, 150), (240, 260))},
            "beside most of",
        ),
        ({"aortic arch": box((110, 141), (220, 440))} | TRACHEA, "does not lie beside the left lung"),
        (BESIDE_KNOB | TRACHEA, "does not lie beside the left lung"),
        ({"aortic arch": box((110, 141), (220, 430))} | TRACHEA | NOTCHED, "0.42 of the thoracic width"),
    ],
)
def test_arch_is_not_measured_where_it_would_be_wrong(
    make_film: MakeFilm, make_chest: MakeChest, given: dict[str, Field], told: str
) -> None:
    result = aortic_arch_width(make_film(), make_chest(given))
    assert isinstance(result, NotComputed)
    assert told in result.reason


def test_lengths_need_pixel_spacing(make_film: MakeFilm, make_chest: MakeChest) -> None:
    for measured in (mediastinal_width, aortic_arch_width):
        result = measured(make_film(None), make_chest(tapered() | ARCH | TRACHEA))
        assert isinstance(result, NotComputed)
        assert result.reason == "no pixel spacing"
