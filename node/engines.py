"""Engines for SQLite and PostgreSQL, and how their transactions begin."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from node.errors import DatabaseUnavailableError
from node.postgresql import postgresql_options

BUSY_TIMEOUT_S = 20.0
"""How long a transaction waits for another that writes (SQLite), or for a free connection."""


def postgresql_engine(url: URL) -> Engine:
    """Return an engine on PostgreSQL; every transaction waits for the disk: its server may be killed."""
    return create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args=postgresql_options(url),
    )


def sqlite_engine(url: str) -> Engine:
    """Return an engine on an SQLite file; one thread of it writes at a time."""
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args={"timeout": BUSY_TIMEOUT_S},
        execution_options={"turn": threading.Lock()},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, below
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options['durable'] else 'NORMAL'}")
    # A transaction that reads first and then writes would fail, not wait, when another has written between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def turn(engine: Engine) -> Iterator[None]:
    """Let the writers of one process wait for each other here: SQLite itself would ask again and again."""
    lock = engine.get_execution_options().get("turn")
    if lock is None:
        yield
        return
    if not lock.acquire(timeout=BUSY_TIMEOUT_S):
        raise DatabaseUnavailableError(f"the database does not work: busy for {BUSY_TIMEOUT_S:g} s")
    try:
        yield
    finally:
        lock.release()


def give_to_owner(engine: Engine, data_dir: Path) -> None:
    """Give a SQLite file that root has made to the owner of the data folder, who is to write it."""
    if os.geteuid() != 0 or engine.url.get_backend_name() != "sqlite":
        return
    owner = data_dir.stat()
    for suffix in ("", "-wal", "-shm"):
        path = Path(f"{engine.url.database}{suffix}")
        if path.exists() and path.stat().st_uid == 0 != owner.st_uid:
            os.chown(path, owner.st_uid, owner.st_gid)
