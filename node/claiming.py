"""Whose turn it is in the queues of jobs and deliveries, and what is owed to a job whose worker died.

Each question asks for the first row of one state and one priority, in the order of an index: its cost does
not grow with the rows behind the first one that may begin, only with those before it that must still wait.
A clock that was put back must not hold up work: a row that was written later than now waits for nothing, and
a lease that ends later than any could is cut to one that begins now.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, and_, or_, select, update

from node.backoff import Backoff
from node.database import deliveries, jobs
from node.job_rows import JOB_COLUMNS
from node.jobs import DeliveryState, Job, Priority
from node.queue_order import oldest_first, sharing
from node.states import State

AGEING_S = 3600.0
"""A job of low priority that has waited for so long counts as a routine one, so that it is done one day.

Nothing ever becomes urgent by waiting: behind a long queue an urgent image would come too late.
"""

CLOCK_TOLERANCE_S = 60.0
"""What lies further ahead than it could, by more than this, was written before the clock was put back."""

RETRY_BACKOFF = Backoff(first_s=15.0, longest_s=600.0)
"""How long a job waits after it failed or killed its worker.

Five failures take two to four minutes, so that a passing lack of memory does not use up all attempts. Jobs
that were lost together come back apart from each other.
"""

FREE_DEATHS = 1
"""So many dead workers are not held against a job: a machine may be switched off under any."""


def next_job(connection: Connection, now: datetime) -> Row[Any] | None:
    """Return the job that is to be worked on next, locked; None where none waits.

    The urgent ones, the routine ones, those of low priority; the oldest of each first.
    """
    urgent = _head(connection, Priority.URGENT, now)
    if urgent is not None:
        return urgent
    routine, low = _head(connection, Priority.ROUTINE, now), _head(connection, Priority.LOW, now)
    if routine is None or low is None:
        return routine or low
    has_aged = low.updated_at <= now - timedelta(seconds=AGEING_S)
    return low if has_aged and low.id < routine.id else routine


def _head(connection: Connection, priority: Priority, now: datetime) -> Row[Any] | None:
    may_begin = or_(jobs.c.not_before <= now, jobs.c.updated_at > _beyond(now))
    waiting = and_(jobs.c.state == State.QUEUED, sharing(jobs.c.priority, priority), may_begin)
    query = select(*JOB_COLUMNS).where(waiting).order_by(*oldest_first(jobs.c.priority)).limit(1)
    # SQLite leaves out FOR UPDATE: it locks the whole database.
    return connection.execute(query.with_for_update(skip_locked=True)).one_or_none()


def silent_jobs(connection: Connection, now: datetime, lease_s: float) -> Sequence[Row[Any]]:
    """Return jobs whose leases have ended, locked; leases of `lease_s` seconds are given."""
    held = jobs.c.state == State.SEGMENTING
    end = now + timedelta(seconds=lease_s)
    too_long = and_(held, jobs.c.lease_until > _beyond(end))
    connection.execute(update(jobs).where(too_long).values(lease_until=end))
    query = select(*JOB_COLUMNS).where(held, jobs.c.lease_until <= now).order_by(jobs.c.id)
    return connection.execute(query.with_for_update(skip_locked=True)).all()


def died_reason(row: Row[Any]) -> str:
    """Return what is said of a job whose worker died: with the stage in which it did, where it is known."""
    return f"its worker died {row.trace if row.trace.startswith('while ') else ''}".rstrip()


def patience_s(row: Row[Any]) -> float:
    """Return for how many seconds a job waits whose worker died: not at all the first time."""
    deaths = row.attempts - FREE_DEATHS
    return RETRY_BACKOFF.delay_s(deaths) if deaths > 0 else 0.0


def priority_after_death(row: Row[Any]) -> Priority:
    """Return the priority of a job whose worker died.

    One that did it repeatedly lets its equals go first: after each restart it would be the first again.
    """
    lowered = row.priority - 1 if row.attempts > FREE_DEATHS else row.priority
    return Priority(max(lowered, Priority.LOW))


def decided_priority(job: Job, asked: Priority | None) -> Priority:
    """Return the priority of a job that is worked on: what the rules ask for, unless it has killed a worker.

    Args:
        job: As it was claimed.
        asked: By the rules; None: they do not say.
    """
    return job.priority if asked is None or job.attempts > FREE_DEATHS else asked


def next_deliveries(
    connection: Connection, destination: str, state: DeliveryState, now: datetime, end: datetime, limit: int
) -> list[int]:
    """Return the deliveries to a destination, in a state, whose turn it is, at most `limit`, locked.

    A lease that begins now ends at `end`.
    """
    theirs = and_(deliveries.c.destination == destination, deliveries.c.state == state)
    free = or_(
        deliveries.c.lease_until.is_(None),
        deliveries.c.lease_until <= now,
        deliveries.c.lease_until > _beyond(end),
    )
    due_in_time, due_by_a_jump = deliveries.c.due_at <= now, deliveries.c.updated_at > _beyond(now)
    orders = ((due_in_time, deliveries.c.due_at), (due_by_a_jump, deliveries.c.updated_at))
    if not any(_is_any(connection, and_(theirs, free, due), order) for due, order in orders):
        return []
    due = or_(due_in_time, due_by_a_jump)
    found: list[int] = []
    for priority in (Priority.URGENT, Priority.ROUTINE):
        turn = sharing(deliveries.c.priority, priority)
        query = select(deliveries.c.id).where(theirs, turn, due, free).limit(limit - len(found))
        query = query.order_by(*oldest_first(deliveries.c.priority)).with_for_update(skip_locked=True)
        found += connection.scalars(query) if len(found) < limit else []
    return found


def _is_any(connection: Connection, wanted: ColumnElement[bool], order: Column[Any]) -> bool:
    """Return whether there is such a delivery; an index in this order answers without what is not due yet."""
    query = select(deliveries.c.id).where(wanted).order_by(order).limit(1)
    return connection.execute(query).first() is not None


def _beyond(moment: datetime) -> datetime:
    return moment + timedelta(seconds=CLOCK_TOLERANCE_S)
