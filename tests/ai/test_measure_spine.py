from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ai.availability import trusted_part
from ai.labels import LABELS
from ai.measure import Measure
from ai.measure_spine import spine_angle, spine_centre_distance
from ai.measurement import Measurement, NotComputed
from ai.radiograph import PixelSpacing, Radiograph
from ai.segmentation import Segmentation
from ai.uncertainty import Trust

MakeFilm = Callable[..., Radiograph]
MakeChest = Callable[..., Segmentation]
Field = npt.NDArray[np.bool_]


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> Field:
    rows, columns = np.mgrid[:600, :500] + 0.5
    inside: Field = ((columns - centre[0]) / radii[0]) ** 2 + ((rows - centre[1]) / radii[1]) ** 2 <= 1
    return inside


def spine(offset: npt.NDArray[np.float64]) -> dict[str, Field]:
    """T1 to T12 as ellipses, 40 rows apart, `offset` columns from column 250."""
    return {
        f"vertebrae T{i + 1}": ellipse((250 + float(offset[i]), 60.5 + 40 * i), (15, 12)) for i in range(12)
    }


STRAIGHT = spine(np.zeros(12))


def value(measured: Measure, image: Radiograph, found: Segmentation) -> Measurement:
    result = measured(image, found)
    assert isinstance(result, Measurement), result
    return result


def reason(measured: Measure, image: Radiograph, found: Segmentation) -> str:
    result = measured(image, found)
    assert isinstance(result, NotComputed), result
    return result.reason


