"""The time by which leases are given: one for all machines that share a database."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, NullPool, create_engine, func, select

from node.database import translated
from node.errors import DatabaseUnavailableError
from node.job_rows import utc_now
from node.postgresql import postgresql_options

ASK_EVERY_S = 30.0
"""The server is asked again after so many seconds; until then its time is counted on."""


class DatabaseClock:
    """Tells the time of the database's server, in UTC. Safe for many threads.

    This machine's wall clock has no part in it: between two questions the time is counted on by the clock
    that never jumps (`time.monotonic`). While the server does not answer it is counted on likewise.

    Args:
        ask: Returns the server's time; DatabaseUnavailableError when it does not answer.
        monotonic: Counts seconds.
    """

    def __init__(self, ask: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: tuple[datetime, float] | None = None
        self._ask_at = 0.0

    def __call__(self) -> datetime:
        """Return the time; DatabaseUnavailableError when the server has never answered."""
        with self._lock:
            if self._known is None or self._monotonic() >= self._ask_at:
                self._learn()
            assert self._known is not None, "it was learnt, or an error was raised"
            then, counted = self._known
            return then + timedelta(seconds=self._monotonic() - counted)

    def _learn(self) -> None:
        begun = self._monotonic()
        try:
            told = self._ask()
            self._known = told, (begun + self._monotonic()) / 2  # it looked halfway there and back
        except DatabaseUnavailableError:
            if self._known is None:
                raise
        self._ask_at = self._monotonic() + ASK_EVERY_S


def clock_for(engine: Engine) -> Callable[[], datetime]:
    """Return a database's clock: for SQLite, which serves one machine, the machine's; else the server's."""
    if engine.dialect.name == "sqlite":
        return utc_now
    # Connections of its own: whoever asks for the time may hold the pool's last one.
    options = postgresql_options(engine.url)
    own = create_engine(engine.url, hide_parameters=True, poolclass=NullPool, connect_args=options)

    def ask() -> datetime:
        with translated(), own.connect() as connection:
            told: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            return told.astimezone(UTC)

    return DatabaseClock(ask)
