import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from node.database import engine_for, upgrade
from node.errors import DatabaseUnavailableError, LeaseLostError, TransitionError
from node.job_store import JobStore
from node.jobs import Admission, Delivery, DeliveryState, Job, StoredResult
from node.states import State

SEG = StoredResult("SEG", "1.2.840.10008.5.1.4.1.1.66.4", "2.25.500", "results/aa/aa.dcm", "aa")
SR = StoredResult("SR", "1.2.840.10008.5.1.4.1.1.88.34", "2.25.501", "results/bb/bb.dcm", "bb")
LEASE_S = 60.0


@pytest.fixture
def store(engine: Engine, clock: Any) -> JobStore:
    return JobStore(engine, max_attempts=3, clock=clock)


def claimed(store: JobStore, worker: str = "worker") -> Job:
    job = store.claim(worker, LEASE_S)
    assert job is not None
    return job


def state(store: JobStore, job_id: int = 1) -> State:
    job = store.job(job_id)
    assert job is not None
    return job.state


def finished(store: JobStore, make_received: Any, *destinations: str) -> Job:
    store.add_received(make_received())
    job = claimed(store)
    store.finish(job.id, "worker", [SEG, SR], destinations)
    return job


def deliver(store: JobStore, *found: Delivery) -> None:
    for delivery in found:
        store.delivered(delivery.id, 0x0000)


# ---- receiving


def test_received_object_waits_for_a_worker_with_everything_that_was_told(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    received = make_received()

    assert store.add_received(received) is Admission.NEW

    job = store.job(1)
    assert job is not None
    assert {name: getattr(job, name) for name in received.__dataclass_fields__ if hasattr(job, name)} == {
        name: getattr(received, name) for name in received.__dataclass_fields__ if name != "quarantine_reason"
    }
    assert (job.state, job.attempts, job.reason, job.created_at) == (State.QUEUED, 0, "", clock.now)


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
        lambda store, job: store.finish(job.id, "first", [SEG], ["pacs"]),
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
    store: JobStore, make_received: Any
) -> None:
    job = finished(store, make_received, "pacs", "archive")

    assert store.results(job.id) == [SEG, SR]
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

    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        store.finish(job.id, "worker", [SEG, SEG], ["pacs"])

    assert state(store) is State.SEGMENTING
    assert store.results(job.id) == []
    assert store.deliveries() == []


def test_job_without_destinations_is_done_with_its_results_kept(store: JobStore, make_received: Any) -> None:
    job = finished(store, make_received)

    assert state(store) is State.DONE
    assert store.results(job.id) == [SEG, SR]


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
    store.give_back(claimed(store).id, "worker", "no memory", retry_at=clock.now + timedelta(seconds=5))
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


def test_job_that_kills_its_workers_fails_in_the_end(store: JobStore, make_received: Any, clock: Any) -> None:
    store.add_received(make_received())
    for _ in range(3):
        claimed(store)
        clock.advance(LEASE_S)

    assert store.claim("worker", LEASE_S) is None
    assert state(store) is State.FAILED
    assert "worker died" in store.jobs()[0].reason


def test_history_tells_every_step(store: JobStore, make_received: Any) -> None:
    job = finished(store, make_received)

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


# ---- delivering


def test_job_is_done_when_its_last_delivery_is(store: JobStore, make_received: Any) -> None:
    finished(store, make_received, "pacs", "archive")
    first = store.claim_deliveries("pacs", "sender", LEASE_S, 10)
    assert state(store) is State.DELIVERING
    deliver(store, *first)
    assert state(store) is State.DELIVERING

    deliver(store, *store.claim_deliveries("archive", "sender", LEASE_S, 10))

    assert state(store) is State.DONE
    assert {d.state for d in store.deliveries()} == {DeliveryState.DELIVERED}


def test_deliveries_of_one_job_that_end_at_once_end_the_job(engine: Engine, make_received: Any) -> None:
    store, start = JobStore(engine), threading.Barrier(8)
    names = [f"archive-{number}" for number in range(4)]
    job = finished(store, make_received, *names)
    found = [d for name in names for d in store.claim_deliveries(name, name, LEASE_S, 10)]

    def end(delivery: Delivery) -> None:
        start.wait()
        store.delivered(delivery.id, 0x0000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, found))

    assert state(store, job.id) is State.DONE