def test_straight_spine_has_no_distance_and_no_angle_even_when_tilted(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    for slope in (0.0, 6.0):
        found = make_chest(spine(slope * np.arange(12.0)))
        assert value(spine_centre_distance, make_film(), found).value == pytest.approx(0, abs=0.2)
        assert value(spine_angle, make_film(), found).value == pytest.approx(0, abs=1.5)


def test_bent_spine_has_the_angle_and_distance_of_its_parabola(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    rows = 40 * np.arange(12.0) - 220
    offset = 0.0005 * rows**2
    image = make_film(PixelSpacing(0.8, 0.4, "Pixel Spacing", calibrated=True))
    found = make_chest(spine(offset))
    steepest = np.degrees(np.arctan(2 * 0.0005 * 220 * 0.4 / 0.8))
    assert value(spine_angle, image, found).value == pytest.approx(2 * steepest, abs=1)
    expected = float(np.abs(offset - offset.mean()).mean()) * 0.4
    assert value(spine_centre_distance, image, found).value == pytest.approx(expected, abs=0.1)


def test_double_curve_shows_its_largest_angle(make_film: MakeFilm, make_chest: MakeChest) -> None:
    rows = 40 * np.arange(12.0) - 220
    offset = 40 * np.sin(np.pi * rows / 220)
    image = make_film(PixelSpacing(1, 1, "Pixel Spacing", calibrated=True))
    steepest = np.degrees(np.arctan(40 * np.pi / 220))
    found = make_chest(spine(offset))
    assert value(spine_angle, image, found).value == pytest.approx(2 * steepest, abs=4)


def test_tangents_of_the_angle_are_drawn_at_named_vertebrae(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    angle = value(spine_angle, make_film(), make_chest(spine(0.3 * np.arange(12.0) ** 2)))
    assert [d.name for d in angle.drawings] == ["tangent at T1", "tangent at T12", "spine curve"]


def test_few_or_disordered_vertebrae_give_no_angle(make_film: MakeFilm, make_chest: MakeChest) -> None:
    few = {n: f for n, f in STRAIGHT.items() if not n.startswith("vertebrae T1")}
    few = {n: f for n, f in few.items() if n not in {f"vertebrae T{i}" for i in range(6, 10)}}
    assert reason(spine_angle, make_film(), make_chest(few)) == "4 vertebrae were found, 8 are needed"
    swapped = dict(STRAIGHT)
    swapped["vertebrae T3"], swapped["vertebrae T8"] = swapped["vertebrae T8"], swapped["vertebrae T3"]
    assert "order" in reason(spine_centre_distance, make_film(), make_chest(swapped))


def test_vertebrae_at_odd_distances_give_no_angle(make_film: MakeFilm, make_chest: MakeChest) -> None:
    scattered = dict(STRAIGHT)
    scattered["vertebrae T6"] = ellipse((250, 60.5 + 40 * 5 + 34), (15, 12))
    told = reason(spine_angle, make_film(), make_chest(scattered))
    assert told == "the vertebrae do not lie at regular distances"


def test_one_missing_vertebra_leaves_the_angle_and_two_in_a_row_do_not(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    gap = {name: field for name, field in STRAIGHT.items() if name != "vertebrae T6"}
    assert value(spine_angle, make_film(), make_chest(gap)).value == pytest.approx(0, abs=1.5)
    del gap["vertebrae T7"]
    told = reason(spine_angle, make_film(), make_chest(gap))
    assert told == "more than one vertebra in a row was not found"


def test_vertebrae_that_jump_sideways_give_no_angle(make_film: MakeFilm, make_chest: MakeChest) -> None:
    offset = np.zeros(12)
    offset[5] = 30  # 15 mm beside its neighbours, which are 32 mm away
    for measured in (spine_angle, spine_centre_distance):
        told = reason(measured, make_film(), make_chest(spine(offset)))
        assert told == "the vertebrae do not lie on a smooth curve"


def test_vertebrae_that_lean_too_far_give_no_angle(make_film: MakeFilm, make_chest: MakeChest) -> None:
    image = make_film(PixelSpacing(0.3, 0.9, "Pixel Spacing", calibrated=True))
    found = make_chest(spine(30 * np.arange(-5.5, 6.5)))
    assert reason(spine_angle, image, found) == "the vertebrae do not lie on a smooth curve"


def test_vertebrae_of_odd_size_give_no_angle(make_film: MakeFilm, make_chest: MakeChest) -> None:
    speck = STRAIGHT | {"vertebrae T6": ellipse((250, 260.5), (4, 4))}
    told = "the vertebrae are not alike in size, or not of the size of vertebrae"
    assert reason(spine_angle, make_film(), make_chest(speck)) == told
    specks = STRAIGHT | {f"vertebrae T{i + 1}": ellipse((250, 60.5 + 40 * i), (5, 5)) for i in range(12)}
    assert reason(spine_angle, make_film(), make_chest(specks)) == told


def test_model_without_single_vertebrae_is_told(make_film: MakeFilm, make_chest: MakeChest) -> None:
    structures = {name: f for name, f in STRAIGHT.items() if "vertebrae" not in name}
    vertebrae = tuple(item.name for item in LABELS if item.name.startswith("vertebrae "))
    told = reason(spine_angle, make_film(), make_chest(structures, unsupported=vertebrae))
    assert told == "the model does not support single vertebrae"
    assert reason(spine_angle, make_film(), make_chest(structures)) == "no vertebrae were found"


def test_cervical_vertebrae_do_not_make_a_curve(make_film: MakeFilm, make_chest: MakeChest) -> None:
    names = [f"vertebrae C{n}" for n in range(1, 8)] + ["vertebrae T1"]
    neck = dict(zip(names, STRAIGHT.values(), strict=False))
    assert reason(spine_angle, make_film(), make_chest(neck)) == "1 vertebrae were found, 8 are needed"


def test_vertebrae_that_are_not_trusted_are_told_of(make_film: MakeFilm, make_chest: MakeChest) -> None:
    found = make_chest(STRAIGHT)
    for count, told in ((12, "no vertebrae were found; 12"), (7, "5 vertebrae were found, 8 are needed; 7")):
        names = [name for name in STRAIGHT if "vertebrae" in name][:count]
        doubtful = replace(found, trust=dict.fromkeys(names, Trust(0.3, 0.8)))
        result = reason(spine_angle, make_film(), trusted_part(doubtful))
        assert result == f"{told} of them cannot be told with certainty"
