"""Errors made on purpose in a body whose truth is known are found, repaired and told."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline_training.labelling.draft import Draft
from pipeline_training.labelling.order import Numbered, exchanged, in_order, numbers_that_fit
from pipeline_training.labelling.prior_pieces import no_dust, one_piece
from pipeline_training.labelling.prior_regions import keep_regions
from pipeline_training.labelling.prior_ribs import order_ribs
from pipeline_training.labelling.prior_sides import keep_sides, sides_plane
from pipeline_training.labelling.prior_vertebrae import order_vertebrae
from pipeline_training.labelling.priors import apply_priors
from pipeline_training.phantom import PhantomParameters, make_phantom
from pipeline_training.volumes import LabelMap

SPACING_MM = 4.0


@pytest.fixture(scope="module")
def body() -> LabelMap:
    """A phantom after the priors: whatever they do to it from now on follows from the error made."""
    return apply_priors(make_phantom(PhantomParameters(), SPACING_MM)).volume


@pytest.fixture
def wrong(body: LabelMap) -> Callable[..., LabelMap]:
    """Returns the body with some structures called by the names of others."""

    def make(**called: str) -> LabelMap:
        labels = body.labels.copy()
        for name, other in called.items():
            labels[body.mask(name)] = body.ids(other)[0] if other else 0
        present = set(np.unique(labels).tolist())
        return replace(body, labels=labels, names={n: s for n, s in body.names.items() if n in present})

    return make


def _same(volume: LabelMap, body: LabelMap, *names: str) -> bool:
    return all(np.array_equal(volume.mask(name), body.mask(name)) for name in names)


def test_sound_body_stays_as_it_is(body: LabelMap) -> None:
    repaired = apply_priors(body)
    assert repaired.changes == ()
    assert _same(repaired.volume, body, *body.names.values())
    assert repaired.volume.vocabulary == body.vocabulary


def test_phantom_loses_no_structure(body: LabelMap) -> None:
    assert set(body.names.values()) == set(make_phantom(PhantomParameters(), SPACING_MM).names.values())


def test_plane_between_the_sides_goes_through_the_spine(body: LabelMap) -> None:
    plane = sides_plane(body)
    assert plane is not None
    z, y, x = (axis.mean() for axis in np.nonzero(body.mask("vertebrae_T6")))
    assert plane @ [1, z, y] == pytest.approx(x, abs=1)


def test_exchanged_sides_are_exchanged_back(body: LabelMap, wrong: Callable[..., LabelMap]) -> None:
    repaired = keep_sides(wrong(scapula_left="scapula_right", scapula_right="scapula_left"))
    assert _same(repaired.volume, body, "scapula_left", "scapula_right")
    assert any("scapula_left" in words and "other side" in words for words in repaired.changes)


def test_lobe_without_a_twin_is_dropped_on_the_other_side(wrong: Callable[..., LabelMap]) -> None:
    repaired = keep_sides(wrong(scapula_left="lung_middle_lobe_right"))
    assert any("lung_middle_lobe_right" in w and "dropped" in w for w in repaired.changes)
    plane = sides_plane(repaired.volume)
    assert plane is not None
    z, y, x = np.nonzero(repaired.volume.mask("lung_middle_lobe_right"))
    assert (x < plane[0] + plane[1] * z + plane[2] * y).all()


def test_without_a_spine_sides_are_not_judged(body: LabelMap) -> None:
    names = {n: s for n, s in body.names.items() if not s.startswith("vertebrae_")}
    assert "not checked" in keep_sides(replace(body, names=names)).changes[0]


def test_two_exchanged_ribs_get_their_numbers_back(body: LabelMap, wrong: Callable[..., LabelMap]) -> None:
    repaired = order_ribs(wrong(rib_left_5="rib_left_6", rib_left_6="rib_left_5"))
    assert _same(repaired.volume, body, "rib_left_5", "rib_left_6")
    assert len(repaired.changes) == 2


def test_second_rib_of_a_number_gets_the_free_one(body: LabelMap, wrong: Callable[..., LabelMap]) -> None:
    repaired = order_ribs(wrong(rib_right_8="rib_right_4"))
    assert _same(repaired.volume, body, "rib_right_4", "rib_right_8")
    assert any("rib_right_4" in words and "rib_right_8" in words for words in repaired.changes)


def test_rib_of_two_numbers_becomes_one(body: LabelMap) -> None:
    labels = body.labels.copy()
    rows = np.arange(labels.shape[1])[None, :, None]
    rib = body.mask("rib_left_7")
    front = rib & (rows < np.quantile(np.nonzero(rib)[1], 0.2))
    labels[front] = body.ids("rib_left_8")[0]
    repaired = order_ribs(replace(body, labels=labels))
    assert _same(repaired.volume, body, "rib_left_7", "rib_left_8")
    assert "of the same bone" in repaired.changes[0]


def test_rib_that_no_number_fits_becomes_unknown(body: LabelMap, wrong: Callable[..., LabelMap]) -> None:
    there = wrong(rib_right_5="", rib_right_6="rib_right_12", rib_right_12="")
    spineless = {n: s for n, s in there.names.items() if not s.startswith("vertebrae_")}
    repaired = order_ribs(replace(there, names=spineless))
    assert "rib_right_12" not in repaired.volume.vocabulary
    assert "rib_right_12" not in repaired.volume.absent
    assert any("no single number fits" in words for words in repaired.changes)


def test_vertebra_decides_between_two_free_numbers(body: LabelMap, wrong: Callable[..., LabelMap]) -> None:
    there = wrong(rib_right_5="", rib_right_6="rib_right_12", rib_right_12="")
    repaired = order_ribs(there)
    found = repaired.volume.mask("rib_right_5", "rib_right_6")
    assert np.array_equal(found, body.mask("rib_right_6"))


def test_fragment_goes_to_the_vertebra_that_it_touches(body: LabelMap) -> None:
    labels = body.labels.copy()
    z, y, x = (int(axis.mean()) for axis in np.nonzero(body.mask("vertebrae_T8")))
    labels[z, y, x] = body.ids("vertebrae_T4")[0]
    repaired = order_vertebrae(replace(body, labels=labels))
    assert _same(repaired.volume, body, "vertebrae_T8", "vertebrae_T4")
    assert "fragment" in repaired.changes[0]


def test_missing_level_is_a_gap_and_unknown(body: LabelMap, wrong: Callable[..., LabelMap]) -> None:
    repaired = order_vertebrae(wrong(vertebrae_T6=""))
    assert any("gap: vertebrae_T6 is missing" in words for words in repaired.changes)
    assert "vertebrae_T6" not in repaired.volume.absent


def test_exchanged_levels_are_exchanged_back(body: LabelMap, wrong: Callable[..., LabelMap]) -> None:
    repaired = order_vertebrae(wrong(vertebrae_T6="vertebrae_T7", vertebrae_T7="vertebrae_T6"))
    assert _same(repaired.volume, body, "vertebrae_T6", "vertebrae_T7")


def test_island_of_a_lobe_fills_the_lobe_around_it(body: LabelMap) -> None:
    labels = body.labels.copy()
    z, y, x = (int(axis.mean()) for axis in np.nonzero(body.mask("lung_lower_lobe_left")))
    labels[z : z + 2, y, x] = body.ids("lung_upper_lobe_left")[0]
    repaired = one_piece(replace(body, labels=labels))
    assert _same(repaired.volume, body, "lung_lower_lobe_left", "lung_upper_lobe_left")


def test_vessels_keep_their_pieces_and_organs_do_not(body: LabelMap) -> None:
    labels = body.labels.copy()
    labels[:3, :3, :3] = body.ids("liver")[0]
    labels[-3:, :3, :3] = body.ids("aorta")[0]
    repaired = one_piece(replace(body, labels=labels)).volume
    assert not repaired.mask("liver")[:3, :3, :3].any()
    assert repaired.mask("aorta")[-3:, :3, :3].all()


def test_stomach_above_the_carina_is_dropped(body: LabelMap) -> None:
    labels = body.labels.copy()
    labels[-3:, :3, :3] = body.ids("stomach")[0]
    repaired = keep_regions(replace(body, labels=labels))
    assert _same(repaired.volume, body, "stomach")
    assert "above the carina" in repaired.changes[0]


def test_numbers_are_read_from_above() -> None:
    items = [Numbered(1, 9, 5), Numbered(4, 8, 1), Numbered(2, 7, 5), Numbered(3, 6, 5)]
    assert in_order(items) == {0, 2, 3}
    assert numbers_that_fit([items[0], items[3]], 8, 12) == [2]
    assert exchanged(items) == [1, 2, 3, 4]
    assert exchanged(items[:2]) is None


def test_draft_forgets_only_what_has_no_voxels(body: LabelMap) -> None:
    draft = Draft(body)
    draft.forget("liver")
    draft.forget("breast_left")
    volume = draft.finished().volume
    assert "liver" in volume.vocabulary
    assert "breast_left" not in volume.vocabulary


def test_dust_is_given_to_its_surroundings_all_at_once(body: LabelMap) -> None:
    labels = body.labels.copy()
    lobe = np.argwhere(body.mask("lung_lower_lobe_right"))
    for z, y, x in lobe[(lobe % 3 == 0).all(axis=1)][::5]:
        labels[z, y, x] = body.ids("lung_upper_lobe_left")[0]
    labels[0, 0, 0] = body.ids("liver")[0]
    repaired = no_dust(replace(body, labels=labels))
    assert _same(repaired.volume, body, "lung_upper_lobe_left", "liver")
    lost = body.mask("lung_lower_lobe_right") & ~repaired.volume.mask("lung_lower_lobe_right")
    assert lost.sum() <= 0.1 * (labels != body.labels).sum()  # some at its border go to the next lobe
    assert len(repaired.changes) == 1
