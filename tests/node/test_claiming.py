"""Whose turn it is: urgent before routine, nobody starved, and no clock that jumps stops the work."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update

from node.claiming import AGEING_S, CLOCK_TOLERANCE_S, RETRY_BACKOFF
from node.database import jobs, writing
from node.errors import LeaseLostError
from node.job_store import JobStore
from node.jobs import AddressedResult, Admission, DeliveryState, Job, Priority, StoredResult
from node.states import State

LEASE_S = 60.0
HOUR_S = 3600.0


def add(store: JobStore, make_received: Any, *priorities: Priority) -> None:
    for priority in priorities:
        store.add_received(make_received(priority=priority))


def order(store: JobStore) -> list[int]:
    return [job.id for job in iter(lambda: store.claim("worker", LEASE_S), None)]


def claimed(store: JobStore, worker: str = "worker") -> Job:
    job = store.claim(worker, LEASE_S)
    assert job is not None
    return job


def known(store: JobStore, job_id: int = 1) -> Job:
    job = store.job(job_id)
    assert job is not None
    return job


# ---- priorities


def test_urgent_job_goes_first_and_a_low_one_last(store: JobStore, make_received: Any) -> None:
    add(
        store,
        make_received,
        Priority.LOW,
        Priority.ROUTINE,
        Priority.URGENT,
        Priority.ROUTINE,
        Priority.URGENT,
    )

    assert order(store) == [3, 5, 2, 4, 1]


def test_low_job_that_has_waited_long_is_as_good_as_a_routine_one(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE, Priority.LOW)
    clock.advance(AGEING_S)
    add(store, make_received, Priority.ROUTINE, Priority.URGENT, Priority.LOW)

    assert order(store) == [4, 1, 2, 3, 5]


def test_routine_job_never_goes_before_an_urgent_one_however_long_it_waits(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE)
    clock.advance(100 * AGEING_S)
    add(store, make_received, Priority.URGENT)

    assert order(store) == [2, 1]


def test_image_that_is_sent_once_more_as_urgent_goes_first(store: JobStore, make_received: Any) -> None:
    add(store, make_received, Priority.ROUTINE)
    waits = make_received(digest="same")
    store.add_received(waits)
    again = make_received(sop_instance_uid=waits.sop_instance_uid, digest="same", priority=Priority.URGENT)

    assert store.add_received(again) is Admission.DUPLICATE

    assert order(store) == [2, 1]


def test_results_of_an_urgent_job_are_delivered_first_and_those_of_a_low_one_in_their_turn(
    store: JobStore, make_received: Any
) -> None:
    add(store, make_received, Priority.LOW)
    ended = [finish(store)]
    add(store, make_received, Priority.ROUTINE)
    ended.append(finish(store))
    add(store, make_received, Priority.URGENT)
    ended.append(finish(store))

    first = store.claim_deliveries("pacs", "sender", LEASE_S, 2)
    rest = store.claim_deliveries("pacs", "sender", LEASE_S, 2)

    assert [d.job_id for d in first] == [ended[2], ended[0]]
    assert [d.job_id for d in rest] == [ended[1]]


def finish(store: JobStore) -> int:
    job = claimed(store)
    result = StoredResult("SEG", "1.2.840.10008.5.1.4.1.1.66.4", f"2.25.{900 + job.id}", "results/a", "a")
    store.finish(job.id, "worker", [AddressedResult(result, ("pacs",))])
    return job.id


# ---- workers that die


def test_first_death_costs_no_wait_and_each_further_one_a_longer_one(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE)
    claimed(store)
    clock.advance(LEASE_S)
    assert claimed(store).attempts == 2

    clock.advance(LEASE_S)
    assert store.claim("worker", LEASE_S) is None
    assert known(store).state is State.QUEUED
    clock.advance(RETRY_BACKOFF.first_s / 2 - 1)
    assert store.claim("worker", LEASE_S) is None
    clock.advance(RETRY_BACKOFF.first_s)

    assert claimed(store).attempts == 3


def test_job_that_kills_its_workers_is_put_aside_with_the_stage_in_which_it_did(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE)
    for _ in range(3):
        job = claimed(store)
        store.heartbeat(job.id, "worker", LEASE_S, "segmenting")
        clock.advance(LEASE_S)
        assert store.claim("finds out", LEASE_S) is None or known(store).attempts == 2
        if known(store).state is State.SEGMENTING:
            store.give_back(job.id, "finds out", "stop", counted=False)
        clock.advance(RETRY_BACKOFF.longest_s)

    assert (known(store).state, known(store).trace) == (State.FAILED, "while segmenting")
    assert known(store).reason == "its worker died while segmenting (3 attempts)"
    assert store.retry(1).state is State.QUEUED


def test_job_that_has_killed_two_workers_lets_its_equals_go_first(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE)
    for _ in range(2):
        claimed(store)
        clock.advance(LEASE_S)
    assert store.claim("finds out", LEASE_S) is None
    clock.advance(RETRY_BACKOFF.longest_s)
    add(store, make_received, Priority.ROUTINE, Priority.ROUTINE)

    assert order(store) == [2, 3, 1]


# ---- clocks that jump


def test_clock_put_ahead_lets_another_take_over_and_the_first_worker_changes_nothing(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE)
    claimed(store, "first")
    clock.advance(HOUR_S)
    claimed(store, "second")

    with pytest.raises(LeaseLostError):
        store.finish(1, "first", [])
    store.finish(1, "second", [])

    assert known(store).state is State.DONE


def test_clock_put_back_lets_waiting_jobs_begin(store: JobStore, make_received: Any, clock: Any) -> None:
    add(store, make_received, Priority.ROUTINE)
    store.give_back(claimed(store).id, "worker", "no memory", retry_in_s=RETRY_BACKOFF.longest_s)
    add(store, make_received, Priority.ROUTINE)
    clock.advance(-HOUR_S)

    assert order(store) == [1, 2]


def test_clock_put_back_does_not_keep_the_job_of_a_dead_worker(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE)
    claimed(store, "dead")
    clock.advance(-HOUR_S)
    assert store.claim("second", LEASE_S) is None  # it may live: it has the length of a lease to tell so
    clock.advance(LEASE_S)

    assert claimed(store, "second").id == 1


def test_clock_put_back_takes_no_job_from_a_worker_that_lives(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE)
    claimed(store, "lives")
    clock.advance(-HOUR_S)
    for _ in range(5):
        assert store.claim("second", LEASE_S) is None
        assert store.heartbeat(1, "lives", LEASE_S)
        clock.advance(LEASE_S / 3)

    store.finish(1, "lives", [])


def test_lease_of_a_machine_with_longer_leases_is_left_alone(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    add(store, make_received, Priority.ROUTINE)
    store.claim("patient", LEASE_S + CLOCK_TOLERANCE_S)
    clock.advance(LEASE_S + CLOCK_TOLERANCE_S - 1)

    assert store.claim("second", LEASE_S) is None


def test_clock_put_back_lets_deliveries_leave(store: JobStore, make_received: Any, clock: Any) -> None:
    add(store, make_received, Priority.ROUTINE, Priority.ROUTINE)
    finish(store)
    finish(store)
    [failed, _] = store.claim_deliveries("pacs", "died", LEASE_S, 2)
    store.delivery_failed(failed.id, "out of resources", clock.now + timedelta(seconds=600), 0xA700)
    clock.advance(-HOUR_S)

    assert len(store.claim_deliveries("pacs", "sender", LEASE_S, 2)) == 2
    assert {d.state for d in store.deliveries()} == {DeliveryState.WAITING}


# ---- cost


def test_jobs_are_found_in_the_order_of_an_index(engine: Engine, store: JobStore, make_received: Any) -> None:
    add(store, make_received, Priority.ROUTINE)
    values = {column.name: "x" for column in jobs.columns if column.name.endswith(("_uid", "_title"))}
    moments = dict.fromkeys(("not_before", "created_at", "updated_at"), store.clock())
    rows = [
        values
        | moments
        | {
            "id": n,
            "state": "done" if n < 2900 else "queued",
            "reason": "",
            "attempts": 0,
            "size": 1,
            "priority": 0,
        }
        | {"primary_uid": None, "sop_instance_uid": f"2.{n}", "digest": "d", "path": "p"}
        for n in range(2, 3000)
    ]
    with writing(engine) as connection:
        connection.execute(insert(jobs), rows)
        connection.execute(update(jobs).where(jobs.c.id > 2990).values(priority=1))
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE jobs")
    question = "SELECT id FROM jobs WHERE state = 'queued' AND priority = 0 ORDER BY id LIMIT 1"
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + question))

    assert "ix_jobs_state_priority_id" in plan
    assert "SORT" not in plan.upper().replace("TEMP B-TREE", "SORT")
    assert claimed(store).id == 2991
