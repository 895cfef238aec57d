"""Present, absent, unknown: what of our structures a labelling tells."""

from collections.abc import Iterable

import numpy as np
import pytest

from ai.labels import LABELS
from pipeline_training.completeness import VERTEBRAE, absent_structures, complete, sources
from pipeline_training.derive import derive
from pipeline_training.volumes import LUNG_LOBES, LabelMap

CHAMBERS = ("heart_atrium_left", "heart_atrium_right", "heart_ventricle_left", "heart_ventricle_right")


def labelled(found: Iterable[str], looked_for: Iterable[str] = (), spacing_mm: float = 6.0) -> LabelMap:
    """Return a volume of 40 slices; what is found fills one slice each, from the middle downwards."""
    labels = np.zeros((40, 2, 2), np.uint8)
    names = dict(enumerate(found, start=1))
    for number in names:
        labels[20 - number] = number
    return LabelMap("x", labels, names, None, spacing_mm, vocabulary=frozenset(looked_for))


def test_every_label_but_regions_is_made_of_labels() -> None:
    regions = {label.name for label in LABELS if not sources(label.name).made_of}
    assert regions == {label.name for label in LABELS if "diaphragm" in label.name or "mediast" in label.name}


def test_what_was_looked_for_in_vain_is_absent_and_what_was_not_is_unknown() -> None:
    absent = absent_structures(labelled(LUNG_LOBES, {"breast_left", "breast_right", "rib_left_12"}))
    assert absent == {"breast", "breast left", "breast right", "posterior 12th rib left"}


def test_name_without_voxels_is_not_found() -> None:
    volume = labelled(["liver"])
    without = LabelMap("x", np.zeros_like(volume.labels), volume.names, None, 6.0)
    assert "liver" in absent_structures(without)


@pytest.mark.parametrize(
    ("found", "looked_for", "name", "known"),
    [
        (["clavicula_left"], [], "clavicles", False),
        (["clavicula_left"], ["clavicula_right"], "clavicles", True),
        (["rib_left_5"], [], "posterior 5th rib", False),
        (["rib_left_5"], [], "posterior 5th rib left", True),
        (CHAMBERS, [], "heart", False),
        (CHAMBERS, ["heart_myocardium"], "heart", True),
        (["heart"], [], "heart", True),
        (LUNG_LOBES[:3], [], "right lung", True),
        (LUNG_LOBES[:3], [], "lung", False),
        (LUNG_LOBES[:2], [], "right lung", False),
        (["lung_right", *LUNG_LOBES[3:]], [], "lung", True),
        (LUNG_LOBES, ["clavicula_left"], "left mid zone lung", True),
        (LUNG_LOBES, ["clavicula_left"], "mid zone lung", False),
        ([*LUNG_LOBES, "heart"], ["liver"], "right hemidiaphragm", True),
        (LUNG_LOBES, ["liver"], "right hemidiaphragm", False),
        ([*LUNG_LOBES, "heart"], [], "lower mediastinum", False),
        (["breast"], [], "breast left", True),
    ],
)
def test_structure_is_known_if_all_that_tells_of_it_was_looked_for(
    found: list[str], looked_for: list[str], name: str, known: bool
) -> None:
    assert complete(name, labelled(found, looked_for)) == known


def test_spine_needs_the_vertebrae_that_can_be_in_the_volume() -> None:
    thoracic = VERTEBRAE[7:19]
    reaching_out = labelled(thoracic, spacing_mm=1.5)  # 28.5 mm above T1, 12 mm below T12
    assert complete("spine", reaching_out)
    going_on = labelled(thoracic, spacing_mm=6.0)
    assert not complete("spine", going_on)
    assert complete("thoracic spine", going_on)
    assert complete("spine", labelled(thoracic, ["vertebrae_C7", "vertebrae_L1"], spacing_mm=6.0))


def test_gap_in_the_spine_makes_it_unknown() -> None:
    assert not complete("thoracic spine", labelled([*VERTEBRAE[7:10], *VERTEBRAE[11:19]], spacing_mm=1.5))


def test_half_a_pair_leaves_the_pair_unknown(phantom: LabelMap) -> None:
    names = {i: name for i, name in phantom.names.items() if name not in {"clavicula_left", "rib_right_3"}}
    anatomy = derive(LabelMap("x", phantom.labels, names, None, 6.0), np.random.default_rng(0))
    known = set(anatomy.known())
    assert {"clavicle right", "posterior 3rd rib left", "right mid zone lung"} <= known
    assert not {"clavicles", "posterior 3rd rib", "mid zone lung"} & (known | anatomy.absent)
