"""What a worker makes of a job: one understanding, several forms; a later model supersedes an earlier one."""

import re
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.segmenter import Segmenter
from ai.uncertainty import Trust
from node.errors import (
    IgnoredImageError,
    LeaseLostError,
    ResultError,
    StorageError,
    TransitionError,
    UnmatchedImageError,
)
from node.identities import JobSearch
from node.jobs import Identifiers, Priority
from node.options import OutputOptions
from node.rule_facts import Titles
from node.rules import Decision, Fate
from node.states import State
from node.work import Model, Work
from tests.node.worked_image import (
    PLAIN,
    SHIMMED,
    AddressedObject,
    MakeDx,
    Node,
    Versioned,
    always,
)


@pytest.fixture
def node(tmp_path: Path, make_dx: MakeDx) -> Node:
    return Node(tmp_path, make_dx())


def _superseded(made: list[AddressedObject], kind: str = "SR") -> list[list[str]]:
    found = []
    for each in made:
        if each.result.kind == kind:
            studies = each.result.dataset.get("PredecessorDocumentsSequence") or []
            series = [series for study in studies for series in study.ReferencedSeriesSequence]
            found.append(
                [sop.ReferencedSOPInstanceUID for one in series for sop in one.ReferencedSOPSequence]
            )
    return found


def _uids(made: list[AddressedObject], kind: str) -> list[str]:
    return [str(each.result.dataset.SOPInstanceUID) for each in made if each.result.kind == kind]


def test_an_image_is_segmented_once_and_written_in_each_form(node: Node) -> None:
    segmenter = Versioned("1")
    made = node.run(segmenter, {PLAIN: ("a", "b"), SHIMMED: ("c",)})
    assert segmenter.asked == 1
    assert [(each.result.kind, each.destinations) for each in made] == [
        ("SEG", ("a", "b")),
        ("SR", ("a", "b")),
        ("SEG", ("c",)),
        ("SR", ("c",)),
    ]
    assert len(set(_uids(made, "SEG") + _uids(made, "SR"))) == 4
    sent = {(d.destination, d.result.sop_instance_uid) for d in node.store.deliveries()}
    assert sent == {(name, str(e.result.dataset.SOPInstanceUID)) for e in made for name in e.destinations}


def test_a_first_report_supersedes_nothing_and_a_new_models_report_the_one_before(node: Node) -> None:
    first = node.run(Versioned("1"), {PLAIN: ("a",)})
    node.again()
    second = node.run(Versioned("2"), {PLAIN: ("a",)})
    node.again()
    third = node.run(Versioned("3"), {PLAIN: ("a",)})
    assert _superseded(first) == [[]]
    assert _superseded(second) == [_uids(first, "SR")]
    assert _superseded(third) == [_uids(second, "SR")]
    series = {e.result.dataset.SeriesInstanceUID for made in (first, second, third) for e in made}
    assert len(series) == 6


def test_the_same_model_again_makes_the_same_results_and_nothing_is_sent(node: Node) -> None:
    node.run(Versioned("1"), {PLAIN: ("a",)})
    node.again()
    newer = node.run(Versioned("2"), {PLAIN: ("a",)})
    before = len(node.store.deliveries())
    node.again()
    repeated = node.run(Versioned("2"), {PLAIN: ("a",)})
    assert [_bytes(each) for each in repeated] == [_bytes(each) for each in newer]
    assert len(node.store.deliveries()) == before
    assert node.store.jobs()[0].state is State.DONE


def test_going_back_to_an_earlier_model_supersedes_the_later_ones_report(node: Node) -> None:
    first = node.run(Versioned("1"), {PLAIN: ("a",)})
    node.again()
    second = node.run(Versioned("2"), {PLAIN: ("a",)})
    for _ in range(2):  # and the same again is the same again
        node.again()
        back = node.run(Versioned("1"), {PLAIN: ("a",)})
        assert _superseded(back) == [_uids(second, "SR")]
        assert _uids(back, "SR") != _uids(first, "SR")
        assert _uids(back, "SEG") == _uids(first, "SEG")
    assert [d.result.kind for d in node.store.deliveries()] == ["SEG", "SR", "SEG", "SR", "SR"]


MOMENTS = (
    "ContentDate",
    "ContentTime",
    "SeriesDate",
    "SeriesTime",
    "InstanceCreationDate",
    "InstanceCreationTime",
)


def _bytes(made: AddressedObject) -> bytes:
    """Return a result as a file, without the moments at which it was made."""
    content = BytesIO()
    made.result.dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    dataset, again = dcmread(content), BytesIO()
    for keyword in MOMENTS:
        setattr(dataset, keyword, "")
    dataset.save_as(again, enforce_file_format=True)
    return again.getvalue()


