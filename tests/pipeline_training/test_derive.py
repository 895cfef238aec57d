import numpy as np
import pytest

from ai.labels import LABELS
from pipeline_training.anatomy import TISSUES, Anatomy, Layer, midline_x
from pipeline_training.derive import bifurcation, carina_slice, derive, split_aorta, split_rib
from pipeline_training.errors import VolumeError
from pipeline_training.volumes import LabelMap


def test_every_structure_is_one_of_the_label_table(anatomy: Anatomy) -> None:
    assert set(anatomy.known()) <= {label.name for label in LABELS}
    assert len(anatomy.known()) > 100


def test_whole_is_the_union_of_its_parts(anatomy: Anatomy, phantom: LabelMap) -> None:
    organs = anatomy.organs
    np.testing.assert_array_equal(organs.mask("heart"), phantom.mask("heart"))
    np.testing.assert_array_equal(organs.mask("lung"), organs.mask("right lung") | organs.mask("left lung"))
    np.testing.assert_array_equal(organs.mask("spine"), organs.mask("thoracic spine"))
    np.testing.assert_array_equal(organs.mask("vertebrae T7"), phantom.mask("vertebrae_T7"))


def test_aorta_parts_at_the_slice_where_its_limbs_separate(anatomy: Anatomy, phantom: LabelMap) -> None:
    aorta = phantom.mask("aorta")
    arch, ascending, descending = (
        anatomy.organs.mask(name) for name in ("aortic arch", "ascending aorta", "descending aorta")
    )
    np.testing.assert_array_equal(np.flatnonzero(arch.any(axis=(1, 2))), [43, 44, 45])
    assert np.nonzero(ascending)[1].max() <= 14
    assert np.nonzero(descending)[1].min() >= 20
    np.testing.assert_array_equal(arch | ascending | descending, aorta)


def test_aorta_in_one_piece_is_descending(phantom: LabelMap) -> None:
    lower = phantom.mask("aorta").copy()
    lower[26:] = False
    assert list(split_aorta(lower, phantom.spacing_mm)) == ["descending aorta"]


def test_abdominal_aorta_that_comes_forward_is_descending() -> None:
    aorta = np.zeros((40, 40, 20), np.bool_)
    aorta[36:, 4:30, 8:12] = True  # arch
    aorta[25:36, 4:8, 8:12] = True  # ascending, ends at the valve
    for z in range(36):  # descending, comes forward by half a row a slice
        row = 12 + z // 2
        aorta[z, row - 8 : row - 4, 8:12] = True
    parts = split_aorta(aorta, 2.0)
    assert np.flatnonzero(parts["ascending aorta"].any(axis=(1, 2))).tolist() == list(range(25, 36))
    assert np.nonzero(parts["ascending aorta"])[1].max() < 8
    assert np.flatnonzero(parts["descending aorta"].any(axis=(1, 2))).tolist() == list(range(36))
    np.testing.assert_array_equal(np.logical_or.reduce(list(parts.values())), aorta)


@pytest.mark.parametrize("side", ["right", "left"])
def test_rib_is_parted_at_its_lateral_most_point(anatomy: Anatomy, phantom: LabelMap, side: str) -> None:
    rib = phantom.mask(f"rib_{side}_5")
    front, back = (anatomy.organs.mask(f"{end} 5th rib {side}") for end in ("anterior", "posterior"))
    np.testing.assert_array_equal(front | back, rib)
    assert np.nonzero(front)[1].max() == 19
    assert np.nonzero(back)[1].min() == 20


def test_twelfth_rib_has_no_anterior_part(anatomy: Anatomy, phantom: LabelMap) -> None:
    whole = phantom.mask("rib_right_12")
    assert list(split_rib(whole, "right", 12)) == ["posterior"]
    assert "anterior 12th rib right" not in anatomy.known()
    np.testing.assert_array_equal(anatomy.organs.mask("posterior 12th rib right"), whole)
    both = whole | phantom.mask("rib_left_12")
    np.testing.assert_array_equal(anatomy.organs.mask("12th rib"), both)


