"""How a database does what it is asked: the plan of each statement, and how many rows or steps it costs."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event

from node.database import metadata
from node.web import account_tables  # noqa: F401 - its tables belong to the metadata

STEPS_A_TICK = 10
"""SQLite tells of so many instructions of its machine at once."""

_ROWS_READ = (
    "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
)

TABLES = frozenset(metadata.tables) | {f"{name}_1" for name in metadata.tables}
"""With the names that they have where a statement names one twice."""

_ASKING = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass
class Asked:
    """One statement that was executed.

    Attributes:
        statement: Its text.
        plan: The steps of it, as the database tells them.
        scanned: The tables of which it may read every row.
        work: What it cost: rows read (PostgreSQL), instructions (SQLite).
    """

    statement: str
    plan: str
    scanned: frozenset[str]
    work: int = 0


@contextmanager
def statements_of(engine: Engine) -> Iterator[list[Asked]]:
    """Collect what is asked of a database meanwhile."""
    asked: list[Asked] = []
    look = _SqliteLook(asked) if engine.dialect.name == "sqlite" else _PostgresqlLook(asked)
    event.listen(engine, "before_cursor_execute", look.before)
    event.listen(engine, "after_cursor_execute", look.after)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", look.before)
        event.remove(engine, "after_cursor_execute", look.after)
        look.end()


class _SqliteLook:
    """Rows are found while they are fetched, so a statement works until the next one begins."""

    def __init__(self, asked: list[Asked]) -> None:
        self._asked = asked
        self._connections: list[Any] = []

    def before(self, connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.lstrip().startswith(_ASKING):
            return
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(None, STEPS_A_TICK)
        plan = [str(row[3]) for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        scanned = frozenset(step.split()[1] for step in plan if step.startswith("SCAN")) & TABLES
        is_end = "WHERE" not in statement and "LIMIT" in statement and "TEMP B-TREE" not in "".join(plan)
        self._asked.append(Asked(statement, "\n".join(plan), frozenset() if is_end else scanned))
        self._connections.append(raw)
        raw.set_progress_handler(self._tick, STEPS_A_TICK)

    def after(self, *_: Any) -> None:
        """Nothing: its rows are not fetched yet."""

    def end(self) -> None:
        for raw in self._connections:
            raw.set_progress_handler(None, STEPS_A_TICK)

    def _tick(self) -> int:
        self._asked[-1].work += STEPS_A_TICK
        return 0


class _PostgresqlLook:
    def __init__(self, asked: list[Asked]) -> None:
        self._asked = asked

    def before(self, connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.lstrip().startswith(_ASKING):
            return
        with self._cursor(connection) as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            plan = cursor.fetchone()[0][0]["Plan"]
        scanned = frozenset(_scanned(plan))
        self._asked.append(Asked(statement, json.dumps(plan, indent=1), scanned, -self._read(connection)))

    def after(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(_ASKING):
            self._asked[-1].work += self._read(connection)

    def end(self) -> None:
        """Nothing: it only listened."""

    def _read(self, connection: Connection) -> int:
        with self._cursor(connection) as cursor:
            cursor.execute(_ROWS_READ)
            return int(cursor.fetchone()[0])

    def _cursor(self, connection: Connection) -> Any:
        raw: Any = connection.connection.driver_connection
        return raw.cursor()


def _scanned(node: dict[str, Any], *, is_cut: bool = False) -> Iterator[str]:
    """Yield the tables of which a step of a plan, or one below it, may read every row.

    Reading an index from one end is no such thing where a limit cuts it off and nothing is filtered out.
    """
    kind = node["Node Type"]
    is_end = is_cut and "Filter" not in node
    if kind == "Seq Scan" or ("Index" in kind and not node.get("Index Cond") and not is_end):
        yield str(node.get("Relation Name", node.get("Index Name")))
    for child in node.get("Plans", ()):
        yield from _scanned(child, is_cut=kind in ("Limit", "LockRows"))


def told(asked: Sequence[Asked]) -> str:
    """Return statements with their plans, for whoever reads why a test failed."""
    return "\n\n".join(f"{each.work}: {each.statement}\n{each.plan}" for each in asked)
