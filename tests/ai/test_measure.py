from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ai.availability import trusted_part
from ai.labels import LABELS
from ai.measure import MEASURES, measure
from ai.measurement import Measurement, NotComputed, Unit
from ai.radiograph import PixelSpacing, Radiograph, View
from ai.segmentation import Mask, ModelIdentity, Segmentation
from ai.uncertainty import Trust

Field = npt.NDArray[np.bool_]

ROWS, COLUMNS = 600, 500
NAMES = (
    "cardiothoracic ratio",
    "heart width",
    "thoracic width",
    "spine-centre distance",
    "spine angle",
    "right lung area",
    "left lung area",
    "lung area ratio",
    "heart area",
    "right lung height",
    "left lung height",
    "lung height ratio",
    "dome height difference",
    "relative dome height difference",
    "mediastinal width",
    "mediastinal ratio",
    "aortic arch width",
    "carinal angle",
    "tracheal deviation",
    "posterior ribs above the diaphragm",
    "anterior ribs above the diaphragm",
    "clavicle asymmetry",
)
ON_LUNGS_AND_HEART = set(NAMES[: NAMES.index("mediastinal width")])
"""What can be measured on lungs, heart and vertebrae."""
WITHOUT_SPACING = {
    "cardiothoracic ratio",
    "spine angle",
    "lung area ratio",
    "lung height ratio",
    "relative dome height difference",
}
SPACING = PixelSpacing(0.8, 0.5, "Pixel Spacing", calibrated=True)


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> Field:
    rows, columns = np.mgrid[:ROWS, :COLUMNS] + 0.5
    inside: Field = ((columns - centre[0]) / radii[0]) ** 2 + ((rows - centre[1]) / radii[1]) ** 2 <= 1
    return inside


def spine(offset: npt.NDArray[np.float64]) -> dict[str, Field]:
    """T1 to T12 as ellipses, 40 rows apart, `offset` columns from column 250."""
    return {
        f"vertebrae T{i + 1}": ellipse((250 + float(offset[i]), 60.5 + 40 * i), (15, 12)) for i in range(12)
    }


def chest() -> dict[str, Field]:
    """Heart 180 wide; lungs from column 50 to 450 on row 250; a straight spine."""
    return {
        "heart": ellipse((260, 350), (90, 70)),
        "visible lung right": ellipse((130, 250), (80, 180)),
        "visible lung left": ellipse((370, 250), (80, 160)),
    } | spine(np.zeros(12))


def segmentation(
    structures: Mapping[str, Field], frontal: float | None = 0.99, unsupported: tuple[str, ...] = ()
) -> Segmentation:
    masks = {item.name: Mask.from_dense(structures[item.name]) for item in LABELS if item.name in structures}
    found = {name: mask for name, mask in masks.items() if mask is not None}
    model = ModelIdentity("shapes", "1", "0" * 64)
    return Segmentation((ROWS, COLUMNS), found, model, unsupported=unsupported, frontal_probability=frontal)


def radiograph(spacing: PixelSpacing | None = SPACING, view: View = View.PA) -> Radiograph:
    return Radiograph(np.random.default_rng(0).random((ROWS, COLUMNS), np.float32), spacing, view)


def value(name: str, image: Radiograph, found: Segmentation) -> Measurement:
    result = MEASURES[NAMES.index(name)](image, found)
    assert isinstance(result, Measurement), result
    return result


def reason(name: str, image: Radiograph, found: Segmentation) -> str:
    result = MEASURES[NAMES.index(name)](image, found)
    assert isinstance(result, NotComputed), result
    return result.reason


def test_everything_is_reported_in_a_fixed_order() -> None:
    results = measure(radiograph(), segmentation(chest()))
    assert tuple(result.name for result in results) == NAMES
    assert {result.name for result in results.computed} == ON_LUNGS_AND_HEART
    assert len(MEASURES) == len(NAMES)


def test_every_drawing_lies_on_the_image() -> None:
    for result in measure(radiograph(), segmentation(chest())).computed:
        for drawing in result.drawings:
            points = np.array(drawing.points)
            assert (points >= 0).all()
            assert (points <= [COLUMNS, ROWS]).all()


def test_cardiothoracic_ratio_of_ellipses() -> None:
    ratio = value("cardiothoracic ratio", radiograph(), segmentation(chest()))
    assert ratio.value == pytest.approx(180 / 400, abs=0.005)
    assert ratio.unit is Unit.RATIO
    assert ratio.structures == ("heart", "visible lung right", "visible lung left")
    right, left, thorax = ratio.drawings
    np.testing.assert_allclose(right.points, [(170, 350), (250, 350)], atol=1)
    np.testing.assert_allclose(left.points, [(250, 350), (350, 350)], atol=1)
    np.testing.assert_allclose(thorax.points, [(50, 250), (450, 250)], atol=5)
    assert thorax.points[0][1] == thorax.points[1][1]


