"""The node's command in a process whose disk, database or clock fails while a file says so.

FOLDER, then as for `paxnode`. In the folder: `eio` lets every second fsync fail with EIO, `read-only` lets
SQLite take no writes, `clock` holds the seconds by which the clock is ahead.
"""

import errno
import itertools
import os
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, event

import node.job_rows
import node.sender
import node.worker
from node.cli import main

CLOCKS: tuple[ModuleType, ...] = (node.job_rows, node.sender, node.worker)


def fail_syncs(flag: Path) -> None:
    """Let every second fsync fail while a file is there."""
    fsync, numbers = os.fsync, itertools.count()

    def failing(descriptor: int) -> None:
        if flag.exists() and next(numbers) % 2 == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    setattr(os, "fsync", failing)  # noqa: B010 - mypy holds that a function cannot be replaced


def refuse_writes(flag: Path) -> None:
    """Let SQLite take no writes while a file is there."""

    @event.listens_for(Engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA query_only = {int(flag.exists())}")


def move_clock(flag: Path) -> None:
    """Let the clock be ahead by the seconds that stand in a file."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=float(flag.read_text()) if flag.exists() else 0)

    for module in CLOCKS:
        setattr(module, "datetime", Moved)  # noqa: B010 - mypy knows that a module has no such variable


if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    fail_syncs(folder / "eio")
    refuse_writes(folder / "read-only")
    move_clock(folder / "clock")
    main()
