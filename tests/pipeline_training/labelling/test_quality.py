"""What is wrong with a labelled volume is said, and what is unsound becomes unknown."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline_training.labelling.plausible import PLAUSIBLE_ML, plausible_ml
from pipeline_training.labelling.quality import (
    RIBS,
    Verdict,
    cut_structures,
    judge,
    keep_sound,
    volumes_ml,
)
from pipeline_training.phantom import PhantomParameters, make_phantom
from pipeline_training.volumes import LabelMap


@pytest.fixture(scope="module")
def body() -> LabelMap:
    return make_phantom(PhantomParameters(), 4.0)


@pytest.fixture
def without(body: LabelMap) -> Callable[..., LabelMap]:
    """Returns the body with the named structures looked for and not found."""

    def make(*gone: str) -> LabelMap:
        labels = np.where(body.mask(*gone), 0, body.labels).astype(np.uint8)
        names = {n: name for n, name in body.names.items() if name not in gone}
        return replace(body, labels=labels, names=names)

    return make


def test_sound_body_is_kept_whole(body: LabelMap) -> None:
    quality = judge(body)
    assert (quality.verdict, quality.reasons, dict(quality.dropped)) == (Verdict.KEPT, (), {})
    kept = keep_sound(body, quality)
    assert np.array_equal(kept.labels, body.labels)
    assert kept.vocabulary == body.vocabulary


def test_with_too_few_ribs_no_rib_is_believed(body: LabelMap, without: Callable[..., LabelMap]) -> None:
    quality = judge(without(*RIBS[:9]))
    assert quality.verdict is Verdict.PARTLY
    assert "too few ribs: 15 of 24" in quality.dropped["rib_right_1"]
    kept = keep_sound(without(*RIBS[:9]), quality)
    assert not any(name.startswith("rib_") for name in kept.vocabulary)
    assert not kept.mask(*RIBS).any()
    assert "liver" in kept.vocabulary
    assert "rib_right_1" not in judge(without(*RIBS[:8])).dropped


def test_what_everybody_has_is_never_absent(without: Callable[..., LabelMap]) -> None:
    volume = without("trachea", "gallbladder")
    quality = judge(volume)
    assert "everybody has it" in quality.dropped["trachea"]
    kept = keep_sound(volume, quality)
    assert "trachea" not in kept.vocabulary
    assert "gallbladder" in kept.absent  # it may have been taken out


def test_volume_out_of_range_is_dropped(body: LabelMap) -> None:
    labels = body.labels.copy()
    labels[(body.labels == body.ids("liver")[0])] = 0
    z, y, x = (int(axis.mean()) for axis in np.nonzero(body.mask("liver")))
    labels[z : z + 5, y : y + 5, x : x + 5] = body.ids("liver")[0]
    quality = judge(replace(body, labels=labels))
    assert quality.dropped["liver"] == "volume out of range: 8.0 ml, plausible are 600 to 4000 ml"


def test_structure_cut_by_the_edge_may_be_small(body: LabelMap) -> None:
    level = int(np.nonzero(body.mask("liver"))[0].max()) - 2
    cropped = replace(body, labels=body.labels[level:])
    assert "liver" in cut_structures(cropped)
    assert volumes_ml(cropped)["liver"] < PLAUSIBLE_ML["liver"].low
    assert "liver" not in judge(cropped).dropped


def test_labellers_that_disagree_are_not_believed(body: LabelMap) -> None:
    quality = judge(body, agreement={"liver": 0.41, "aorta": 0.9, "unheard": 0.0})
    assert quality.dropped == {"liver": "the labellers disagree: Dice 0.41, needed is 0.6"}


def test_unsure_structure_is_dropped(body: LabelMap) -> None:
    confidence = np.where(body.mask("aorta"), 0.3, 0.9).astype(np.float32)
    quality = judge(body, confidence=confidence)
    assert quality.dropped == {"aorta": "mean confidence 0.30, needed is 0.5"}


def test_spine_with_many_gaps_is_dropped(without: Callable[..., LabelMap]) -> None:
    two = judge(without("vertebrae_T4", "vertebrae_T7"))
    assert "vertebrae_T8" not in two.dropped
    three = judge(without("vertebrae_T4", "vertebrae_T7", "vertebrae_T9"))
    assert "3 levels" in three.dropped["vertebrae_T8"]


def test_flipped_volume_is_rejected(body: LabelMap) -> None:
    quality = judge(replace(body, labels=body.labels[:, :, ::-1]))
    assert quality.verdict is Verdict.REJECTED
    assert "flipped" in quality.reasons[0]


def test_volume_without_lungs_is_rejected(body: LabelMap) -> None:
    lungless = {n: s for n, s in body.names.items() if not s.startswith("lung_")}
    assert "no lungs were found" in judge(replace(body, names=lungless)).reasons


def test_volume_of_mostly_unsound_structures_is_rejected(body: LabelMap) -> None:
    quality = judge(body, confidence=np.full(body.labels.shape, 0.2, np.float32))
    assert quality.verdict is Verdict.REJECTED
    assert "structures are unsound" in quality.reasons[0]


def test_range_of_a_kind_is_the_first_that_fits() -> None:
    twelfth, fifth = plausible_ml("rib_left_12"), plausible_ml("rib_left_5")
    assert twelfth is not None
    assert fifth is not None
    assert twelfth.low < fifth.low
    assert plausible_ml("brain") is None