def test_claimed_delivery_is_nobody_elses_until_its_lease_ends(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    finished(store, make_received, "pacs")

    assert len(store.claim_deliveries("pacs", "first", LEASE_S, 1)) == 1
    assert [d.result.kind for d in store.claim_deliveries("pacs", "second", LEASE_S, 10)] == ["SR"]
    assert store.claim_deliveries("pacs", "third", LEASE_S, 10) == []

    clock.advance(LEASE_S)
    assert len(store.claim_deliveries("pacs", "third", LEASE_S, 10)) == 2


def test_many_senders_claim_each_delivery_once(engine: Engine, make_received: Any) -> None:
    store, start = JobStore(engine), threading.Barrier(6)
    for _ in range(10):
        finished(store, make_received, "pacs")

    def claim(number: int) -> list[int]:
        start.wait()
        batches = iter(lambda: store.claim_deliveries("pacs", f"sender-{number}", LEASE_S, 3), [])
        return [delivery.id for batch in batches for delivery in batch]

    with ThreadPoolExecutor(6) as pool:
        taken = [delivery_id for ids in pool.map(claim, range(6)) for delivery_id in ids]

    assert sorted(taken) == list(range(1, 21))


def test_dead_destination_does_not_hold_up_another(store: JobStore, make_received: Any) -> None:
    finished(store, make_received, "dead", "pacs")
    for delivery in store.claim_deliveries("dead", "sender", LEASE_S, 10):
        store.delivery_failed(delivery.id, "no answer", None)

    assert len(store.claim_deliveries("pacs", "sender", LEASE_S, 10)) == 2


def test_failed_delivery_is_due_again_when_it_was_told(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    finished(store, make_received, "pacs")
    delivery = store.claim_deliveries("pacs", "sender", LEASE_S, 1)[0]

    store.delivery_failed(delivery.id, "out of resources", clock.now + timedelta(seconds=5), 0xA700)

    later = store.deliveries()[0]
    assert (later.attempts, later.status, later.reason) == (1, 0xA700, "out of resources")
    assert len(store.claim_deliveries("pacs", "sender", LEASE_S, 10)) == 1
    clock.advance(5)
    assert [d.id for d in store.claim_deliveries("pacs", "sender", LEASE_S, 10)] == [delivery.id]


def test_parked_delivery_is_visible_and_is_sent_again_when_asked_for(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    job = finished(store, make_received, "pacs")
    for delivery in store.claim_deliveries("pacs", "sender", LEASE_S, 10):
        store.delivery_failed(delivery.id, "refused", None, 0xA900)
    clock.advance(1e6)
    assert store.claim_deliveries("pacs", "sender", LEASE_S, 10) == []
    assert len(store.deliveries(state=DeliveryState.PARKED)) == 2

    assert store.retry(job.id).state is State.DELIVERING

    again = store.claim_deliveries("pacs", "sender", LEASE_S, 10)
    assert [delivery.attempts for delivery in again] == [0, 0]
    deliver(store, *again)
    assert state(store) is State.DONE


def test_late_failure_of_a_delivered_object_changes_nothing(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    finished(store, make_received, "pacs")
    found = store.claim_deliveries("pacs", "sender", LEASE_S, 10)
    deliver(store, *found)

    store.delivery_failed(found[0].id, "no answer", clock.now)
    store.delivered(found[0].id, 0x0111)

    assert state(store) is State.DONE
    assert store.claim_deliveries("pacs", "sender", LEASE_S, 10) == []


# ---- asking again, and looking


@pytest.mark.parametrize("end", ["refuse", "quarantine", "fail"])
def test_retry_queues_a_job_that_ended_badly(store: JobStore, make_received: Any, end: str) -> None:
    store.add_received(make_received())
    if end == "fail":
        for _ in range(3):
            store.give_back(claimed(store).id, "worker", "no memory")
    else:
        getattr(store, end)(claimed(store).id, "worker", "why")

    job = store.retry(1)

    assert (job.state, job.attempts, job.reason) == (State.QUEUED, 0, "")
    assert claimed(store).id == 1


def test_retry_of_what_cannot_be_tried_again_is_an_error_in_words(
    store: JobStore, make_received: Any
) -> None:
    finished(store, make_received)

    with pytest.raises(TransitionError, match="job 1 is done"):
        store.retry(1)
    with pytest.raises(TransitionError, match="no job 7"):
        store.retry(7)


def test_jobs_are_listed_latest_first_by_state_and_up_to_a_limit(store: JobStore, make_received: Any) -> None:
    for _ in range(5):
        store.add_received(make_received())
    claimed(store)

    assert [job.id for job in store.jobs(limit=2)] == [5, 4]
    assert [job.id for job in store.jobs(State.SEGMENTING)] == [1]
    assert store.job(99) is None
    assert store.counts() == dict.fromkeys(State, 0) | {State.QUEUED: 4, State.SEGMENTING: 1}
    assert store.paths() == {job.path for job in store.jobs()}


def test_database_that_went_away_is_told_as_unavailable(
    postgresql_url: str, tmp_path: Path, make_received: Any
) -> None:
    engine = engine_for("postgresql://postgres@127.0.0.1:1/gone", tmp_path)

    with pytest.raises(DatabaseUnavailableError):
        JobStore(engine).add_received(make_received())
    engine.dispose()


def test_read_only_sqlite_file_is_told_as_unavailable(tmp_path: Path, make_received: Any) -> None:
    upgraded = engine_for("", tmp_path)
    upgrade(upgraded)
    upgraded.dispose()
    engine = engine_for(f"sqlite:///file:{tmp_path}/paxnode.sqlite?mode=ro&uri=true", tmp_path)

    with pytest.raises(DatabaseUnavailableError):
        JobStore(engine).add_received(make_received())
    engine.dispose()
