"""Deliveries are leased, tried again, parked and asked for again; the job is done when the last one is."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from node.database import engine_for, upgrade
from node.errors import DatabaseUnavailableError, TransitionError
from node.job_store import JobStore
from node.jobs import Delivery, DeliveryState
from node.states import State

LEASE_S = 60.0


def state(store: JobStore) -> State:
    [job] = store.jobs()
    return job.state


def deliver(store: JobStore, *found: Delivery) -> None:
    for delivery in found:
        store.delivered(delivery.id, 0x0000)


# ---- delivering


def test_job_is_done_when_its_last_delivery_is(store: JobStore, finished: Any) -> None:
    finished(store, "pacs", "archive")
    first = store.claim_deliveries("pacs", "sender", LEASE_S, 10)
    assert state(store) is State.DELIVERING
    deliver(store, *first)
    assert state(store) is State.DELIVERING

    deliver(store, *store.claim_deliveries("archive", "sender", LEASE_S, 10))

    assert state(store) is State.DONE
    assert {d.state for d in store.deliveries()} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize("begun", [False, True])
def test_job_that_is_run_once_more_goes_on_delivering_what_it_had(
    store: JobStore, finished: Any, begun: bool
) -> None:
    job = finished(store, "pacs")
    due = store.claim_deliveries("pacs", "sender", LEASE_S, 10) if begun else []
    assert state(store) is (State.DELIVERING if begun else State.STORED)

    store.rerun(job.id)
    again = store.claim("worker", LEASE_S)
    deliver(store, *(due or store.claim_deliveries("pacs", "sender", LEASE_S, 10)))

    assert again is not None
    assert state(store) is State.SEGMENTING  # the last delivery does not end what is being worked on
    store.finish(job.id, "worker", [])
    assert state(store) is State.DONE


def test_deliveries_of_one_job_that_end_at_once_end_the_job(engine: Engine, finished: Any) -> None:
    store, start = JobStore(engine), threading.Barrier(8)
    names = [f"archive-{number}" for number in range(4)]
    finished(store, *names)
    found = [d for name in names for d in store.claim_deliveries(name, name, LEASE_S, 10)]

    def end(delivery: Delivery) -> None:
        start.wait()
        store.delivered(delivery.id, 0x0000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, found))

    assert state(store) is State.DONE


def test_claimed_delivery_is_nobody_elses_until_its_lease_ends(
    store: JobStore, finished: Any, clock: Any
) -> None:
    finished(store, "pacs")

    assert len(store.claim_deliveries("pacs", "first", LEASE_S, 1)) == 1
    assert [d.result.kind for d in store.claim_deliveries("pacs", "second", LEASE_S, 10)] == ["SR"]
    assert store.claim_deliveries("pacs", "third", LEASE_S, 10) == []

    clock.advance(LEASE_S)
    assert len(store.claim_deliveries("pacs", "third", LEASE_S, 10)) == 2


def test_many_senders_claim_each_delivery_once(engine: Engine, finished: Any) -> None:
    store, start = JobStore(engine), threading.Barrier(6)
    for _ in range(10):
        finished(store, "pacs")

    def claim(number: int) -> list[int]:
        start.wait()
        batches = iter(lambda: store.claim_deliveries("pacs", f"sender-{number}", LEASE_S, 3), [])
        return [delivery.id for batch in batches for delivery in batch]

    with ThreadPoolExecutor(6) as pool:
        taken = [delivery_id for ids in pool.map(claim, range(6)) for delivery_id in ids]

    assert sorted(taken) == list(range(1, 21))


def test_dead_destination_does_not_hold_up_another(store: JobStore, finished: Any) -> None:
    finished(store, "dead", "pacs")
    for delivery in store.claim_deliveries("dead", "sender", LEASE_S, 10):
        store.delivery_failed(delivery.id, "no answer", None)

    assert len(store.claim_deliveries("pacs", "sender", LEASE_S, 10)) == 2


def test_failed_delivery_is_due_again_when_it_was_told(store: JobStore, finished: Any, clock: Any) -> None:
    finished(store, "pacs")
    delivery = store.claim_deliveries("pacs", "sender", LEASE_S, 1)[0]

    store.delivery_failed(delivery.id, "out of resources", clock.now + timedelta(seconds=5), 0xA700)

    later = store.deliveries()[0]
    assert (later.attempts, later.status, later.reason) == (1, 0xA700, "out of resources")
    assert len(store.claim_deliveries("pacs", "sender", LEASE_S, 10)) == 1
    clock.advance(5)
    assert [d.id for d in store.claim_deliveries("pacs", "sender", LEASE_S, 10)] == [delivery.id]


def test_parked_delivery_is_visible_and_is_sent_again_when_asked_for(
    store: JobStore, finished: Any, clock: Any
) -> None:
    job = finished(store, "pacs")
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


def test_delivery_that_waits_for_its_next_try_is_due_when_asked_for(
    store: JobStore, finished: Any, clock: Any
) -> None:
    job = finished(store, "pacs")
    assert store.retry(job.id).state is State.STORED
    first, _ = store.claim_deliveries("pacs", "sender", LEASE_S, 10)
    store.delivery_failed(first.id, "connection refused", clock.now + timedelta(seconds=600))
    assert store.claim_deliveries("pacs", "sender", LEASE_S, 10) == []

    assert store.retry(job.id).state is State.DELIVERING

    (again,) = store.claim_deliveries("pacs", "sender", LEASE_S, 10)
    assert again.id == first.id, "the other one is in a sender's hands"


def test_late_failure_of_a_delivered_object_changes_nothing(
    store: JobStore, finished: Any, clock: Any
) -> None:
    finished(store, "pacs")
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
            store.claim("worker", LEASE_S)
            store.give_back(1, "worker", "no memory")
    else:
        store.claim("worker", LEASE_S)
        getattr(store, end)(1, "worker", "why")

    job = store.retry(1)

    assert (job.state, job.attempts, job.reason) == (State.QUEUED, 0, "")
    again = store.claim("worker", LEASE_S)
    assert again is not None
    assert again.id == 1


def test_retry_of_other_content_under_a_known_uid_is_refused(store: JobStore, make_received: Any) -> None:
    first = make_received()
    store.add_received(first)
    store.add_received(replace(first, digest="other", path="objects/ot/other.dcm"))
    with pytest.raises(TransitionError, match="other content came before"):
        store.retry(2)
    job = store.job(2)
    assert job is not None
    assert job.state is State.QUARANTINED


def test_retry_of_what_cannot_be_tried_again_is_an_error_in_words(store: JobStore, finished: Any) -> None:
    finished(store)

    with pytest.raises(TransitionError, match="job 1 is done"):
        store.retry(1)
    with pytest.raises(TransitionError, match="no job 7"):
        store.retry(7)


def test_jobs_are_listed_latest_first_by_state_and_up_to_a_limit(store: JobStore, make_received: Any) -> None:
    for _ in range(5):
        store.add_received(make_received())
    store.claim("worker", LEASE_S)

    assert [job.id for job in store.jobs(limit=2)] == [5, 4]
    assert [job.id for job in store.jobs(State.SEGMENTING)] == [1]
    assert store.job(99) is None
    assert store.counts() == dict.fromkeys(State, 0) | {State.QUEUED: 4, State.SEGMENTING: 1}


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


def test_leases_are_renewed_for_who_holds_them_until_there_is_an_outcome(
    store: JobStore, finished: Any, clock: Any
) -> None:
    finished(store, "pacs")
    done, held = store.claim_deliveries("pacs", "sender", LEASE_S, 10)
    ids = [done.id, held.id]
    deliver(store, done)
    clock.advance(LEASE_S / 2)

    assert store.renew(ids, "sender", LEASE_S)
    assert not store.renew(ids, "another", LEASE_S)

    clock.advance(LEASE_S * 0.9)
    assert store.claim_deliveries("pacs", "another", LEASE_S, 10) == []
    deliver(store, held)
    assert not store.renew(ids, "sender", LEASE_S)
