"""How much waits, and for how long: asked of the database at every scrape, so each question must be cheap.

Every question reads an index from one end and stops at a limit. What is done is never counted: there may be
millions of it, and nobody waits for it. With a million finished jobs an answer takes as long as with none.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, Select, func, select

from node.database import deliveries, jobs, reading, results
from node.jobs import DeliveryState, Priority
from node.queue_order import oldest_first, sharing
from node.states import State

MOST = 100_000
"""No more are counted than this; the figure then means "this or more". Counting so many takes 20 ms."""

COUNTED: tuple[State, ...] = tuple(state for state in State if state is not State.DONE)
"""The states of jobs that are counted."""

AGED = (State.QUEUED, State.SEGMENTING, State.STORED, State.DELIVERING)
"""The states whose oldest job is told: somebody waits for it."""

COUNTED_DELIVERIES = (DeliveryState.WAITING, DeliveryState.SENT, DeliveryState.PARKED)
"""The states of deliveries that are counted, and whose oldest is told."""


@dataclass(frozen=True)
class Waiting:
    """What waits in one state.

    Attributes:
        count: How many; `MOST`: so many or more.
        oldest_s: For how many seconds the oldest has waited since its image came, or its result was made; 0
            where none does.
    """

    count: int
    oldest_s: float = 0.0


@dataclass(frozen=True)
class QueueFigures:
    """What waits now.

    Attributes:
        jobs: By state.
        deliveries: By (destination, state).
        last_delivered_at: When each destination last took something for good, UTC, where it ever did.
    """

    jobs: Mapping[State, Waiting]
    deliveries: Mapping[tuple[str, DeliveryState], Waiting]
    last_delivered_at: Mapping[str, datetime]


def queue_figures(
    engine: Engine, destinations: Collection[str], clock: Callable[[], datetime]
) -> QueueFigures:
    """Return what waits now.

    Args:
        engine: The database.
        destinations: Their names; others are not asked for.
        clock: Tells the time by which jobs are received, UTC.

    Raises:
        DatabaseUnavailableError: The database does not work.
    """
    now = clock()

    def waiting(connection: Connection, count: Select[int], oldest: list[Select[datetime]]) -> Waiting:
        number = int(connection.execute(count).scalar_one())
        found = [at for query in oldest if (at := connection.scalar(query)) is not None] if number else []
        return Waiting(number, max(0.0, (now - min(found)).total_seconds()) if found else 0.0)

    with reading(engine) as connection:
        of_jobs = {s: waiting(connection, count_jobs(s), list(_oldest_jobs(s))) for s in COUNTED}
        of_deliveries = {
            (name, state): waiting(
                connection, count_deliveries(name, state), list(_oldest_deliveries(name, state))
            )
            for name in destinations
            for state in COUNTED_DELIVERIES
        }
        last = {name: connection.scalar(last_delivered(name)) for name in destinations}
    return QueueFigures(of_jobs, of_deliveries, {name: at for name, at in last.items() if at is not None})


def count_jobs(state: State, most: int | None = None) -> Select[int]:
    """Return the question how many jobs are in a state, up to `most`; by the index (state, priority, id)."""
    # The order is the index's: PostgreSQL would read the table where it knows that many are in the state.
    limited = select(jobs.c.state).where(jobs.c.state == state).order_by(jobs.c.priority).limit(most or MOST)
    return select(func.count()).select_from(limited.subquery())


def oldest_job(state: State, priority: Priority) -> Select[datetime]:
    """Return the question when the oldest job of a state and a priority came; by the same index."""
    wanted = (jobs.c.state == state) & sharing(jobs.c.priority, priority)
    return select(jobs.c.created_at).where(wanted).order_by(*oldest_first(jobs.c.priority)).limit(1)


def count_deliveries(destination: str, state: DeliveryState) -> Select[int]:
    """Return the question how many deliveries are in a state; by (destination, state, priority, id)."""
    wanted = (deliveries.c.destination == destination) & (deliveries.c.state == state)
    limited = select(deliveries.c.state).where(wanted).order_by(deliveries.c.priority).limit(MOST)
    return select(func.count()).select_from(limited.subquery())


def oldest_delivery(destination: str, state: DeliveryState, priority: Priority) -> Select[datetime]:
    """Return the question when the result of the oldest delivery was made; by the same index."""
    wanted = (deliveries.c.destination == destination) & (deliveries.c.state == state)
    first = (
        select(deliveries.c.result_id)
        .where(wanted & sharing(deliveries.c.priority, priority))
        .order_by(*oldest_first(deliveries.c.priority))
        .limit(1)
        .scalar_subquery()
    )
    return select(results.c.created_at).where(results.c.id == first)


def last_delivered(destination: str) -> Select[datetime]:
    """Return the question when something was last delivered; by (destination, state, updated_at)."""
    wanted = (deliveries.c.destination == destination) & (deliveries.c.state == DeliveryState.DELIVERED)
    return select(deliveries.c.updated_at).where(wanted).order_by(deliveries.c.updated_at.desc()).limit(1)


def _oldest_jobs(state: State) -> Iterator[Select[datetime]]:
    yield from (oldest_job(state, priority) for priority in Priority if state in AGED)


def _oldest_deliveries(destination: str, state: DeliveryState) -> Iterator[Select[datetime]]:
    yield from (oldest_delivery(destination, state, priority) for priority in Priority)