def test_lines_of_the_ratio_add_up_to_its_value() -> None:
    ratio = value("cardiothoracic ratio", radiograph(), segmentation(chest()))
    right, left, thorax = (abs(d.points[1][0] - d.points[0][0]) for d in ratio.drawings)
    assert (right + left) / thorax == pytest.approx(ratio.value)


def test_widths_use_the_column_spacing_and_areas_both() -> None:
    image, found = radiograph(), segmentation(chest())
    assert value("heart width", image, found).value == pytest.approx(180 * 0.5, abs=0.6)
    assert value("thoracic width", image, found).value == pytest.approx(400 * 0.5, abs=0.6)
    area = value("heart area", image, found)
    assert area.value == pytest.approx(np.pi * 90 * 70 * 0.8 * 0.5 / 100, rel=0.01)
    assert area.unit is Unit.SQUARE_CENTIMETRE
    right = value("right lung area", image, found).value
    assert right == pytest.approx(np.pi * 80 * 180 * 0.4 / 100, rel=0.01)
    assert value("lung area ratio", image, found).value == pytest.approx(180 / 160, rel=0.01)
    assert area.drawings[0].closed


def test_without_spacing_only_ratios_and_angles_are_made() -> None:
    image, found = radiograph(spacing=None), segmentation(chest())
    made = {result.name for result in measure(image, found).computed}
    assert made == WITHOUT_SPACING
    for result in measure(image, found).not_computed:
        assert (result.reason == "no pixel spacing") == (result.name in ON_LUNGS_AND_HEART)
    assert any("square" in remark for remark in value("spine angle", image, found).remarks)


def test_spacing_at_the_detector_is_remarked() -> None:
    spacing = PixelSpacing(0.6, 0.6, "Imager Pixel Spacing (at the detector)", calibrated=False)
    image, found = radiograph(spacing), segmentation(chest())
    for name in ("heart width", "thoracic width", "heart area", "spine-centre distance"):
        assert any("at the detector" in remark for remark in value(name, image, found).remarks)
    assert not value("cardiothoracic ratio", image, found).remarks


@pytest.mark.parametrize(("view", "told"), [(View.AP, "view AP"), (View.UNKNOWN, "not stated")])
def test_view_that_magnifies_the_heart_is_remarked(view: View, told: str) -> None:
    ratio = value("cardiothoracic ratio", radiograph(view=view), segmentation(chest()))
    assert told in ratio.remarks[0]


def test_lateral_views_are_not_measured() -> None:
    for image, found in (
        (radiograph(view=View.LEFT_LATERAL), segmentation(chest())),
        (radiograph(), segmentation(chest(), frontal=0.1)),
    ):
        results = measure(image, found)
        assert not results.computed
        assert all("lateral" in result.reason for result in results.not_computed)


def test_absent_and_unsupported_structures_are_told_apart() -> None:
    without = {name: field for name, field in chest().items() if name != "heart"}
    assert reason("cardiothoracic ratio", radiograph(), segmentation(without)) == "heart was not found"
    found = segmentation(without, unsupported=("heart",))
    assert (
        reason("heart area", radiograph(), found)
        == "the model does not look for the heart: it was not trained to"
    )


def test_of_one_lung_alone_neither_side_nor_size_is_believed() -> None:
    without = {name: field for name, field in chest().items() if name != "visible lung left"}
    results = measure(radiograph(), segmentation(without))
    assert {r.name for r in results.computed} == {"spine-centre distance", "spine angle"}
    told = "side and size of the other lung cannot be checked: visible lung left was not found"
    for name in ("right lung area", "right lung height"):
        assert reason(name, radiograph(), segmentation(without)) == told
    told = reason("heart area", radiograph(), segmentation(without))
    assert told == "where the heart lies cannot be checked: visible lung left was not found"
    assert reason("left lung area", radiograph(), segmentation(without)) == "visible lung left was not found"


def test_whole_lungs_stand_in_for_visible_ones_that_a_model_does_not_know() -> None:
    structures = {name.replace("visible lung right", "right lung"): f for name, f in chest().items()}
    structures = {name.replace("visible lung left", "left lung"): f for name, f in structures.items()}
    found = segmentation(structures, unsupported=("visible lung right", "visible lung left"))
    assert value("right lung area", radiograph(), found).structures == ("right lung",)