def test_each_destination_is_told_of_the_report_that_it_has(node: Node) -> None:
    first = node.run(Versioned("1"), {PLAIN: ("a",), SHIMMED: ("b",)})
    node.again()
    second = node.run(Versioned("2"), {PLAIN: ("a",), SHIMMED: ("b",)})
    assert _superseded(second) == [[uid] for uid in _uids(first, "SR")]


def test_a_report_names_only_what_its_own_destination_has_had(node: Node) -> None:
    first = node.run(Versioned("1"), {PLAIN: ("a",), SHIMMED: ("b",)})
    of_a, of_b = (str(e.result.dataset.SOPInstanceUID) for e in first if e.result.kind == "SR")
    node.again()
    third = OutputOptions(report="comprehensive")
    second = node.run(Versioned("1"), {third: ("a", "b")})
    told = {e.destinations: _superseded([e]) for e in second if e.result.kind == "SR"}
    assert told == {("a",): [[of_a]], ("b",): [[of_b]]}


def test_a_destination_whose_profile_stays_is_sent_nothing_when_another_joins_it(node: Node) -> None:
    node.run(Versioned("1"), {PLAIN: ("a",), SHIMMED: ("b",)})
    sent = {d.id for d in node.store.deliveries() if d.destination == "b"}
    node.again()
    node.run(Versioned("1"), {SHIMMED: ("a", "b")})
    assert {d.id for d in node.store.deliveries() if d.destination == "b"} == sent


def test_one_profile_without_results_costs_the_others_nothing_and_is_told(node: Node) -> None:
    nothing = OutputOptions(structures=("liver",), report="none")
    made = node.run(Versioned("1"), {nothing: ("empty",), PLAIN: ("a",)})
    assert {name for each in made for name in each.destinations} == {"a"}
    job = node.store.jobs()[0]
    assert (job.state, job.reason) == (
        State.DONE,
        "nothing for empty: nothing that its profile asks for was found",
    )


class Doubting(Versioned):
    """The stand-in, sure of nothing that it finds."""

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        found = super().segment(radiographs)
        return [replace(each, trust=dict.fromkeys(each.masks, Trust(0.1, 0.9))) for each in found]


def test_an_image_of_which_nothing_could_be_measured_is_told(node: Node) -> None:
    assert node.run(Doubting("1"), {PLAIN: ("a",)}), "masks and report are sent all the same"
    job = node.store.jobs()[0]
    assert job.state is State.DONE
    assert re.fullmatch(
        "nothing was measured: cardiothoracic ratio: .* cannot be told with certainty: .*", job.reason
    )


def test_a_result_that_does_not_conform_costs_only_its_own_destinations(node: Node) -> None:
    broken = OutputOptions(uid_root="no.uid")
    made = node.run(Versioned("1"), {broken: ("b",), PLAIN: ("a",)})
    assert {name for each in made for name in each.destinations} == {"a"}
    reason = node.store.jobs()[0].reason
    assert reason.startswith(
        "nothing for b: the SEG does not conform: GEN-UID SOPInstanceUID is no valid UID"
    )
    node.again()
    with pytest.raises(ResultError, match="GEN-UID"):
        node.run(Versioned("1"), {broken: ("b",)})


def test_an_earlier_report_whose_file_is_gone_is_not_named_and_stops_nothing(node: Node) -> None:
    node.run(Versioned("1"), {PLAIN: ("a",)})
    for result in node.store.results(node.store.jobs()[0].id):
        node.spool.path(result.path).unlink()
    node.again()
    assert _superseded(node.run(Versioned("2"), {PLAIN: ("a",)})) == [[]]


def test_a_new_destination_gets_what_it_does_not_have_and_the_others_nothing_again(node: Node) -> None:
    node.run(Versioned("1"), {PLAIN: ("a",)})
    node.again()
    node.run(Versioned("1"), {PLAIN: ("a", "b")})
    sent = [(d.destination, d.result.kind) for d in node.store.deliveries()]
    assert sorted(sent) == [("a", "SEG"), ("a", "SR"), ("b", "SEG"), ("b", "SR")]


def test_only_a_job_that_is_done_is_run_once_more(node: Node) -> None:
    with pytest.raises(TransitionError, match="is queued; only one with results"):
        node.again()
    with pytest.raises(TransitionError, match="there is no job 99"):
        node.store.rerun(99)


def test_image_that_alone_cannot_be_read_is_to_blame_and_the_data_folder_where_it_is_away(node: Node) -> None:
    job = node.store.claim("worker", 60)
    assert job is not None
    path = node.spool.path(job.path)
    path.unlink()
    path.mkdir()
    work = Work({"": Model(Versioned("1"))}, always({PLAIN: ()}), node.store, node.spool)

    with pytest.raises(IsADirectoryError):
        work(job, node.keep)
    node.spool.expect("another")
    with pytest.raises(StorageError, match="the data folder is away"):
        work(job, node.keep)


