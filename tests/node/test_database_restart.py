"""A PostgreSQL server that goes away in the middle of anything costs no job and doubles no result."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from node.bell import Bell
from node.clock import clock_for
from node.database import engine_for, metadata, upgrade
from node.errors import DatabaseUnavailableError
from node.job_store import JobStore
from node.jobs import AddressedResult, Job, StoredResult
from node.spool import Spool
from node.states import State
from node.work import Keep, Made
from node.worker import Worker
from tests.faults.parts import HOST, free_port
from tests.faults.postgresql import PostgresqlServer

LEASE_S = 30.0
RESULT = StoredResult("SEG", "1.2.840.10008.5.1.4.1.1.66.4", "2.25.502", "results/cc/cc.dcm", "cc")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with PostgresqlServer(HOST, free_port()) as running:
        yield running


@pytest.fixture
def engine(server: PostgresqlServer, tmp_path: Path) -> Iterator[Engine]:
    made = engine_for(server.url, tmp_path)
    upgrade(made)
    yield made
    with made.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    made.dispose()


@pytest.fixture
def store(engine: Engine) -> JobStore:
    return JobStore(engine, clock=clock_for(engine))


class Restart:
    """Restarts the server once, just before a statement that begins so."""

    def __init__(self, server: PostgresqlServer, engine: Engine, statement: str) -> None:
        self._server, self._statement = server, statement
        self.begun, self.happened = False, threading.Event()
        event.listen(engine, "before_cursor_execute", self._look)

    def _look(self, _connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith(self._statement) and not self.begun:
            self.begun = True
            self._server.stop()
            self._server.start()
            self.happened.set()


def claimed(store: JobStore) -> Job:
    job = store.claim("worker", LEASE_S)
    assert job is not None
    return job


def test_pool_recovers_from_a_restart_unnoticed(
    server: PostgresqlServer, store: JobStore, make_received: Any
) -> None:
    store.add_received(make_received())
    server.stop()
    server.start()

    assert claimed(store).attempts == 1


def test_finish_during_a_restart_records_nothing_and_can_be_done_again(
    server: PostgresqlServer, engine: Engine, store: JobStore, make_received: Any
) -> None:
    store.add_received(make_received())
    job = claimed(store)
    restart = Restart(server, engine, "INSERT INTO results")

    with pytest.raises(DatabaseUnavailableError):
        store.finish(job.id, "worker", [AddressedResult(RESULT, ("pacs",))])

    assert restart.happened.is_set()
    assert store.results(job.id) == []
    store.finish(job.id, "worker", [AddressedResult(RESULT, ("pacs",))])
    assert store.results(job.id) == [RESULT]
    assert len(store.deliveries(job.id)) == 1


def test_worker_that_could_not_record_its_end_does_the_job_again_without_blame(
    server: PostgresqlServer, store: JobStore, make_received: Any, tmp_path: Path
) -> None:
    store.add_received(make_received())
    done: list[int] = []

    def work(job: Job, _keep: Keep, _tell: Callable[[str], None]) -> Made:
        if not done:
            server.stop()
        done.append(job.id)
        return Made(())

    worker = Worker("worker", store, Spool(tmp_path).prepare(), work, LEASE_S, Bell(), Bell())
    with pytest.raises(DatabaseUnavailableError):
        worker.step()
    with pytest.raises(DatabaseUnavailableError):
        worker.step()
    server.start()

    assert worker.step() == 0.0

    [job] = store.jobs()
    assert (job.state, job.attempts, len(done)) == (State.DONE, 1, 2)


def test_heartbeat_survives_a_restart(
    server: PostgresqlServer, engine: Engine, store: JobStore, make_received: Any, tmp_path: Path
) -> None:
    store.add_received(make_received())
    noted = threading.Event()
    event.listen(engine, "commit", lambda _connection: noted.set())

    def work(job: Job, _keep: Keep, tell: Callable[[str], None]) -> Made:
        restart = Restart(server, engine, "UPDATE jobs SET lease_until")
        tell("segmenting")
        assert restart.happened.wait(20)
        for _ in range(100):
            tell("measuring")
            noted.wait(0.1)
            found = store.job(job.id)
            if found is not None and found.trace == "while measuring":
                return Made(())
        raise AssertionError("the heartbeat is dead")

    Worker("worker", store, Spool(tmp_path).prepare(), work, LEASE_S, Bell(), Bell()).step()

    assert [job.state for job in store.jobs()] == [State.DONE]
