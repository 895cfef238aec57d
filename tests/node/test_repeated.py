"""A transaction that the server breaks off for another's sake is done again."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.exc import OperationalError

from node.database import deliveries, engine_for, jobs
from node.errors import DatabaseUnavailableError
from node.job_store import JobStore
from node.jobs import DeliveryState
from node.repeated import TIMES, repeated

DEADLINE_S = 30.0


def _waits_for_us(connection: Connection) -> bool:
    blocked = text("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    return bool(connection.execute(blocked).scalar_one())


def test_outcome_of_a_sending_is_kept_though_a_deadlock_broke_it_off(
    engine: Engine, database_url: str, tmp_path: Path, finished: Any
) -> None:
    store = JobStore(engine)
    job = finished(store, "pacs")
    [first, _] = store.claim_deliveries("pacs", "sender", 60.0, 10)
    if engine.dialect.name == "sqlite":  # there one writes at a time
        store.delivered(first.id, 0x0000)
        assert store.deliveries()[0].state is DeliveryState.DELIVERED
        return
    other = engine_for(database_url, tmp_path)
    with ThreadPoolExecutor(1) as pool:
        with other.begin() as connection:  # as `retry` does: the job first
            connection.execute(
                text("SET LOCAL deadlock_timeout = '1h'")
            )  # so that not this one is broken off
            connection.execute(select(jobs.c.id).where(jobs.c.id == job.id).with_for_update())
            told = pool.submit(store.delivered, first.id, 0x0000)
            until = time.monotonic() + DEADLINE_S
            while not _waits_for_us(connection) and time.monotonic() < until:
                threading.Event().wait(0.01)
            mine = update(deliveries).where(deliveries.c.id == first.id)
            connection.execute(mine.values(resends=7))
        told.result(DEADLINE_S)
    other.dispose()
    assert store.deliveries()[0].state is DeliveryState.DELIVERED
    assert store.deliveries()[0].resends == 7


@pytest.mark.parametrize(
    ("error", "times"),
    [(psycopg.errors.DeadlockDetected(), TIMES), (psycopg.errors.AdminShutdown(), 1)],
)
def test_only_what_was_broken_off_is_repeated_and_not_for_ever(error: psycopg.Error, times: int) -> None:
    tried: list[int] = []

    @repeated
    def fails() -> None:
        tried.append(1)
        raise DatabaseUnavailableError("away") from OperationalError("SELECT 1", None, error)

    with pytest.raises(DatabaseUnavailableError):
        fails()
    assert len(tried) == times
