from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, Select, insert

from node import queue_figures as module
from node.database import jobs, reading, writing
from node.job_store import JobStore
from node.jobs import DeliveryState, Priority
from node.queue_figures import (
    COUNTED,
    COUNTED_DELIVERIES,
    count_deliveries,
    count_jobs,
    last_delivered,
    oldest_delivery,
    oldest_job,
    queue_figures,
)
from node.states import State
from tests.node.conftest import Clock, Finished, MakeReceived


def test_what_waits_is_counted_and_the_oldest_is_told(
    store: JobStore, clock: Clock, make_received: MakeReceived
) -> None:
    store.add_received(make_received())
    clock.advance(10)
    store.add_received(make_received(priority=Priority.URGENT))
    store.add_received(make_received(quarantine_reason="why"))
    clock.advance(5)

    found = queue_figures(store.engine, (), clock)

    assert (found.jobs[State.QUEUED].count, found.jobs[State.QUEUED].oldest_s) == (2, 15.0)
    assert (found.jobs[State.QUARANTINED].count, found.jobs[State.QUARANTINED].oldest_s) == (1, 0.0)
    assert found.jobs[State.SEGMENTING].count == 0
    assert State.DONE not in found.jobs


def test_deliveries_are_counted_by_destination(store: JobStore, clock: Clock, finished: Finished) -> None:
    finished(store, "pacs", "web")
    clock.advance(60)
    first, _second = store.claim_deliveries("pacs", "sender", 60.0, 2)
    store.delivered(first.id, 0x0000)

    found = queue_figures(store.engine, ("pacs", "web", "idle"), clock)

    assert found.deliveries["pacs", DeliveryState.WAITING].count == 1
    assert found.deliveries["web", DeliveryState.WAITING] == module.Waiting(2, 60.0)
    assert found.deliveries["idle", DeliveryState.WAITING] == module.Waiting(0)
    assert found.last_delivered_at == {"pacs": clock.now}


def test_no_more_are_counted_than_a_limit(
    store: JobStore, clock: Clock, make_received: MakeReceived, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    for _ in range(5):
        store.add_received(make_received())

    assert queue_figures(store.engine, (), clock).jobs[State.QUEUED].count == 3


QUESTIONS: dict[str, Select[object]] = {
    **{f"count {state}": count_jobs(state) for state in COUNTED},
    **{f"oldest {priority}": oldest_job(State.QUEUED, priority) for priority in Priority},
    **{f"deliveries {s}": count_deliveries("pacs", s) for s in COUNTED_DELIVERIES},
    "oldest delivery": oldest_delivery("pacs", DeliveryState.WAITING, Priority.ROUTINE),
    "last delivered": last_delivered("pacs"),
}


@pytest.fixture
def full(engine: Engine, clock: Clock) -> Engine:
    """A database with some thousand finished jobs."""
    row = {
        "state": State.DONE, "reason": "", "attempts": 1, "not_before": clock.now, "sop_class_uid": "1",
        "study_instance_uid": "1", "series_instance_uid": "1", "transfer_syntax_uid": "1", "path": "",
        "size": 1, "calling_ae_title": "A", "created_at": clock.now, "updated_at": clock.now,
    }  # fmt: skip
    rows = [row | {"sop_instance_uid": f"1.{n}", "digest": str(n)} for n in range(2000)]
    with writing(engine) as connection:
        connection.execute(insert(jobs), rows)
        connection.exec_driver_sql("ANALYZE")
    return engine


def _plan(connection: Connection, question: Select[object]) -> Iterator[str]:
    text = str(question.compile(connection, compile_kwargs={"literal_binds": True}))
    if connection.dialect.name == "sqlite":
        yield from (str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
        return
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a table of some pages is read whole
    yield from (str(row[0]) for row in connection.exec_driver_sql(f"EXPLAIN {text}"))


def test_every_question_reads_an_index_and_sorts_nothing(full: Engine) -> None:
    sort: Callable[[str], bool] = lambda line: "TEMP B-TREE" in line or "Sort" in line  # noqa: E731
    with reading(full) as connection:
        for name, question in QUESTIONS.items():
            plan = list(_plan(connection, question))
            tables = [line for line in plan if "jobs" in line or "deliveries" in line or "results" in line]
            assert tables, (name, plan)
            assert all("INDEX" in line.upper() or "PRIMARY KEY" in line for line in tables), (name, plan)
            assert not any(map(sort, plan)), (name, plan)