def test_rules_decide_by_the_image_and_both_titles_and_are_remembered(node: Node) -> None:
    heard: list[tuple[str, Titles]] = []

    def decide(header: Dataset, titles: Titles) -> Decision:
        heard.append((str(header.BodyPartExamined), titles))
        return Decision(outputs={PLAIN: ("a",)}, rules=("r1", "r2"), priority=Priority.URGENT)

    node.run(Versioned("1"), decide)

    job = node.store.jobs()[0]
    assert heard == [("CHEST", Titles("TEST", "NODE"))]
    assert (job.rule, job.priority, job.called_ae_title) == ("r1, r2", Priority.URGENT, "NODE")
    assert node.store.find(JobSearch(patient_id="SYNTHETIC-1", accession_number="A1")) == [job]
    assert node.store.find(JobSearch(patient_id="SYNTHETIC-1", accession_number="A2")) == []


@pytest.mark.parametrize(
    ("fate", "error"), [(Fate.IGNORED, IgnoredImageError), (Fate.UNMATCHED, UnmatchedImageError)]
)
def test_an_image_that_rules_put_aside_is_not_segmented(
    node: Node, fate: Fate, error: type[Exception]
) -> None:
    segmenter = Versioned("1")

    with pytest.raises(error, match="the reason"):
        node.run(segmenter, lambda _header, _titles: Decision(fate, rules=("r",), reason="the reason"))

    assert segmenter.asked == 0
    assert node.store.jobs()[0].rule == "r"


def test_a_rule_chooses_the_model(node: Node) -> None:
    usual, other = Versioned("1"), Versioned("2")
    outputs = {PLAIN: ("a",)}
    chooses = Decision(outputs=outputs, model="other.zip")

    node.run(usual, lambda _header, _titles: chooses, {"other.zip": other})
    assert (usual.asked, other.asked) == (0, 1)
    node.again()
    with pytest.raises(
        UnmatchedImageError, match=r"the model bundle other.zip is loaded when the node starts"
    ):
        node.run(usual, lambda _header, _titles: chooses)


def test_only_the_measurements_that_are_asked_for_are_reported(node: Node) -> None:
    (made,) = [
        each
        for each in node.run(Versioned("1"), {OutputOptions(measurements=("heart width",)): ("a",)})
        if each.result.kind == "SR"
    ]
    text = str(made.result.dataset)

    assert "heart width" in text
    assert "cardiothoracic ratio" not in text
    assert "right lung area" not in text


def test_what_a_worker_reads_of_another_s_job_is_not_written_down(node: Node) -> None:
    job = node.store.claim("worker", 60)
    assert job is not None

    with pytest.raises(LeaseLostError):
        node.store.note_read(replace(job, lease_owner="other"), Identifiers("P"), ("r",))
    assert node.store.jobs()[0].rule == ""


class Urged(Versioned):
    """The stand-in, which notes how urgent those are who ask."""

    def __init__(self) -> None:
        super().__init__("1")
        self.urgencies: list[int] = []

    def urged(self, urgency: int) -> Segmenter:
        self.urgencies.append(urgency)
        return self


def test_the_network_is_told_how_urgent_an_image_is(node: Node) -> None:
    def urgent(_header: Dataset, _titles: Titles) -> Decision:
        return Decision(outputs={PLAIN: ("a",)}, priority=Priority.URGENT)

    def low(_header: Dataset, _titles: Titles) -> Decision:
        return Decision(outputs={PLAIN: ("a",)}, priority=Priority.LOW)

    segmenter = Urged()
    for decide in (always({PLAIN: ("a",)}), urgent, low):
        node.run(segmenter, decide)
        node.again()
    assert segmenter.urgencies == [Priority.ROUTINE, Priority.URGENT, Priority.ROUTINE]


def test_a_job_that_killed_its_worker_keeps_the_priority_that_it_was_given(node: Node) -> None:
    """Neither the queue nor the network lets it go first."""

    def urgent(_header: Dataset, _titles: Titles) -> Decision:
        return Decision(outputs={PLAIN: ("a",)}, priority=Priority.URGENT)

    segmenter = Urged()
    job = node.store.claim("worker", 60)
    assert job is not None
    Work({"": Model(segmenter)}, urgent, node.store, node.spool)(replace(job, attempts=2), node.keep)

    assert node.store.jobs()[0].priority is Priority.ROUTINE
    assert segmenter.urgencies == [Priority.ROUTINE]
