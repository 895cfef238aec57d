"""Jobs are taken in once, worked on by one at a time, and end with their results or with a reason."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from node.database import engine_for
from node.errors import LeaseLostError
from node.job_store import MAX_ADDS, JobStore
from node.jobs import AddressedResult, Admission, DeliveryState, Job, StoredResult
from node.states import State

RESULT = StoredResult("SEG", "1.2.840.10008.5.1.4.1.1.66.4", "2.25.502", "results/cc/cc.dcm", "cc")
LEASE_S = 60.0


def claimed(store: JobStore, worker: str = "worker") -> Job:
    job = store.claim(worker, LEASE_S)
    assert job is not None
    return job


def statements(engine: Engine) -> list[str]:
    """Return a list to which every statement is added from now on."""
    told: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        told.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    return told


def state(store: JobStore, job_id: int = 1) -> State:
    job = store.job(job_id)
    assert job is not None
    return job.state


# ---- receiving


def test_received_object_waits_for_a_worker_with_everything_that_was_told(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    received = make_received()

    assert store.add_received(received) is Admission.NEW

    job = store.job(1)
    assert job is not None
    told = set(received.__dataclass_fields__) - {"quarantine_reason", "identifiers"}
    assert {name: getattr(job, name) for name in told} == {name: getattr(received, name) for name in told}
    assert (job.state, job.attempts, job.reason, job.created_at) == (State.QUEUED, 0, "", clock.now)


@pytest.mark.parametrize("others", [MAX_ADDS - 1, MAX_ADDS])
def test_object_that_others_come_before_is_added_again_a_few_times(
    others: int, tmp_path: Path, make_received: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore(engine_for("postgresql://nobody@127.0.0.1:1/gone", tmp_path))
    tries: list[object] = []

    def add_all(group: object) -> list[Admission]:
        tries.append(group)
        if len(tries) <= others:
            raise IntegrityError("INSERT", {}, Exception("unique"))
        return [Admission.DUPLICATE]

    monkeypatch.setattr(store, "_add_all", add_all)
    if others < MAX_ADDS:
        assert store.add_received(make_received()) is Admission.DUPLICATE
    else:
        with pytest.raises(IntegrityError):
            store.add_received(make_received())
    assert len(tries) == MAX_ADDS


def test_same_content_again_is_acknowledged_and_changes_nothing(store: JobStore, make_received: Any) -> None:
    received = make_received()
    store.add_received(received)
    job = store.job(1)

    assert store.add_received(received) is Admission.DUPLICATE

    assert store.jobs() == [job]


def test_other_content_under_the_same_uid_is_quarantined_beside_the_first(
    store: JobStore, make_received: Any
) -> None:
    store.add_received(make_received(sop_instance_uid="2.25.9"))

    assert store.add_received(make_received(sop_instance_uid="2.25.9")) is Admission.CONFLICT

    assert [job.state for job in store.jobs()] == [State.QUARANTINED, State.QUEUED]
    assert "other content" in store.jobs()[0].reason
    assert claimed(store).id == 1
    assert store.claim("worker", LEASE_S) is None


def test_conflicting_content_again_is_a_duplicate(store: JobStore, make_received: Any) -> None:
    second = make_received(sop_instance_uid="2.25.9")
    store.add_received(make_received(sop_instance_uid="2.25.9"))
    store.add_received(second)

    assert store.add_received(second) is Admission.DUPLICATE


def test_odd_object_is_kept_and_not_worked_on(store: JobStore, make_received: Any) -> None:
    assert store.add_received(make_received(quarantine_reason="it is odd")) is Admission.QUARANTINED

    assert store.claim("worker", LEASE_S) is None
    assert [(job.state, job.reason) for job in store.jobs()] == [(State.QUARANTINED, "it is odd")]


def test_same_object_from_many_senders_at_once_becomes_one_job(engine: Engine, make_received: Any) -> None:
    store, received, start = JobStore(engine), make_received(), threading.Barrier(8)

    def add(_: int) -> Admission:
        start.wait()
        return store.add_received(received)

    with ThreadPoolExecutor(8) as pool:
        admissions = Counter(pool.map(add, range(8)))

    assert admissions == {Admission.NEW: 1, Admission.DUPLICATE: 7}


def test_other_contents_of_one_uid_at_once_leave_one_to_work_on(engine: Engine, make_received: Any) -> None:
    store, start = JobStore(engine), threading.Barrier(6)
    objects = [make_received(sop_instance_uid="2.25.9") for _ in range(6)]

    def add(index: int) -> Admission:
        start.wait()
        return store.add_received(objects[index])

    with ThreadPoolExecutor(6) as pool:
        admissions = Counter(pool.map(add, range(6)))

    assert admissions == {Admission.NEW: 1, Admission.CONFLICT: 5}
    assert store.counts()[State.QUEUED] == 1


# ---- working


def test_oldest_job_is_claimed_first(store: JobStore, make_received: Any) -> None:
    for _ in range(3):
        store.add_received(make_received())

    assert [claimed(store).id for _ in range(3)] == [1, 2, 3]
    assert store.claim("worker", LEASE_S) is None


def test_many_workers_claim_each_job_once(engine: Engine, make_received: Any) -> None:
    store, start = JobStore(engine), threading.Barrier(8)
    for _ in range(40):
        store.add_received(make_received())

    def work(number: int) -> list[int]:
        start.wait()
        return [job.id for job in iter(lambda: store.claim(f"worker-{number}", LEASE_S), None)]

    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for ids in pool.map(work, range(8)) for job_id in ids]

    assert sorted(taken) == list(range(1, 41))


def test_claimed_job_is_taken_over_when_its_lease_has_ended(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    store.add_received(make_received())
    claimed(store, "first")
    clock.advance(LEASE_S - 1)
    assert store.claim("second", LEASE_S) is None

    clock.advance(1)
    job = claimed(store, "second")

    assert (job.lease_owner, job.attempts) == ("second", 2)
    assert job.lease_until == clock.now + timedelta(seconds=LEASE_S)


def test_heartbeat_keeps_the_lease(store: JobStore, make_received: Any, clock: Any) -> None:
    store.add_received(make_received())
    job = claimed(store, "first")
    clock.advance(LEASE_S - 1)

    assert store.heartbeat(job.id, "first", LEASE_S)

    clock.advance(LEASE_S - 1)
    assert store.claim("second", LEASE_S) is None
    assert not store.heartbeat(job.id, "second", LEASE_S)


@pytest.mark.parametrize(
    "end",
    [
        lambda store, job: store.finish(job.id, "first", [AddressedResult(RESULT, ("pacs",))]),
        lambda store, job: store.refuse(job.id, "first", "a hand"),
        lambda store, job: store.quarantine(job.id, "first", "no pixels"),
        lambda store, job: store.give_back(job.id, "first", "the node stops"),
    ],
    ids=["finish", "refuse", "quarantine", "give_back"],
)
def test_worker_whose_job_was_taken_over_changes_nothing(
    store: JobStore, make_received: Any, clock: Any, end: Callable[[JobStore, Job], None]
) -> None:
    store.add_received(make_received())
    job = claimed(store, "first")
    clock.advance(LEASE_S)
    taken_over = claimed(store, "second")

    with pytest.raises(LeaseLostError, match="first"):
        end(store, job)

    assert store.job(job.id) == taken_over
    assert store.results(job.id) == []
    assert store.deliveries() == []
    assert not store.heartbeat(job.id, "first", LEASE_S)


def test_finish_records_results_and_a_delivery_of_each_to_each_destination(
    store: JobStore, finished: Any, results: list[StoredResult]
) -> None:
    job = finished(store, "pacs", "archive")

    assert store.results(job.id) == results
    assert sorted((d.destination, d.result.kind, d.state) for d in store.deliveries(job.id)) == [
        ("archive", "SEG", DeliveryState.WAITING),
        ("archive", "SR", DeliveryState.WAITING),
        ("pacs", "SEG", DeliveryState.WAITING),
        ("pacs", "SR", DeliveryState.WAITING),
    ]
    assert state(store) is State.STORED


def test_finish_writes_nothing_when_a_part_of_it_fails(store: JobStore, make_received: Any) -> None:
    store.add_received(make_received())
    job = claimed(store)

    broken = replace(RESULT, sop_instance_uid="1.2.9", path=None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"NOT NULL|not-null"):
        store.finish(job.id, "worker", [AddressedResult(each, ("pacs",)) for each in (RESULT, broken)])

    assert state(store) is State.SEGMENTING
    assert store.results(job.id) == []
    assert store.deliveries() == []


def test_job_without_destinations_is_done_with_its_results_kept(
    store: JobStore, finished: Any, results: list[StoredResult]
) -> None:
    job = finished(store)

    assert state(store) is State.DONE
    assert store.results(job.id) == results


def test_refused_and_quarantined_jobs_say_why(store: JobStore, make_received: Any) -> None:
    for _ in range(2):
        store.add_received(make_received())
    store.refuse(claimed(store).id, "worker", "the view is lateral")
    store.quarantine(claimed(store).id, "worker", "no pixels")

    assert [(job.state, job.reason) for job in store.jobs()] == [
        (State.QUARANTINED, "no pixels"),
        (State.REFUSED, "the view is lateral"),
    ]


def test_job_given_back_waits_as_long_as_it_was_told(store: JobStore, make_received: Any, clock: Any) -> None:
    store.add_received(make_received())
    store.give_back(claimed(store).id, "worker", "no memory", retry_in_s=5)
    assert store.claim("worker", LEASE_S) is None

    clock.advance(5)

    assert claimed(store).attempts == 2


def test_job_given_back_too_often_has_failed(store: JobStore, make_received: Any) -> None:
    store.add_received(make_received())

    states = [store.give_back(claimed(store).id, "worker", "no memory") for _ in range(3)]

    assert states == [State.QUEUED, State.QUEUED, State.FAILED]
    assert store.claim("worker", LEASE_S) is None


def test_job_given_back_without_blame_never_fails(store: JobStore, make_received: Any) -> None:
    store.add_received(make_received())

    states = {store.give_back(claimed(store).id, "worker", "stop", counted=False) for _ in range(5)}

    assert states == {State.QUEUED}


def test_history_tells_every_step(store: JobStore, finished: Any) -> None:
    job = finished(store)

    assert [(event.event, event.from_state, event.to_state) for event in store.history(job.id)] == [
        ("queue", "received", "queued"),
        ("claim", "queued", "segmenting"),
        ("store", "segmenting", "stored"),
        ("complete", "stored", "done"),
    ]


def test_reason_of_any_length_and_with_null_characters_is_kept_short(
    store: JobStore, make_received: Any
) -> None:
    store.add_received(make_received())

    store.refuse(claimed(store).id, "worker", "x\0" * 5000)

    assert store.jobs()[0].reason == "x" * 1000


def test_results_of_a_job_for_a_destination_are_found_without_its_other_deliveries(
    store: JobStore, finished: Any
) -> None:
    job = finished(store, "pacs")
    finished(store, "pacs")
    told = statements(store.engine)

    assert len(store.results(job.id, ["pacs"])) == 2
    assert store.results(job.id, ["viewer"]) == []

    asked = [statement for statement in told if "FROM deliveries" in statement]
    assert len(asked) == 2
    assert all("deliveries.job_id = " in statement for statement in asked)
