"""The time by which leases are given is the database's, and this machine's clock has no part in it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from node.clock import ASK_EVERY_S, DatabaseClock, clock_for
from node.database import engine_for
from node.errors import DatabaseUnavailableError
from node.job_rows import utc_now

START = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


class Server:
    """A database's clock, and this machine's counter of seconds."""

    def __init__(self) -> None:
        self.passed_s, self.ahead_s, self.questions, self.is_away = 100.0, 0.0, 0, False
        self.clock = DatabaseClock(self.ask, lambda: self.passed_s)

    def ask(self) -> datetime:
        self.questions += 1
        if self.is_away:
            raise DatabaseUnavailableError("away")
        return START + timedelta(seconds=self.passed_s - 100 + self.ahead_s)


def test_time_is_counted_on_between_questions() -> None:
    server = Server()

    assert server.clock() == START
    server.passed_s += ASK_EVERY_S - 1
    assert server.clock() == START + timedelta(seconds=ASK_EVERY_S - 1)
    assert server.questions == 1


def test_server_is_asked_again_and_what_it_says_holds() -> None:
    server = Server()
    server.clock()
    server.ahead_s = 5
    server.passed_s += ASK_EVERY_S

    assert server.clock() == START + timedelta(seconds=ASK_EVERY_S + 5)


def test_time_goes_on_while_the_server_is_away() -> None:
    server = Server()
    server.clock()
    server.is_away = True
    server.passed_s += 10 * ASK_EVERY_S

    assert server.clock() == START + timedelta(seconds=10 * ASK_EVERY_S)


def test_server_that_never_answered_is_told() -> None:
    server = Server()
    server.is_away = True

    with pytest.raises(DatabaseUnavailableError):
        server.clock()


def test_time_of_a_real_database_is_utc_and_about_now(engine: Engine) -> None:
    told = clock_for(engine)()

    assert told.utcoffset() == timedelta(0)
    assert abs(told - datetime.now(UTC)) < timedelta(seconds=5)


def test_sqlite_has_this_machines_time(tmp_path: Path) -> None:
    engine = engine_for("", tmp_path)

    assert clock_for(engine) is utc_now
    engine.dispose()