def test_carina_is_the_lowest_20_mm_of_the_trachea(anatomy: Anatomy) -> None:
    carina = anatomy.organs.mask("tracheal bifurcation")
    np.testing.assert_array_equal(np.flatnonzero(carina.any(axis=(1, 2))), [30, 31, 32, 33])
    assert (anatomy.organs.mask("trachea") & carina).sum() == carina.sum()


def test_sides_are_the_patients(anatomy: Anatomy) -> None:
    for name in ("{} lung", "clavicle {}", "scapula {}", "posterior 6th rib {}"):
        right, left = (np.nonzero(anatomy.organs.mask(name.format(side)))[2] for side in ("right", "left"))
        assert right.max() < left.min(), name


def test_every_part_belongs_to_a_tissue(anatomy: Anatomy) -> None:
    assert len(anatomy.tissue_of_part) == anatomy.organs.count + 1
    (part, *_) = anatomy.organs.structures["heart"]
    assert TISSUES[anatomy.tissue_of_part[part]] == "heart"
    assert TISSUES[anatomy.tissue_of_part[0]] == "soft"


def test_centre_is_that_of_the_lungs(anatomy: Anatomy, phantom: LabelMap) -> None:
    lungs = np.nonzero(phantom.mask_of_kind("lung_"))
    np.testing.assert_allclose(anatomy.centre, [axis.mean() for axis in lungs])


def test_full_layer_is_refused() -> None:
    layer = Layer.empty((1, 1, 1))
    for _ in range(255):
        layer.add(np.ones((1, 1, 1), np.bool_), "x")
    with pytest.raises(VolumeError, match="at most 255 parts"):
        layer.add(np.ones((1, 1, 1), np.bool_), "y")


def test_midline_needs_vertebrae(phantom: LabelMap) -> None:
    assert midline_x(phantom) == 29.5
    with pytest.raises(VolumeError, match="no vertebra"):
        midline_x(LabelMap("x", phantom.labels, {1: "liver"}, None, 6.0))


def test_carina_is_where_the_lumen_followed_from_above_parts() -> None:
    airway = np.zeros((30, 9, 40), np.bool_)
    airway[18:, 2:7, 16:23] = True  # trachea
    airway[10:18, 2:7, 12:18] = True
    airway[10:18, 2:7, 21:27] = True
    airway[10:22, 2:7, 4:9] = True  # an upper lobe's bronchus that hooks up beside it
    airway[10:12, 2:7, 4:18] = True
    assert carina_slice(airway, 20) == 17
    assert carina_slice(airway[18:], 20) is None


def test_breasts_labelled_as_one_are_parted_by_the_spine(phantom: LabelMap) -> None:
    labels = phantom.labels.copy()
    labels[20:26, 0:3, 10:50] = 200
    volume = LabelMap("x", labels, {**phantom.names, 200: "breast"}, None, phantom.spacing_mm)
    organs = derive(volume, np.random.default_rng(0)).organs
    right, left = organs.mask("breast right"), organs.mask("breast left")
    assert np.nonzero(right)[2].max() == 29
    assert np.nonzero(left)[2].min() == 30
    np.testing.assert_array_equal(right | left, organs.mask("breast"))


def test_body_without_lungs_is_refused(phantom: LabelMap) -> None:
    with pytest.raises(VolumeError, match="no lung is labelled"):
        derive(LabelMap("x", phantom.labels, {1: "liver"}, None, 6.0), np.random.default_rng(0))


@pytest.mark.parametrize("reaches", [20, 14])
def test_bifurcation_ends_25_mm_beside_the_trachea(reaches: int) -> None:
    trachea, bronchi = np.zeros((2, 30, 10, 60), np.bool_)
    trachea[reaches:, 3:7, 28:33] = True
    bronchi[12:20, 3:7, 20:29] = True
    bronchi[12:20, 3:7, 32:41] = True
    bronchi[16:18, 3:7, 2:58] = True  # lobar bronchi run on sideways
    bronchi[18:20, 3:7, 29:32] = reaches > 18
    found = bifurcation(trachea | bronchi, trachea, 2.0)
    columns = np.nonzero(found)[2]
    assert (columns.min(), columns.max()) == (18, 42)
