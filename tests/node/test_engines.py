"""Who waits for whom, and for the disk."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from node import engines
from node.database import engine_for, upgrade, writing
from node.errors import DatabaseUnavailableError
from node.job_store import JobStore
from node.jobs import ReceivedObject

FULL, NORMAL = 2, 1
"""Values of SQLite's PRAGMA synchronous."""


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    engine = engine_for("", tmp_path)
    upgrade(engine)
    return engine


def _synchronous(engine: Engine, *, durable: bool) -> int:
    with writing(engine, durable=durable) as connection:
        return int(connection.execute(text("PRAGMA synchronous")).scalar_one())


def test_only_what_must_outlast_a_loss_of_power_waits_for_the_disk(sqlite: Engine) -> None:
    asked = (True, False, True, False, True)  # on one connection of the pool: none leaves a trace on the next
    found = [_synchronous(sqlite, durable=durable) for durable in asked]
    assert found == [FULL, NORMAL, FULL, NORMAL, FULL]
    sqlite.dispose()


def test_claim_counts_an_attempt_and_is_durable_and_its_heartbeat_is_not(sqlite: Engine) -> None:
    told: list[str] = []
    store = JobStore(sqlite)
    store.add_received(ReceivedObject("1.2", "1.3", "1.4", "1.5", "1.2.840.10008.1.2", "d", "p", 1, "A"))
    event.listen(sqlite, "before_cursor_execute", lambda *of: told.append(of[2]))

    job = store.claim("worker", 60.0)
    assert job is not None
    assert "PRAGMA synchronous=FULL" in told
    told.clear()
    assert store.heartbeat(job.id, "worker", 60.0)
    assert "PRAGMA synchronous=NORMAL" in told
    sqlite.dispose()


def test_server_that_may_be_killed_syncs_everything(postgresql_url: str, tmp_path: Path) -> None:
    engine = engine_for(postgresql_url, tmp_path)
    with writing(engine, durable=False) as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    engine.dispose()


def test_commit_that_waits_for_no_disk_is_there_for_others(engine: Engine, tmp_path: Path) -> None:
    with writing(engine, durable=False) as connection:
        connection.execute(text("CREATE TABLE seen (number INTEGER)"))
    with writing(engine, durable=False) as connection:
        connection.execute(text("INSERT INTO seen VALUES (7)"))
    url = engine.url.render_as_string(hide_password=False)
    other = engine_for(url, tmp_path)
    with other.begin() as connection:
        assert connection.execute(text("SELECT number FROM seen")).scalar_one() == 7
    other.dispose()


def test_writers_of_a_process_have_their_turns(sqlite: Engine) -> None:
    ends: list[str] = []
    begun = threading.Event()

    def write() -> None:
        begun.set()
        with writing(sqlite):
            ends.append("second")

    with writing(sqlite):
        second = threading.Thread(target=write)
        second.start()
        assert begun.wait(10)
        ends.append("first")
    second.join(20)
    assert ends == ["first", "second"]
    sqlite.dispose()


def test_turn_that_does_not_come_is_a_database_that_does_not_work(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.05)
    told: list[str] = []

    def write() -> None:
        with pytest.raises(DatabaseUnavailableError) as raised, writing(sqlite):
            pass
        told.append(str(raised.value))

    with writing(sqlite):
        second = threading.Thread(target=write)
        second.start()
        second.join(20)
    assert told == ["the database does not work: busy for 0.05 s"]
    with writing(sqlite):  # and the next has its turn
        pass
    sqlite.dispose()
