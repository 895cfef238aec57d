"""Proofs in the database: what counts after a sending, and changes of many deliveries at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, func, insert, select

from node.database import deliveries, jobs, reading, results, writing
from node.job_store import JobStore
from node.jobs import DeliveryState
from node.proof_store import SETTLED_AT_A_TIME
from node.proofs import asked_of
from node.states import State
from tests.node.proving import SENT, Bench, at

# ---- settings that change


def add_sent(engine: Engine, clock: Any, count: int) -> None:
    """Add so many jobs with one delivery each, that was sent and waits for its proof."""
    now, numbers = clock(), range(1, count + 1)
    text = dict.fromkeys(("sop_class_uid", "digest", "path"), "x")
    image = text | dict.fromkeys(("study_instance_uid", "series_instance_uid", "calling_ae_title"), "x")
    image |= {"transfer_syntax_uid": "x", "state": State.DELIVERING, "reason": "", "attempts": 1, "size": 1}
    image |= dict.fromkeys(("not_before", "created_at", "updated_at"), now)
    made = text | {"kind": "SEG", "created_at": now}
    sent = {"destination": "pacs", "state": DeliveryState.SENT, "reason": "", "attempts": 0}
    sent |= dict.fromkeys(("due_at", "updated_at", "sent_at"), now)
    with writing(engine) as connection:
        connection.execute(insert(jobs), [image | {"id": n, "sop_instance_uid": f"2.{n}"} for n in numbers])
        connection.execute(
            insert(results), [made | {"id": n, "job_id": n, "sop_instance_uid": "2.5"} for n in numbers]
        )
        connection.execute(insert(deliveries), [sent | {"job_id": n, "result_id": n} for n in numbers])


@contextmanager
def sizes_of_statements(engine: Engine) -> Iterator[list[int]]:
    """Collect the number of parameters of each statement."""
    sizes: list[int] = []

    def look(_connection: Any, _cursor: Any, _statement: str, parameters: Any, *_more: Any) -> None:
        sizes.append(len(parameters or ()))

    event.listen(engine, "before_cursor_execute", look)
    yield sizes
    event.remove(engine, "before_cursor_execute", look)


def test_many_deliveries_are_settled_in_statements_of_bounded_length(store: JobStore, clock: Any) -> None:
    count = 2 * SETTLED_AT_A_TIME + 1
    add_sent(store.engine, clock, count)
    with sizes_of_statements(store.engine) as sizes:
        first = store.settle("pacs", ())
        assert first is not None
        with reading(store.engine) as connection:
            done = select(func.count()).where(deliveries.c.state == DeliveryState.DELIVERED)
            assert connection.execute(done).scalar_one() == SETTLED_AT_A_TIME
        second = store.settle("pacs", (), first)
        assert second is not None
        last = store.settle("pacs", (), second)
        assert last is not None
        assert store.settle("pacs", (), last) is None

    assert max(sizes) < SETTLED_AT_A_TIME + 50
    assert len(sizes) < 4 * count  # a few for each job that ends, and not one more for each delivery
    assert store.counts()[State.DONE] == count


def test_settling_ends_what_has_every_proof_that_is_still_asked_for(bench: Bench) -> None:
    destination = at(1, query=True)
    bench.send(destination)
    first, _second = bench.store.deliveries()
    bench.store.found([first.id], asked_of(destination))
    assert bench.states == SENT

    bench.store.settle("pacs", asked_of(at(1, commitment=False, query=True)))

    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]
