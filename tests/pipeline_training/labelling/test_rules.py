"""Lungs, body and bone by rule, against the truth of the phantom."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.airways import airways
from pipeline_training.labelling.label_case import label_case
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.own_input import AIR_HU
from pipeline_training.labelling.quality import Verdict, judge
from pipeline_training.labelling.rules import RuleLabeller, body, bone, lungs
from pipeline_training.phantom import PhantomParameters, draw_parameters, make_phantom
from pipeline_training.volumes import LUNG_LOBES, LabelMap

SPACING_MM = 4.0
BONES = ("rib_", "vertebrae_", "sternum", "scapula_", "clavicula_", "humerus_")

Mask = npt.NDArray[np.bool_]


@pytest.fixture(scope="module", params=[None, 3], ids=["average", "drawn"])
def phantom(request: pytest.FixtureRequest) -> LabelMap:
    drawn = (
        PhantomParameters()
        if request.param is None
        else draw_parameters(np.random.default_rng(request.param))
    )
    return make_phantom(drawn, SPACING_MM, "body")


@pytest.fixture(scope="module")
def average() -> LabelMap:
    return make_phantom(PhantomParameters(), 4.0, "body")


def ct_of(volume: LabelMap) -> CtVolume:
    assert volume.hu is not None
    return CtVolume(volume.case, volume.hu, volume.spacing_mm)


def dice(found: Mask, truth: Mask) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def lung(volume: LabelMap, side: str) -> Mask:
    return volume.mask(*(lobe for lobe in LUNG_LOBES if lobe.endswith(side)))


def test_lungs_are_found_each_on_its_side_and_without_the_trachea(phantom: LabelMap) -> None:
    right, left = lungs(ct_of(phantom))
    assert dice(right, lung(phantom, "right")) > 0.965
    assert dice(left, lung(phantom, "left")) > 0.965
    assert not ((right | left) & phantom.mask("trachea")).any()
    assert not (right & left).any()


def test_body_is_all_inside_the_skin_and_bone_is_the_skeleton(phantom: LabelMap) -> None:
    assert dice(body(ct_of(phantom)), phantom.labels > 0) > 0.999
    bones = [name for name in phantom.names.values() if name.startswith(BONES)]
    assert dice(bone(ct_of(phantom)), phantom.mask(*bones)) > 0.92


def test_table_that_the_body_lies_on_is_not_the_body(average: LabelMap) -> None:
    hu, back = ct_of(average).hu.copy(), int(np.nonzero(average.labels)[1].max())
    hu[:, back - 1 : back + 1] = np.maximum(hu[:, back - 1 : back + 1], 200)
    found = body(CtVolume("table", hu, 4.0))
    assert not found[:, back, :10].any()
    assert not found[:, back, -10:].any()
    assert dice(found, average.labels > 0) > 0.99


def test_larger_lung_may_be_the_left_one(average: LabelMap) -> None:
    mirrored = CtVolume("mirrored", np.ascontiguousarray(ct_of(average).hu[:, :, ::-1]), 4.0)
    right, left = lungs(mirrored)
    assert dice(right, lung(average, "left")[:, :, ::-1]) > 0.95
    assert dice(left, lung(average, "right")[:, :, ::-1]) > 0.95


def test_lungs_that_touch_before_the_heart_are_parted(average: LabelMap) -> None:
    hu, right, left = ct_of(average).hu.copy(), lung(average, "right"), lung(average, "left")
    level = int(np.argwhere(right)[:, 0].mean())
    row = int(max(np.nonzero(right[level])[0].min(), np.nonzero(left[level])[0].min())) + 1
    columns = slice(
        int(np.nonzero(right[level, row])[0].max()), int(np.nonzero(left[level, row])[0].min()) + 1
    )
    hu[level, row, columns] = -850
    parted = lungs(CtVolume("touching", hu, 4.0))
    assert dice(parted[0], right) > 0.95
    assert dice(parted[1], left) > 0.95


def test_body_without_air_has_no_lungs(average: LabelMap) -> None:
    hu = ct_of(average).hu.copy()
    hu[(hu < AIR_HU) & (average.labels > 0)] = 40
    with pytest.raises(LabellerError, match="no lungs: less than 400 ml"):
        lungs(CtVolume("drowned", hu, 4.0))


def test_one_lung_cannot_be_parted_and_the_body_is_told_alone(average: LabelMap) -> None:
    hu = ct_of(average).hu.copy()
    hu[lung(average, "left")] = 40
    with pytest.raises(LabellerError, match="cannot be parted"):
        lungs(CtVolume("one", hu, 4.0))
    vote = RuleLabeller().label(CtVolume("one", hu, 4.0))
    assert vote.vocabulary == {"body"}
    assert dice(vote.mask("body"), average.labels > 0) > 0.99


def test_nothing_is_no_body() -> None:
    with pytest.raises(LabellerError, match="no body"):
        RuleLabeller().label(CtVolume("empty", np.full((20, 20, 20), -1000, np.int16), 4.0))


def test_airways_are_the_trachea_and_end_before_the_lungs(average: LabelMap) -> None:
    hu = ct_of(average).hu
    inside = (hu < AIR_HU) & (average.labels > 0)
    low, high = (edge for edge in (np.argwhere(inside).min(axis=0), np.argwhere(inside).max(axis=0) + 1))
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    found = airways(hu[box], inside[box], 4.0)
    trachea = (average.mask("trachea") & inside)[box]
    assert (found & trachea).sum() > 0.9 * trachea.sum()
    assert (found & lung(average, "left")[box]).sum() < 0.02 * lung(average, "left").sum()


def test_rules_alone_make_a_case_that_is_kept(average: LabelMap) -> None:
    labelled = label_case(ct_of(average), [RuleLabeller()])
    assert labelled.quality.verdict is Verdict.KEPT
    assert set(labelled.volume.names.values()) == {"lung_right", "lung_left", "body"}
    assert dice(labelled.volume.mask("lung_left"), lung(average, "left")) > 0.95


@dataclass(frozen=True)
class Told:
    """A labeller that was told the answer."""

    volume: LabelMap
    name: str = "told"

    @property
    def vocabulary(self) -> frozenset[str]:
        return self.volume.vocabulary | set(self.volume.names.values())

    def label(self, volume: CtVolume) -> LabelVote:
        return LabelVote(self.name, self.volume.labels, self.volume.names, self.vocabulary)


def test_rules_beside_a_labeller_of_parts_leave_the_parts(average: LabelMap) -> None:
    labelled = label_case(ct_of(average), [Told(average), RuleLabeller()])
    for name in (
        "lung_upper_lobe_left",
        "lung_lower_lobe_right",
        "heart_ventricle_left",
        "aorta",
        "rib_left_5",
    ):
        assert dice(labelled.volume.mask(name), average.mask(name)) > 0.95, name
    assert labelled.quality.verdict is Verdict.KEPT
    assert "lung_left" not in labelled.volume.vocabulary


def test_lung_full_of_fluid_is_not_taken_from_the_labeller_that_sees_it(average: LabelMap) -> None:
    hu, lobe = ct_of(average).hu.copy(), average.mask("lung_lower_lobe_right")
    hu[lobe] = 20
    labelled = label_case(CtVolume("fluid", hu, 4.0), [Told(average), RuleLabeller()])
    assert dice(labelled.volume.mask("lung_lower_lobe_right"), lobe) > 0.95


def test_rib_that_lies_in_the_lung_is_no_rib(average: LabelMap) -> None:
    labels = average.labels.copy()
    number = next(n for n, name in average.names.items() if name == "rib_left_6")
    labels[labels == number] = 0
    level, row, column = (int(each) for each in np.argwhere(lung(average, "left")).mean(axis=0))
    labels[level - 1 : level + 2, row - 8 : row + 8, column - 2 : column + 2] = number
    quality = judge(replace(average, labels=labels), skeleton=bone(ct_of(average)))
    assert list(quality.dropped) == ["rib_left_6"]
    assert "0% of it is as dense as bone" in quality.dropped["rib_left_6"]


def test_bone_that_is_no_bone_is_dropped_from_a_case(average: LabelMap) -> None:
    hu = ct_of(average).hu.copy()
    hu[average.mask("sternum")] = 40
    labelled = label_case(CtVolume("soft", hu, 4.0), [Told(average)])
    assert list(labelled.quality.dropped) == ["sternum"]
