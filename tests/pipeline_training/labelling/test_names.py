"""Foreign class names become ours, or are told."""

import pytest

from pipeline_training.labelling.names import translate


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("lung_upper_lobe_left", "lung_upper_lobe_left"),
        ("Rib_Left_3", "rib_left_3"),
        ("left_mammary_gland", "breast_left"),
        ("OAR_Glnd_Thyroid", "thyroid_gland"),
    ],
)
def test_known_class_is_found(theirs: str, ours: str) -> None:
    assert translate({7: theirs}).names == {7: ours}


@pytest.mark.parametrize("theirs", ["spinal_canal", "bones", "thoracic_cavity", "scalp", "heart tumour"])
def test_class_that_only_resembles_one_of_ours_is_told_and_not_used(theirs: str) -> None:
    translation = translate({1: theirs, 2: "heart"})
    assert translation.names == {2: "heart"}
    assert translation.unknown == (theirs,)
    assert translation.vocabulary == {"heart"}


def test_background_is_neither_known_nor_unknown() -> None:
    translation = translate({0: "heart", 3: "Background", 4: "ignore"})
    assert (translation.names, translation.unknown) == ({}, ())
