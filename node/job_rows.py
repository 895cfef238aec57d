"""Rows of jobs: reading them, locking them, and the one place where a job's state changes."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, insert, select, update

from node.database import job_events, jobs
from node.jobs import Job, Priority
from node.states import Event, State, next_state

MAX_REASON = 1000
"""A longer reason is cut, in characters."""

JOB_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]

# Made once: to put a statement together costs more than to execute it.
_ADD_EVENT = insert(job_events)
_CHANGE = update(jobs).where(jobs.c.id == bindparam("job")).returning(*JOB_COLUMNS)

NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}


def utc_now() -> datetime:
    """Return the time by this machine's clock, in UTC."""
    return datetime.now(UTC)


def clean(reason: str) -> str:
    """Return a reason as the database can hold it: short, and without what PostgreSQL refuses."""
    return reason.replace("\0", "")[:MAX_REASON]


def locked(connection: Connection, job_id: int) -> Row[Any] | None:
    """Return a job's row, locked until the transaction ends, or None where there is no such job."""
    query = select(*JOB_COLUMNS).where(jobs.c.id == job_id).with_for_update()
    return connection.execute(query).one_or_none()


def as_job(row: Row[Any]) -> Job:
    """Return a row as the value that travels."""
    return Job(**{**row._mapping, "state": State(row.state), "priority": Priority(row.priority)})


def entry(reason: str) -> tuple[Event, State]:
    """Return what happens to a received object first, and where it stands then; a reason: it is put aside."""
    happened = Event.QUARANTINE if reason else Event.QUEUE
    return happened, next_state(State.RECEIVED, happened)


def note_received(connection: Connection, reasons: Mapping[int, str], now: datetime) -> None:
    """Begin the histories of new jobs, each with the reason why it is put aside, empty: it is not."""
    lines = []
    for number, reason in reasons.items():
        happened, state = entry(reason)
        lines.append(_line(number, now, happened, State.RECEIVED, state) | {"reason": clean(reason)})
    connection.execute(_ADD_EVENT, lines)


def _line(number: int, now: datetime, happened: Event, before: State, after: State) -> dict[str, Any]:
    return {"job_id": number, "at": now, "event": happened, "from_state": before, "to_state": after}


class JobRows:
    """What the stores of jobs and of deliveries have in common.

    Args:
        engine: From `node.database.engine_for`, upgraded.
        clock: Tells the time in UTC: `node.clock.clock_for`, so that machines that share a database agree.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self.engine = engine
        self.clock = clock

    def moment(self, later_s: float) -> datetime:
        """Return the moment so many seconds from now."""
        return self.clock() + timedelta(seconds=later_s)

    def lease_end(self, lease_s: float) -> datetime:
        """Return when a lease ends that begins now."""
        return self.moment(lease_s)

    def move(
        self,
        connection: Connection,
        row: Row[Any],
        happened: Event,
        reason: str = "",
        changes: Mapping[str, Any] | None = None,
    ) -> Row[Any]:
        """Change a locked job as the table of states says, write its history, and return it as it is now."""
        now, before, reason = self.clock(), State(row.state), clean(reason)
        after = next_state(before, happened)
        values = dict(changes or {}) | {"state": after, "reason": reason, "updated_at": now}
        connection.execute(_ADD_EVENT, _line(row.id, now, happened, before, after) | {"reason": reason})
        return connection.execute(_CHANGE, {"job": row.id, **values}).one()
