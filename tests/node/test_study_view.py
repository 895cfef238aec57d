"""What a page tells of a job: what happened in its order, what destinations said, what was measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from node.errors import NotThereError, StorageError
from node.job_store import JobStore
from node.jobs import DeliveryState, Identifiers
from node.proofs import ProofKind, Said, asked_of
from node.states import Event
from node.study_reading import Reading, reading_of
from node.study_view import job_view
from node.timeline import SAID, WORDS, Moment, timeline
from tests.node.proving import BACKOFF, Bench, at
from tests.node.worked_study import JOB, WorkedStudy
from tests.node.written_profiles import SOURCES, understood

# ---- what the database knows


def test_timeline_tells_of_job_and_proofs_by_time(bench: Bench) -> None:
    destination = at(1, commitment=False, query=True)
    bench.send(destination)
    first, second = [delivery.id for delivery in bench.store.deliveries()]
    bench.clock.advance(60)
    bench.store.found([first], asked_of(destination), bench.store.newest_proof())
    bench.store.not_found([second], "lost", BACKOFF, bench.store.newest_proof())
    bench.clock.advance(60)
    bench.store.resend(1, "", ["pacs"])
    view = job_view(bench.store, 1)

    assert [(moment.what, moment.detail) for moment in view.timeline] == [
        ("received", "from M"),
        ("queued", ""),
        ("a worker began", ""),
        ("results stored", ""),
        ("delivery began", ""),
        ("SEG stored at pacs", "0x0000"),
        ("SEG stored at pacs", "0x0000"),
        ("SEG found at pacs", ""),
        ("SEG not found at pacs", "lost"),
        ("a person had results sent again", ""),
    ]
    assert [moment.at for moment in view.timeline] == sorted(moment.at for moment in view.timeline)


def test_timeline_tells_how_often_a_delivery_failed_and_of_the_last_try(bench: Bench) -> None:
    bench.send(at(1, commitment=False))
    store, clock = bench.store, bench.clock
    store.resend(1, "", ["pacs"])
    first, second = [delivery.id for delivery in store.deliveries()]
    for reason in ("no answer", "no connection"):
        clock.advance(60)
        again = store.moment(30)
        store.delivery_failed(first, reason, again)
    *_, told = job_view(store, 1).timeline
    assert told == Moment(
        clock(), "2 tries to deliver SEG to pacs failed", f"no connection; due again at {again:%H:%M:%S}"
    )

    for _ in range(2):
        store.delivery_failed(second, "no connection", again)
    *_, both = job_view(store, 1).timeline
    assert both.what == "2 tries to deliver 2 results to pacs failed"

    store.hurry("pacs", [first, second])
    assert job_view(store, 1).timeline[-1].detail == "no connection; tried again from then on"
    store.delivery_failed(second, "0x0110", None, 0x0110)
    store.delivered(first, 0x0000)
    told_last = [(moment.what, moment.detail) for moment in job_view(store, 1).timeline[-2:]]
    assert sorted(told_last) == [
        ("3 tries to deliver SEG to pacs failed", "0x0110; parked"),
        ("SEG stored at pacs", "0x0000; failed tries before: 2"),
    ]


def test_timeline_leaves_out_what_was_said_of_results_that_came_while_it_was_read(bench: Bench) -> None:
    bench.send(at(1))
    store = bench.store
    job, [first, _] = store.job(1), store.deliveries(1)
    assert job is not None

    told = timeline(job, [], [first], store.proofs(1))
    assert [moment.what for moment in told] == ["received", "SEG stored at pacs"]


def test_view_has_results_identifiers_and_what_was_said_since_the_last_sending(bench: Bench) -> None:
    destination = at(1, commitment=False, query=True)
    bench.send(destination)
    first, _ = [delivery.id for delivery in bench.store.deliveries()]
    bench.store.found([first], asked_of(destination), bench.store.newest_proof())
    view = job_view(bench.store, 1)

    assert view.job == bench.store.job(1)
    assert view.identifiers == Identifiers()
    assert list(view.results) == bench.store.results(1)
    done, sent = view.deliveries
    assert (done.delivery.state, sent.delivery.state) == (DeliveryState.DELIVERED, DeliveryState.SENT)
    assert done.said.stored is not None
    assert done.said.found is not None
    assert (sent.said.found, sent.said.committed) == (None, None)

    bench.store.resend(1, "", ["pacs"])
    waits, _ = job_view(bench.store, 1).deliveries
    assert waits.said == Said(None, None, None)
    bench.resend(destination)
    again, _ = job_view(bench.store, 1).deliveries
    assert again.said.stored is not None
    assert again.said.found is None


def test_job_that_never_was_is_not_there(store: JobStore) -> None:
    with pytest.raises(NotThereError, match="there is no job 7"):
        job_view(store, 7)


def test_every_event_and_answer_has_words() -> None:
    assert set(WORDS) == set(Event)
    assert set(SAID) == {(kind, holds) for kind in ProofKind for holds in (True, False)}


# ---- what was measured


@pytest.fixture
def received(tmp_path: Path, make_dx: Callable[..., Dataset]) -> Callable[..., WorkedStudy]:
    return lambda source="aligned": WorkedStudy(tmp_path, make_dx(**SOURCES[source]))


def reading(study: WorkedStudy) -> Reading:
    return reading_of(study.store, study.spool, JOB)


@pytest.mark.parametrize("source", ["aligned", "no spacing"])
def test_reading_is_what_was_measured(received: Callable[..., WorkedStudy], source: str) -> None:
    study = received(source)
    _, understanding = understood(study.image)
    measured = understanding.measurements
    study.work({"weasis": ("pacs",)}, structures=("heart",), presentation_state=False)
    found = reading(study)

    assert found.missing == ""
    assert {each.name: each.text for each in found.measurements} == {m.name: m.text for m in measured}
    assert {each.name: each.text for each in found.measurements.findings} == {
        each.name: each.text for each in measured.findings
    }
    remarks = {each.name: each.remarks for each in measured.computed}
    assert {each.name: each.remarks for each in found.measurements.computed} == remarks
    assert ("measured at the detector" in str(remarks)) == (source == "aligned")
    assert len(found.measurements.not_computed) == len(measured.not_computed) > 0
    assert found.notes == understanding.source.radiograph.notes


def test_report_that_says_most_is_read(received: Callable[..., WorkedStudy]) -> None:
    study = received()
    study.work({"minimal": ("a",)}, measurements=("heart width",))
    assert [each.name for each in reading(study).measurements] == ["heart width"]
    study.work_again({"minimal": ("b",)})

    assert len(reading(study).measurements.results) > 10


def test_results_without_a_report_say_whose_profile_makes_none(received: Callable[..., WorkedStudy]) -> None:
    study = received()
    study.work({"minimal": ("a", "b")}, report="none")

    missing = "no measurements: the profiles of a and b make no report"
    assert reading(study) == Reading(missing=missing, version=reading(study).version)
    assert reading(study).measurements.results == ()


def test_report_that_was_changed_is_not_read(received: Callable[..., WorkedStudy]) -> None:
    study = received()
    study.work({"minimal": ("pacs",)})
    assert reading(study).measurements.computed
    path = study.spool.path(study.result("SR").path)
    path.write_bytes(path.read_bytes().replace(b"heart width", b"heart weigh"))

    with pytest.raises(StorageError, match="the file of the SR was changed"):
        reading(study)


def test_job_without_results_has_a_view_and_no_reading(received: Callable[..., WorkedStudy]) -> None:
    study: Any = received()

    assert job_view(study.store, JOB).identifiers.patient_id == "SYNTHETIC-1"
    with pytest.raises(NotThereError, match="there are no results of job 1: it is queued"):
        reading(study)