def test_whole_lungs_do_not_stand_in_for_visible_ones_that_are_not_trusted_or_not_found() -> None:
    whole = {name.removeprefix("visible lung ") + " lung": f for name, f in chest().items() if "lung" in name}
    found = segmentation(chest() | whole)
    doubtful = replace(found, trust={"visible lung left": Trust(0.49, 0.9)})
    for name in ("right lung area", "left lung area", "left lung height", "cardiothoracic ratio"):
        assert "visible lung left cannot be told with certainty" in reason(
            name, radiograph(), trusted_part(doubtful)
        )
    lost = segmentation({n: f for n, f in (chest() | whole).items() if n != "visible lung left"})
    assert reason("left lung area", radiograph(), lost) == "visible lung left was not found"


def test_structure_cut_off_by_the_edge_is_not_measured() -> None:
    structures = chest() | {"visible lung right": ellipse((60, 250), (100, 180))}
    assert "cut off" in reason("cardiothoracic ratio", radiograph(), segmentation(structures))
    told = reason("right lung area", radiograph(), segmentation(structures))
    assert "visible lung right is cut off" in told


def test_heart_is_not_sized_where_the_thorax_cannot_be() -> None:
    found = segmentation(chest() | {"visible lung right": ellipse((60, 250), (100, 180))})
    told = "the heart cannot be checked against the thorax: visible lung right is cut off"
    assert all(reason(name, radiograph(), found).startswith(told) for name in ("heart width", "heart area"))


def test_apex_outside_the_image_stops_the_area_and_not_the_width() -> None:
    found = segmentation(chest() | {"visible lung right": ellipse((130, 100), (80, 180))})
    assert "cut off" in reason("right lung area", radiograph(), found)
    assert value("thoracic width", radiograph(), found).value > 180


def test_swapped_lungs_are_not_measured_against_each_other() -> None:
    structures = chest()
    structures["visible lung right"], structures["visible lung left"] = (
        structures["visible lung left"],
        structures["visible lung right"],
    )
    assert "mirrored" in reason("lung area ratio", radiograph(), segmentation(structures))


def test_implausible_ratio_is_not_reported() -> None:
    found = segmentation(chest() | {"heart": ellipse((250, 330), (38, 90))})
    for name in ("cardiothoracic ratio", "heart width", "thoracic width", "heart area", "right lung area"):
        assert reason(name, radiograph(), found) == "the widths are implausible: their ratio would be 0.19"
    assert value("lung area ratio", radiograph(), found).value > 1


def test_lungs_without_a_common_row_have_no_width() -> None:
    structures = chest() | {
        "visible lung right": ellipse((130, 120), (60, 80)),
        "visible lung left": ellipse((370, 420), (60, 80)),
    }
    assert "no row in common" in reason("thoracic width", radiograph(), segmentation(structures))


def test_heart_beside_the_midline_is_one_line() -> None:
    structures = chest() | {"heart": ellipse((344, 350), (90, 70))}
    structures["visible lung right"] = ellipse((145, 250), (100, 180))
    [line] = value("heart width", radiograph(), segmentation(structures)).drawings
    assert line.name == "heart width"


@pytest.mark.parametrize("centre", [(430, 90), (250, 480), (60, 300)])
def test_heart_that_does_not_lie_between_the_lungs_gives_no_number(centre: tuple[float, float]) -> None:
    found = segmentation(chest() | {"heart": ellipse(centre, (55, 15))})
    for name in ("cardiothoracic ratio", "heart width", "thoracic width", "heart area", "lung area ratio"):
        assert reason(name, radiograph(), found) == "the heart does not lie between the lungs"


def test_lungs_of_very_different_size_give_no_number() -> None:
    found = segmentation(chest() | {"visible lung left": ellipse((370, 250), (45, 60))})
    for name in (
        "cardiothoracic ratio",
        "right lung area",
        "left lung area",
        "lung area ratio",
        "heart area",
    ):
        assert "implausible" in reason(name, radiograph(), found)


def test_swapped_lungs_give_no_areas() -> None:
    swapped = chest()
    swapped["visible lung right"], swapped["visible lung left"] = (
        swapped["visible lung left"],
        swapped["visible lung right"],
    )
    for name in ("right lung area", "left lung area", "heart area"):
        assert "mirrored" in reason(name, radiograph(), segmentation(swapped))


def test_vertebrae_beside_the_middle_of_the_chest_give_no_angle() -> None:
    found = segmentation(chest() | spine(np.full(12, 100.0)))
    told = "the vertebrae do not lie in the middle between the lungs"
    assert reason("spine angle", radiograph(), found) == told
    ratio = value("cardiothoracic ratio", radiograph(), found)
    assert ratio.drawings[0].points[1][0] == pytest.approx(250, abs=1), "the midline is that of the lungs"


