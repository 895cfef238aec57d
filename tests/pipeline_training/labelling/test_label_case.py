"""Votes become a case on disk, its report last, and a second run finds it done."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.consensus import agree
from pipeline_training.labelling.label_case import is_done, label_case, write_labelled
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.quality import Verdict
from pipeline_training.phantom import PhantomParameters, make_phantom
from pipeline_training.volumes import LabelMap


@pytest.fixture(scope="module")
def body() -> LabelMap:
    return make_phantom(PhantomParameters(), 4.0, "body")


@pytest.fixture
def ct(body: LabelMap) -> CtVolume:
    assert body.hu is not None
    return CtVolume("body", body.hu, body.spacing_mm, "patient 7")


@dataclass(frozen=True)
class Told:
    """A labeller that was told the answer."""

    volume: LabelMap
    name: str = "told"
    vocabulary: frozenset[str] = frozenset()

    def label(self, volume: CtVolume) -> LabelVote:
        if not self.vocabulary:
            raise LabellerError("weights are missing")
        return LabelVote(self.name, self.volume.labels, self.volume.names, self.vocabulary)


def told(volume: LabelMap, name: str = "told") -> Told:
    return Told(volume, name, volume.vocabulary | set(volume.names.values()))


def _vote(labels: npt.NDArray[np.uint8], vocabulary: str, trust: float) -> LabelVote:
    names = {n: name for n, name in enumerate(("a", "b"), start=1) if name in vocabulary}
    return LabelVote("x", labels, names, frozenset(vocabulary), np.full(labels.shape, trust, np.float32))


def test_sound_case_is_written_with_its_vocabulary(body: LabelMap, ct: CtVolume, tmp_path: Path) -> None:
    labelled = label_case(ct, [told(body)])
    assert labelled.quality.verdict is Verdict.KEPT
    assert labelled.volume.patient == "patient 7"
    write_labelled(tmp_path / "body", labelled)
    assert is_done(tmp_path / "body")
    made = {path.name for path in (tmp_path / "body").iterdir()}
    assert made == {"labels.nii.gz", "labels.json", "ct.nii.gz", "confidence.nii.gz", "report.json"}
    report = json.loads((tmp_path / "body" / "report.json").read_text())
    assert report["verdict"] == "kept"
    assert report["present"] == sorted(labelled.volume.names.values())
    assert json.loads((tmp_path / "body" / "labels.json").read_text())["patient"] == "patient 7"


def test_rejected_case_leaves_only_its_report(body: LabelMap, ct: CtVolume, tmp_path: Path) -> None:
    flipped = replace(body, labels=np.ascontiguousarray(body.labels[::-1]))
    write_labelled(tmp_path / "body", label_case(ct, [told(flipped)]))
    assert {path.name for path in (tmp_path / "body").iterdir()} == {"report.json"}
    report = json.loads((tmp_path / "body" / "report.json").read_text())
    assert report["verdict"] == "rejected"
    assert report["reasons"]


def test_labeller_that_cannot_answer_is_told_and_left_out(body: LabelMap, ct: CtVolume) -> None:
    labelled = label_case(ct, [Told(body, "broken"), told(body)])
    assert labelled.failures == ("broken: weights are missing",)
    assert list(labelled.labellers) == ["told"]
    with pytest.raises(LabellerError, match="no labeller could answer: broken"):
        label_case(ct, [Told(body, "broken")])


def test_two_that_disagree_on_a_structure_lose_it(body: LabelMap, ct: CtVolume) -> None:
    other = replace(body, labels=np.where(body.mask("liver"), 0, body.labels).astype(np.uint8),
                    names={n: s for n, s in body.names.items() if s != "liver"},
                    vocabulary=body.vocabulary | {"liver"})  # fmt: skip
    labelled = label_case(ct, [told(body), told(other, "other")])
    assert "labellers disagree" in labelled.quality.dropped["liver"]
    assert "liver" not in labelled.volume.vocabulary
    assert labelled.agreement["aorta"] == 1.0


def test_one_who_does_not_know_a_structure_says_nothing_against_it() -> None:
    labels = np.ones((1, 1, 1), np.uint8)
    consensus = agree([_vote(labels, "a", 0.8), _vote(labels * 0, "b", 1.0)])
    assert consensus.names == {1: "a"}
    assert consensus.confidence[0, 0, 0] == pytest.approx(0.8)
    assert consensus.agreement == {}
    assert consensus.vocabulary == {"a", "b"}


def test_surer_one_is_heard_with_less_trust() -> None:
    labels = np.ones((1, 1, 1), np.uint8)
    consensus = agree([_vote(labels, "ab", 0.6), _vote(labels * 2, "ab", 0.9)])
    assert consensus.names == {2: "b"}
    assert consensus.confidence[0, 0, 0] == pytest.approx(0.45)
    assert consensus.agreement == {"a": 0.0, "b": 0.0}


def test_votes_of_two_shapes_are_refused() -> None:
    with pytest.raises(LabellerError, match="one shape"):
        agree([_vote(np.ones((1, 1, 1), np.uint8), "a", 1), _vote(np.ones((1, 1, 2), np.uint8), "a", 1)])
    with pytest.raises(LabellerError, match="one shape"):
        agree([])
