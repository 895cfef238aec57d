"""Clavicles that are none are told by their shape, whatever their volume."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.labelling.long_bones import misshapen, shape_of
from pipeline_training.labelling.plausible import plausible_ml
from pipeline_training.labelling.quality import Verdict, judge, keep_sound, volumes_ml
from pipeline_training.phantom import PhantomParameters, make_phantom
from pipeline_training.volumes import LabelMap

SPACING_MM = 1.5


@pytest.fixture(scope="module")
def body() -> LabelMap:
    return make_phantom(PhantomParameters(), 3.0)


@pytest.mark.parametrize("axis", [(1.0, 0.0, 0.0), (0.0, 0.6, 0.8), (0.48, 0.6, 0.64)])
def test_length_and_width_are_those_of_a_cylinder(axis: tuple[float, float, float]) -> None:
    shape = shape_of(_cylinder(np.array(axis), length_mm=120, radius_mm=9), SPACING_MM)
    assert shape.length_mm == pytest.approx(120, abs=3)
    assert shape.widest_mm == pytest.approx(2 * 9, abs=1)


def test_shape_is_in_millimetres() -> None:
    mask = np.zeros((4, 5, 60), np.bool_)
    mask[1:3, 1:4, 5:45] = True
    assert shape_of(mask, 3.0).length_mm == pytest.approx(40 * 3.0, abs=1)
    # two rows and three columns, 3 mm apart: mean squares of 2.25 and 6 mm2 from the centre
    assert shape_of(mask, 3.0).widest_mm == pytest.approx(np.sqrt(8 * (2.25 + 6.0)))


def test_a_stray_voxel_makes_no_bone_longer() -> None:
    mask = _cylinder(np.array([0.0, 0.6, 0.8]), length_mm=60, radius_mm=9)
    plain = shape_of(mask, SPACING_MM)
    mask[2, 2, 2] = True
    assert shape_of(mask, SPACING_MM).length_mm == pytest.approx(plain.length_mm, abs=3)


def test_clavicles_of_a_sound_body_are_believed(body: LabelMap) -> None:
    assert not {"clavicula_left", "clavicula_right"} & set(judge(body).dropped)


def test_clavicle_that_ends_half_way_is_dropped_though_its_volume_is_plausible(body: LabelMap) -> None:
    volume = _without_outer_half(body)
    _check_volume(volume)
    quality = judge(volume)
    assert quality.verdict is Verdict.PARTLY
    assert quality.dropped["clavicula_left"].startswith("too short for the bone: ")
    assert "clavicula_right" not in quality.dropped
    assert "clavicula_left" not in keep_sound(volume, quality).vocabulary


def test_clavicle_that_is_cut_may_be_short(body: LabelMap) -> None:
    columns = np.nonzero(_without_outer_half(body).mask("clavicula_left"))[2]
    assert "clavicula_left" not in judge(replace(body, labels=body.labels[:, :, : columns.max() + 1])).dropped


def test_clavicle_that_spread_to_its_neighbour_is_dropped_though_its_volume_is_plausible(
    body: LabelMap,
) -> None:
    clavicle = body.mask("clavicula_left")
    z, y, x = (round(axis) for axis in np.argwhere(clavicle)[np.argmin(np.nonzero(clavicle)[2])])
    labels = body.labels.copy()
    labels[z - 10 : z + 1, y - 5 : y + 5, x - 2 : x + 4] = body.ids("clavicula_left")[0]
    volume = replace(body, labels=labels)
    _check_volume(volume)
    assert judge(volume).dropped["clavicula_left"].startswith("too thick for the bone: ")


def test_what_is_thick_is_refused_even_where_it_is_cut() -> None:
    thick = shape_of(np.ones((10, 12, 70), np.bool_), 3.0)
    assert misshapen(thick, cut=True) == "too thick for the bone: 38 mm across, at most 30 are plausible"


def test_a_thin_neighbour_that_is_named_as_well_makes_a_bone_too_thick() -> None:
    bone = _cylinder(np.array([0.0, 0.0, 1.0]), length_mm=130, radius_mm=7)
    vein = np.roll(_cylinder(np.array([0.0, 0.0, 1.0]), length_mm=24, radius_mm=4), 20, axis=1)
    assert not misshapen(shape_of(bone, SPACING_MM), cut=False)
    assert misshapen(shape_of(bone | vein, SPACING_MM), cut=False).startswith("too thick for the bone: ")


def _cylinder(axis: npt.NDArray[np.float64], length_mm: float, radius_mm: float) -> npt.NDArray[np.bool_]:
    places = (np.indices((110, 110, 110)).reshape(3, -1).T - 54.5) * SPACING_MM
    along = places @ axis
    across = np.linalg.norm(places - along[:, None] * axis, axis=1)
    return np.asarray((np.abs(along) <= length_mm / 2) & (across <= radius_mm)).reshape(110, 110, 110)


def _without_outer_half(body: LabelMap) -> LabelMap:
    """Return the body with its left clavicle named to the half only."""
    clavicle = body.mask("clavicula_left")
    columns = np.nonzero(clavicle)[2]
    middle = (int(columns.min()) + int(columns.max())) // 2
    outer = clavicle & (np.arange(clavicle.shape[2]) > middle)
    return replace(body, labels=np.where(outer, 0, body.labels).astype(np.uint8))


def _check_volume(volume: LabelMap) -> None:
    allowed = plausible_ml("clavicula_left")
    assert allowed is not None
    assert allowed.low <= volumes_ml(volume)["clavicula_left"] <= allowed.high