def test_lung_in_pieces_gives_no_number() -> None:
    halves = ellipse((130, 180), (60, 60)) | ellipse((130, 340), (60, 60))
    found = segmentation(chest() | {"visible lung right": halves})
    assert (
        reason("right lung area", radiograph(), found) == "visible lung right is implausible: it is in pieces"
    )


def test_lung_that_is_a_speck_gives_no_number() -> None:
    found = segmentation(chest() | {"visible lung right": ellipse((130, 250), (30, 30))})
    assert "it covers 0.94 % of the image" in reason("right lung area", radiograph(), found)


def test_heart_in_pieces_or_far_too_small_gives_no_number() -> None:
    pieces = ellipse((210, 350), (38, 70)) | ellipse((300, 350), (38, 70))
    told = reason("heart area", radiograph(), segmentation(chest() | {"heart": pieces}))
    assert told == "the heart is implausible: it is in pieces"
    small = segmentation(chest() | {"heart": ellipse((250, 350), (50, 40))})
    assert "times the area of both lungs" in reason("heart width", radiograph(), small)


@pytest.mark.parametrize(("column", "half_width"), [(352, 140), (300, 50)], ids=["far left", "beside a lung"])
def test_heart_on_one_side_gives_no_number(column: float, half_width: float) -> None:
    found = segmentation(chest() | {"heart": ellipse((column, 350), (half_width, 65))})
    assert reason("heart area", radiograph(), found) == "the heart does not lie between the lungs"


def test_heart_that_reaches_far_below_the_lungs_gives_no_number() -> None:
    found = segmentation(chest() | {"heart": ellipse((260, 420), (90, 145))})
    assert reason("heart area", radiograph(), found) == "the heart does not lie between the lungs"


@pytest.mark.parametrize("spacing_mm", [0.2, 2.0])
def test_thorax_that_is_no_adults_gives_no_lengths_and_areas(spacing_mm: float) -> None:
    image = radiograph(PixelSpacing(spacing_mm, spacing_mm, "Pixel Spacing", calibrated=True))
    found = segmentation(chest())
    for name in ("heart width", "thoracic width", "heart area", "left lung area", "spine-centre distance"):
        assert f"the thorax would be {400 * spacing_mm:.0f} mm wide" in reason(name, image, found)
    made = {result.name for result in measure(image, found).computed}
    assert made == WITHOUT_SPACING


DOUBTFUL = ("right hemidiaphragm", "thoracic spine", "visible lung right", "trachea")


def area(rows: tuple[int, int], columns: tuple[int, int]) -> npt.NDArray[np.bool_]:
    drawn = np.zeros((600, 500), np.bool_)
    drawn[slice(*rows), slice(*columns)] = True
    return drawn


@pytest.mark.parametrize("doubtful", DOUBTFUL)
def test_nothing_is_measured_on_a_mask_that_is_not_trusted(
    make_film: Callable[..., Radiograph], make_chest: Callable[..., Segmentation], doubtful: str
) -> None:
    """As if it were not there, but for the reason; findings about the field included."""
    given = {
        "right hemidiaphragm": area((400, 560), (50, 250)),
        "left hemidiaphragm": area((390, 560), (250, 450)),
        "thoracic spine": area((60, 560), (230, 270)),
        "trachea": area((60, 240), (240, 262)),
    }
    everything = make_chest(given)
    judged = replace(everything, trust={doubtful: Trust(0.02, 0.7)})
    without = replace(everything, masks={k: v for k, v in everything.masks.items() if k != doubtful})
    found, bare = measure(make_film(), judged), measure(make_film(), without)
    for one, other in zip(found.computed, bare.computed, strict=True):
        assert (one.name, one.value, one.structures) == (other.name, other.value, other.structures)
        assert doubtful not in one.structures
    assert [each.holds for each in found.findings] == [each.holds for each in bare.findings]
    assert any("cannot be told with certainty" in each.reason for each in found.not_computed) or (
        doubtful == "right hemidiaphragm"  # the lung's lower edge stands in for it
    )


def test_nothing_is_measured_on_a_picture_that_says_why_not() -> None:
    doubted = replace(radiograph(), why_unmeasured="left and right may be exchanged (probability 0.85)")
    results = measure(doubted, segmentation(chest()))
    assert tuple(result.name for result in results.not_computed) == NAMES
    assert {result.reason for result in results.not_computed} == {doubted.why_unmeasured}
    assert {finding.reason for finding in results.findings} == {doubted.why_unmeasured}
