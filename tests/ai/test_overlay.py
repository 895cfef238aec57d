from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ai.labels import LABELS, label
from ai.measure import measure
from ai.measurement import Measurement, Unit
from ai.overlay import LEGEND_WIDTH, MAX_SIDE, _legend_texts, draw_overlay, legend, readable_subset
from ai.radiograph import PixelSpacing, Radiograph, View
from ai.segmentation import Mask, ModelIdentity, Segmentation
from ai.stand_in import StandInSegmenter

YELLOW = np.array((255, 226, 64))


def radiograph(rows: int = 500, columns: int = 400) -> Radiograph:
    """A film 400 mm wide."""
    ramp = np.linspace(0, 1, rows * columns, dtype=np.float32).reshape(rows, columns)
    spacing_mm = 400 / columns
    return Radiograph(ramp, PixelSpacing(spacing_mm, spacing_mm, "Pixel Spacing", calibrated=True))


def draw(image: Radiograph) -> npt.NDArray[np.uint8]:
    [found] = StandInSegmenter().segment([image])
    return draw_overlay(image, found, measure(image, found))


def found_with(*names: str) -> Segmentation:
    masks = {
        item.name: Mask(np.ones((5 + item.id, 5), np.bool_), 0, 0) for item in LABELS if item.name in names
    }
    return Segmentation((400, 400), masks, ModelIdentity("shapes", "1", "0" * 64))


def names(found: Segmentation) -> set[str]:
    return {item.name for item in readable_subset(found)}


@pytest.mark.parametrize(("rows", "columns"), [(500, 400), (2000, 1500), (900, 1900), (64, 64)])
def test_picture_is_colour_and_not_larger_than_allowed(rows: int, columns: int) -> None:
    picture = draw(radiograph(rows, columns))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert max(picture.shape) <= MAX_SIDE
    assert picture.shape[1] > LEGEND_WIDTH


def test_structure_is_tinted_and_outlined_in_its_colour_in_its_place() -> None:
    image = radiograph()
    picture = draw(image).astype(int)
    inside, outside = picture[200, 80], picture[200, 5]
    assert inside[2] > inside[0] + 10
    assert outside[0] == outside[2]
    colour = np.array(label("visible lung right").colour)
    row = picture[200, 40:80]
    assert np.abs(row - colour).sum(axis=1).min() < 120


def test_measurement_lines_are_drawn_where_they_were_measured() -> None:
    image = radiograph()
    [found] = StandInSegmenter().segment([image])
    results = measure(image, found)
    ratio = results["cardiothoracic ratio"]
    assert isinstance(ratio, Measurement)
    picture = draw_overlay(image, found, results).astype(int)
    (first, row), (last, _) = ratio.drawings[0].points
    assert np.abs(picture[int(row), int((first + last) / 2)] - YELLOW).sum() < 30


def test_picture_without_structures_is_grey_with_a_legend() -> None:
    image = radiograph()
    nothing = found_with()
    picture = draw_overlay(image, nothing, measure(image, nothing))
    assert (picture[:500, :400].max(axis=2) == picture[:500, :400].min(axis=2)).all()


def test_same_input_gives_the_same_picture() -> None:
    np.testing.assert_array_equal(draw(radiograph()), draw(radiograph()))


def test_parts_are_drawn_in_the_place_of_what_contains_them() -> None:
    found = found_with(
        "lung", "right lung", "visible lung right", "visible lung left", "spine", "vertebrae T4"
    )
    assert names(found) == {"visible lung right", "visible lung left", "vertebrae T4"}


def test_merged_bones_are_drawn_where_their_parts_are_unknown() -> None:
    found = found_with("clavicles", "12th rib", "posterior 3rd rib", "posterior 3rd rib left")
    assert names(found) == {"clavicles", "12th rib", "posterior 3rd rib left"}


def test_hidden_structures_are_drawn_only_alone() -> None:
    assert names(found_with("heart", "heart atrium left", "liver", "upper mediastinum")) == {"heart"}
    assert names(found_with("liver", "diaphragm", "left hemidiaphragm")) == {"liver", "left hemidiaphragm"}


def test_small_structures_lie_on_top() -> None:
    areas = [item.id for item in readable_subset(found_with("heart", "vertebrae T4", "trachea"))]
    assert areas == sorted(areas, reverse=True)


def test_sides_and_parts_share_a_row_of_the_legend() -> None:
    shown = [label(name) for name in ("clavicle left", "clavicle right", "heart")]
    right, left = label("clavicle right").colour, label("clavicle left").colour
    assert legend(shown) == (("clavicle", (right, left)), ("heart", (label("heart").colour,)))


def test_values_are_written_with_their_unit() -> None:
    [found] = StandInSegmenter().segment([radiograph()])
    results = measure(radiograph(), found)
    texts = {result.unit: result.text for result in results.computed}
    assert texts[Unit.MILLIMETRE].endswith(" mm")
    assert texts[Unit.SQUARE_CENTIMETRE].endswith(" cm²")
    assert texts[Unit.DEGREE].endswith("°")


def test_what_limits_a_value_and_why_there_is_no_ratio_stand_below_the_legend() -> None:
    image = replace(radiograph(), view=View.AP)
    [found] = StandInSegmenter().segment([image])
    told = _legend_texts(found, readable_subset(found), measure(image, found))
    assert "[a] view AP: the heart is magnified" in " ".join(told)
    assert max(map(len, told)) <= 46
    doubted = replace(image, why_unmeasured="left and right may be exchanged (probability 0.85)")
    told = _legend_texts(found, readable_subset(found), measure(doubted, found))
    assert "no cardiothoracic ratio: left and right may be exchanged" in " ".join(told)
