import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.regions import region_layer
from pipeline_training.volumes import LabelMap

LUNG_BASE, CLAVICLE_MEDIAL_END, LUNG_TOP = 14, 46, 51


def slices(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    found = np.flatnonzero(mask.any(axis=(1, 2)))
    return int(found[0]), int(found[-1])


def regions(anatomy: Anatomy) -> Layer:
    return anatomy.regions[0]


@pytest.mark.parametrize("side", ["right", "left"])
def test_zones_are_thirds_below_the_medial_end_of_the_clavicle(anatomy: Anatomy, side: str) -> None:
    bounds = [slices(regions(anatomy).mask(f"{side} {zone}")) for zone in (
        "lung base", "mid zone lung", "upper zone lung", "apical zone lung")]  # fmt: skip
    assert bounds == [
        (LUNG_BASE, 24),
        (25, 35),
        (36, CLAVICLE_MEDIAL_END - 1),
        (CLAVICLE_MEDIAL_END, LUNG_TOP),
    ]


def test_zones_fill_the_lungs(anatomy: Anatomy) -> None:
    zones = np.any(
        [regions(anatomy).mask(f"{zone} lung") for zone in ("mid zone", "upper zone", "apical zone")], axis=0
    ) | regions(anatomy).mask("lung base")
    np.testing.assert_array_equal(zones, anatomy.organs.mask("lung"))


def test_zones_of_both_lungs_need_both_clavicles(phantom: LabelMap) -> None:
    names = {i: name for i, name in phantom.names.items() if name != "clavicula_left"}
    found = region_layer(LabelMap("x", phantom.labels, names, None, phantom.spacing_mm)).structures
    assert "right mid zone lung" in found
    assert "left mid zone lung" not in found
    assert "mid zone lung" not in found


@pytest.mark.parametrize(
    ("voxel", "name"),
    [
        ((45, 15, 26), "upper mediastinum"),
        ((22, 9, 30), "anterior mediastinum"),
        ((22, 16, 33), "middle mediastinum"),
        ((22, 23, 29), "posterior mediastinum"),
        ((35, 22, 28), "posterior mediastinum"),
    ],
)
def test_mediastinum_is_parted_by_t4_and_the_heart(
    anatomy: Anatomy, voxel: tuple[int, int, int], name: str
) -> None:
    assert regions(anatomy).mask(name)[voxel]
    assert regions(anatomy).mask("cardiomediastinum")[voxel]
    assert regions(anatomy).mask("lower mediastinum")[voxel] == (name != "upper mediastinum")


def test_mediastinum_reaches_from_the_heart_to_the_top_of_the_lungs(anatomy: Anatomy) -> None:
    assert slices(regions(anatomy).mask("cardiomediastinum")) == (16, LUNG_TOP)
    assert slices(regions(anatomy).mask("upper mediastinum")) == (41, LUNG_TOP)


def test_mediastinum_holds_heart_and_no_lung_rib_or_vertebra(anatomy: Anatomy) -> None:
    region = regions(anatomy).mask("cardiomediastinum")
    assert region[anatomy.organs.mask("heart")].all()
    for other in ("lung", "spine", "posterior 5th rib", "liver"):
        assert not (region & anatomy.organs.mask(other)).any(), other


def test_mediastinum_needs_t4(phantom: LabelMap) -> None:
    names = {i: name for i, name in phantom.names.items() if name != "vertebrae_T4"}
    found = region_layer(LabelMap("x", phantom.labels, names, None, phantom.spacing_mm)).structures
    assert "cardiomediastinum" not in found


def test_what_lies_under_the_lungs_is_parted_by_the_spine(anatomy: Anatomy) -> None:
    right, left = (regions(anatomy).mask(f"{side} hemidiaphragm") for side in ("right", "left"))
    assert right[:LUNG_BASE, 20, 15].all()
    assert left[:LUNG_BASE, 20, 45].all()
    assert not (right | left)[LUNG_BASE:, 20, 15].any()
    assert np.nonzero(right)[2].max() < 29.5 < np.nonzero(left)[2].min()
    np.testing.assert_array_equal(right | left, regions(anatomy).mask("diaphragm"))


def test_under_the_diaphragm_is_neither_bone_nor_mediastinum(anatomy: Anatomy) -> None:
    under = regions(anatomy).mask("diaphragm")
    for name in ("spine", "posterior 11th rib", "heart"):
        assert not (under & anatomy.organs.mask(name)).any(), name
    assert not (under & regions(anatomy).mask("cardiomediastinum")).any()


def test_hemidiaphragms_need_the_liver(phantom: LabelMap) -> None:
    names = {i: name for i, name in phantom.names.items() if name != "liver"}
    found = region_layer(LabelMap("x", phantom.labels, names, None, phantom.spacing_mm)).structures
    assert "diaphragm" not in found


def test_mediastinum_does_not_jump_where_some_slices_cut_a_spinous_process_alone(phantom: LabelMap) -> None:
    labels = phantom.labels.copy()
    levels = slice(28, 34)
    bodies = phantom.mask_of_kind("vertebrae_")[levels] & (np.arange(labels.shape[1]) < 30)[:, None]
    labels[levels][bodies] = 0
    bitten = LabelMap("x", labels, phantom.names, None, 1.5, vocabulary=phantom.vocabulary)
    found = region_layer(bitten).mask("cardiomediastinum")
    assert np.nonzero(found[levels])[1].max() <= 27  # the middle of the bodies, which cover rows 24 to 31


def test_mediastinum_is_one_piece(phantom: LabelMap) -> None:
    labels = phantom.labels.copy()
    esophagus = max(phantom.names) + 1
    labels[47:50, 2:4, 2:4] = esophagus  # labelled in front of the shoulder by mistake
    names = {**phantom.names, esophagus: "esophagus"}
    wrong = LabelMap("x", labels, names, None, phantom.spacing_mm, vocabulary=phantom.vocabulary)
    assert not region_layer(wrong).mask("cardiomediastinum")[47:50, 2:4, 2:4].any()


def test_vessels_and_bronchi_within_a_lung_are_no_mediastinum(phantom: LabelMap) -> None:
    labels = phantom.labels.copy()
    labels[30:36, 14:26, 38:47] = 0  # nothing labelled: enters the left lung beside the aorta
    labels[36:42, 14:26, 39:47] = 0  # and goes on upwards, surrounded by lung
    hollow = LabelMap("x", labels, phantom.names, None, phantom.spacing_mm, vocabulary=phantom.vocabulary)
    assert not region_layer(hollow).mask("cardiomediastinum")[36:42, 14:26, 39:47].any()


def test_body_without_vertebrae_has_no_zones_and_is_not_refused(phantom: LabelMap) -> None:
    names = {i: name for i, name in phantom.names.items() if not name.startswith("vertebrae")}
    found = region_layer(LabelMap("x", phantom.labels, names, None, phantom.spacing_mm)).structures
    assert not any("zone" in name or "base" in name for name in found)
