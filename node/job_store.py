"""Jobs and deliveries in the database: every change of a state is one transaction.

Leases are compared with this machine's clock, so the clocks of machines that share a database must agree
to within a small part of a lease.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from node.database import deliveries, job_events, jobs, reading, results, writing
from node.errors import LeaseLostError, TransitionError
from node.jobs import Admission, Delivery, DeliveryState, Job, JobEvent, ReceivedObject, StoredResult
from node.states import Event, State, next_state

__all__ = [
    "Admission",
    "Delivery",
    "DeliveryState",
    "Job",
    "JobEvent",
    "JobStore",
    "ReceivedObject",
    "StoredResult",
]

_MAX_REASON = 1000
"""A longer reason is cut, in characters."""

_RETRIED = {State.REFUSED, State.QUARANTINED, State.FAILED}

_JOB_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]


def _now() -> datetime:
    return datetime.now(UTC)


class JobStore:
    """What the node knows of its jobs. Safe for many threads, processes and machines at once.

    Every method raises DatabaseUnavailableError when the database does not work; nothing was changed then,
    unless the connection broke in the very moment of the commit.

    Args:
        engine: From `node.database.engine_for`, upgraded.
        max_attempts: A job that was begun so often without an end has failed.
        clock: Tells the time in UTC.
    """

    def __init__(self, engine: Engine, max_attempts: int = 3, clock: Callable[[], datetime] = _now) -> None:
        self._engine = engine
        self._max_attempts = max_attempts
        self._clock = clock

    # ---- receiving

    def add_received(self, received: ReceivedObject) -> Admission:
        """Make a job of an object that is safe in the spool, unless the same content came before."""
        try:
            return self._add(received)
        except IntegrityError:  # the same SOP Instance came at the same moment; now it is there to compare
            return self._add(received)

    def _add(self, received: ReceivedObject) -> Admission:
        with writing(self._engine) as connection:
            query = select(jobs.c.digest).where(jobs.c.sop_instance_uid == received.sop_instance_uid)
            digests = set(connection.scalars(query))
            if received.digest in digests:
                return Admission.DUPLICATE
            conflict = "other content came before under this SOP Instance UID" if digests else ""
            reason = received.quarantine_reason or conflict
            row = self._insert(connection, received, is_primary=not digests)
            self._move(connection, row, Event.QUARANTINE if reason else Event.QUEUE, reason)
        if not reason:
            return Admission.NEW
        return Admission.CONFLICT if conflict else Admission.QUARANTINED

    def _insert(self, connection: Connection, received: ReceivedObject, *, is_primary: bool) -> Row[Any]:
        now = self._clock()
        values = {name: getattr(received, name) for name in received.__dataclass_fields__}
        del values["quarantine_reason"]
        values |= {"state": State.RECEIVED, "reason": "", "attempts": 0, "not_before": now}
        values |= {"primary_uid": received.sop_instance_uid if is_primary else None}
        values |= {"created_at": now, "updated_at": now}
        return connection.execute(insert(jobs).values(values).returning(*_JOB_COLUMNS)).one()

    # ---- working

    def claim(self, worker_id: str, lease_s: float) -> Job | None:
        """Give the oldest job that waits, or whose worker has gone silent, to a worker; None: there is none.

        A job that was begun too often without an end is put aside as failed on the way.
        """
        while True:
            with writing(self._engine) as connection:
                row = connection.execute(self._claimable()).one_or_none()
                if row is None:
                    return None
                if row.attempts >= self._max_attempts:
                    reason = row.reason or "its worker died"
                    self._move(connection, row, Event.GIVE_UP, f"{reason} ({row.attempts} attempts)")
                    continue
                lease = {"lease_owner": worker_id, "lease_until": self._lease_end(lease_s)}
                changes = lease | {"attempts": row.attempts + 1}
                return _job(self._move(connection, row, Event.CLAIM, "", changes))

    def _claimable(self) -> Any:
        now = self._clock()
        waiting = and_(jobs.c.state == State.QUEUED, jobs.c.not_before <= now)
        abandoned = and_(jobs.c.state == State.SEGMENTING, jobs.c.lease_until <= now)
        query = select(*_JOB_COLUMNS).where(or_(waiting, abandoned)).order_by(jobs.c.id).limit(1)
        return query.with_for_update(skip_locked=True)  # left out by SQLite, which locks the whole

    def heartbeat(self, job_id: int, worker_id: str, lease_s: float) -> bool:
        """Renew a lease; tell whether the worker still holds it."""
        held = and_(jobs.c.id == job_id, jobs.c.lease_owner == worker_id, jobs.c.state == State.SEGMENTING)
        with writing(self._engine) as connection:
            change = update(jobs).where(held).values(lease_until=self._lease_end(lease_s))
            return connection.execute(change).rowcount == 1

    def finish(
        self, job_id: int, worker_id: str, results: Sequence[StoredResult], destinations: Sequence[str]
    ) -> None:
        """Record a job's results and a delivery of each to each destination, all or nothing.

        Raises:
            LeaseLostError: Another worker has the job; nothing was recorded.
        """
        with writing(self._engine) as connection:
            row = self._move(connection, self._held(connection, job_id, worker_id), Event.STORE)
            for result in results:
                self._insert_result(connection, job_id, result, destinations)
            if not results or not destinations:
                self._move(connection, row, Event.COMPLETE)

    def _insert_result(
        self, connection: Connection, job_id: int, result: StoredResult, destinations: Sequence[str]
    ) -> None:
        now = self._clock()
        values = {name: getattr(result, name) for name in result.__dataclass_fields__}
        query = insert(results).values(job_id=job_id, created_at=now, **values).returning(results.c.id)
        common = {"job_id": job_id, "result_id": connection.execute(query).scalar_one()}
        common |= {
            "state": DeliveryState.WAITING,
            "attempts": 0,
            "due_at": now,
            "reason": "",
            "updated_at": now,
        }
        for destination in dict.fromkeys(destinations):
            connection.execute(insert(deliveries).values(destination=destination, **common))

    def refuse(self, job_id: int, worker_id: str, reason: str) -> None:
        """Record that the node does not serve such an image; LeaseLostError as in `finish`."""
        self._end(job_id, worker_id, Event.REFUSE, reason)

    def quarantine(self, job_id: int, worker_id: str, reason: str) -> None:
        """Record that an image cannot be understood; LeaseLostError as in `finish`."""
        self._end(job_id, worker_id, Event.QUARANTINE, reason)

    def give_back(
        self,
        job_id: int,
        worker_id: str,
        reason: str,
        *,
        retry_at: datetime | None = None,
        counted: bool = True,
    ) -> State:
        """Let a job be worked on again; return its state: failed when it was begun too often.

        Args:
            job_id: Which.
            worker_id: Who holds it.
            reason: Why, for the admin.
            retry_at: Not before, UTC; None: at once.
            counted: False when the job is not to blame, such as when the node stops.

        Raises:
            LeaseLostError: Another worker has the job; nothing was recorded.
        """
        with writing(self._engine) as connection:
            row = self._held(connection, job_id, worker_id)
            if counted and row.attempts >= self._max_attempts:
                row = self._move(connection, row, Event.GIVE_UP, reason, _NO_LEASE)
            else:
                attempts = row.attempts if counted else row.attempts - 1
                changes = _NO_LEASE | {"attempts": attempts, "not_before": retry_at or self._clock()}
                row = self._move(connection, row, Event.GIVE_BACK, reason, changes)
            return State(row.state)

    def _end(self, job_id: int, worker_id: str, happened: Event, reason: str) -> None:
        with writing(self._engine) as connection:
            self._move(connection, self._held(connection, job_id, worker_id), happened, reason)

    def _held(self, connection: Connection, job_id: int, worker_id: str) -> Row[Any]:
        """Return a job's row, locked; LeaseLostError when the worker does not hold it any more.

        A lease that has run out, but was not taken over, is still held.
        """
        row = _locked(connection, job_id)
        if row is None or row.lease_owner != worker_id or row.state != State.SEGMENTING:
            raise LeaseLostError(f"job {job_id} is no longer held by {worker_id}")
        return row

    def _lease_end(self, lease_s: float) -> datetime:
        return self._clock() + timedelta(seconds=lease_s)

    # ---- delivering

    def claim_deliveries(
        self, destination: str, worker_id: str, lease_s: float, limit: int
    ) -> list[Delivery]:
        """Give a destination's due deliveries, the oldest first, to a sender for as long as the lease."""
        now = self._clock()
        free = or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now)
        due = and_(deliveries.c.state == DeliveryState.WAITING, deliveries.c.due_at <= now, free)
        chosen = select(deliveries.c.id).where(deliveries.c.destination == destination, due)
        chosen = chosen.order_by(deliveries.c.id).limit(limit).with_for_update(skip_locked=True)
        lease = {"lease_owner": worker_id, "lease_until": self._lease_end(lease_s), "updated_at": now}
        with writing(self._engine) as connection:
            ids = list(connection.scalars(chosen))
            connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(lease))
            found = _deliveries(connection, deliveries.c.id.in_(ids))
            begun = jobs.c.id.in_({delivery.job_id for delivery in found}) & (jobs.c.state == State.STORED)
            for job_id in list(connection.scalars(select(jobs.c.id).where(begun).order_by(jobs.c.id))):
                row = _locked(connection, job_id)
                if row is not None and row.state == State.STORED:  # still: another sender may have begun
                    self._move(connection, row, Event.DELIVER)
        return found

    def delivered(self, delivery_id: int, status: int) -> None:
        """Record that a destination has an object; a job whose every delivery is done is done."""
        with writing(self._engine) as connection:
            changes = {"state": DeliveryState.DELIVERED, "status": status, "reason": ""}
            job_id = self._change_delivery(connection, delivery_id, changes)
            left = select(func.count()).where(
                deliveries.c.job_id == job_id, deliveries.c.state != DeliveryState.DELIVERED
            )
            row = _locked(connection, job_id)
            if row is not None and row.state != State.DONE and not connection.execute(left).scalar_one():
                self._move(connection, row, Event.COMPLETE)

    def delivery_failed(
        self, delivery_id: int, reason: str, retry_at: datetime | None, status: int | None = None
    ) -> None:
        """Record that a destination did not take an object; a late word on a delivered one changes nothing.

        Args:
            delivery_id: Which.
            reason: Why, for the admin.
            retry_at: When it is tried again, UTC; None parks it until somebody asks for it.
            status: What the destination answered, if it did.
        """
        state = DeliveryState.PARKED if retry_at is None else DeliveryState.WAITING
        changes = {
            "state": state,
            "status": status,
            "reason": reason[:_MAX_REASON],
            "due_at": retry_at or self._clock(),
        }
        with writing(self._engine) as connection:
            self._change_delivery(connection, delivery_id, changes | {"attempts": deliveries.c.attempts + 1})

    def _change_delivery(self, connection: Connection, delivery_id: int, changes: Mapping[str, Any]) -> int:
        """Change a delivery unless it is done, take its lease, and return its job."""
        job_id = connection.execute(
            select(deliveries.c.job_id).where(deliveries.c.id == delivery_id)
        ).scalar_one()
        _locked(connection, job_id)  # two deliveries of a job that end at once must see each other
        open_ = and_(deliveries.c.id == delivery_id, deliveries.c.state != DeliveryState.DELIVERED)
        values = dict(changes) | _NO_LEASE | {"updated_at": self._clock()}
        connection.execute(update(deliveries).where(open_).values(values))
        return int(job_id)

    # ---- looking and asking again

    def job(self, job_id: int) -> Job | None:
        """Return a job, or None where there is none with this number."""
        with reading(self._engine) as connection:
            row = connection.execute(select(*_JOB_COLUMNS).where(jobs.c.id == job_id)).one_or_none()
        return None if row is None else _job(row)

    def jobs(self, state: State | None = None, limit: int = 100) -> list[Job]:
        """Return the latest jobs, the latest first, all or those in one state."""
        query = select(*_JOB_COLUMNS).order_by(jobs.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            rows = connection.execute(query if state is None else query.where(jobs.c.state == state))
            return [_job(row) for row in rows]

    def counts(self) -> dict[State, int]:
        """Return how many jobs are in each state, zeros included."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with reading(self._engine) as connection:
            found = {State(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in State}

    def paths(self) -> set[str]:
        """Return where the objects of all jobs lie, relative to the spool's folder."""
        with reading(self._engine) as connection:
            return set(connection.scalars(select(jobs.c.path)))

    def history(self, job_id: int) -> list[JobEvent]:
        """Return everything that happened to a job, the first first."""
        columns = [job_events.c[name] for name in JobEvent.__dataclass_fields__]
        query = select(*columns).where(job_events.c.job_id == job_id).order_by(job_events.c.id)
        with reading(self._engine) as connection:
            return [JobEvent(*row) for row in connection.execute(query)]

    def results(self, job_id: int) -> list[StoredResult]:
        """Return a job's results."""
        query = select(*_RESULT_COLUMNS).where(results.c.job_id == job_id).order_by(results.c.id)
        with reading(self._engine) as connection:
            return [StoredResult(*row) for row in connection.execute(query)]

    def deliveries(self, job_id: int | None = None, state: DeliveryState | None = None) -> list[Delivery]:
        """Return deliveries, all or those of one job, in every state or in one."""
        wanted = [deliveries.c.job_id == job_id] if job_id is not None else []
        wanted += [deliveries.c.state == state] if state is not None else []
        with reading(self._engine) as connection:
            return _deliveries(connection, and_(True, *wanted))

    def retry(self, job_id: int) -> Job:
        """Queue a refused, quarantined or failed job again, or send a job's parked deliveries again.

        Raises:
            TransitionError: There is no such job, or nothing of it can be tried again.
        """
        with writing(self._engine) as connection:
            row = _locked(connection, job_id)
            if row is None:
                raise TransitionError(f"there is no job {job_id}")
            if State(row.state) in _RETRIED:
                changes = {"attempts": 0, "not_before": self._clock()}
                return _job(self._move(connection, row, Event.RETRY, "", changes))
            if not self._unpark(connection, job_id):
                raise TransitionError(f"job {job_id} is {row.state}; nothing of it can be tried again")
            return _job(self._move(connection, row, Event.RETRY, row.reason))

    def _unpark(self, connection: Connection, job_id: int) -> int:
        now = self._clock()
        parked = and_(deliveries.c.job_id == job_id, deliveries.c.state == DeliveryState.PARKED)
        values = {"state": DeliveryState.WAITING, "attempts": 0, "due_at": now, "updated_at": now}
        return connection.execute(update(deliveries).where(parked).values(values)).rowcount

    # ---- the one place where a job's state changes

    def _move(
        self,
        connection: Connection,
        row: Row[Any],
        happened: Event,
        reason: str = "",
        changes: Mapping[str, Any] | None = None,
    ) -> Row[Any]:
        """Change a locked job as the table of states says, write its history, and return it as it is now."""
        now, before, reason = self._clock(), State(row.state), reason.replace("\0", "")[:_MAX_REASON]
        after = next_state(before, happened)
        values = dict(changes or {}) | {"state": after, "reason": reason, "updated_at": now}
        step = {"event": happened, "from_state": before, "to_state": after, "reason": reason}
        connection.execute(insert(job_events).values(job_id=row.id, at=now, **step))
        query = update(jobs).where(jobs.c.id == row.id).values(values).returning(*_JOB_COLUMNS)
        return connection.execute(query).one()


_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
_RESULT_COLUMNS = [results.c[name] for name in StoredResult.__dataclass_fields__]


def _locked(connection: Connection, job_id: int) -> Row[Any] | None:
    query = select(*_JOB_COLUMNS).where(jobs.c.id == job_id).with_for_update()
    return connection.execute(query).one_or_none()


def _job(row: Row[Any]) -> Job:
    return Job(**{**row._mapping, "state": State(row.state)})


def _deliveries(connection: Connection, wanted: Any) -> list[Delivery]:
    names = [name for name in Delivery.__dataclass_fields__ if name != "result"]
    joined = select(*(deliveries.c[name] for name in names), *_RESULT_COLUMNS).select_from(
        deliveries.join(results, deliveries.c.result_id == results.c.id)
    )
    rows = connection.execute(joined.where(wanted).order_by(deliveries.c.id))
    return [_delivery(dict(zip(names, row, strict=False)), StoredResult(*row[len(names) :])) for row in rows]


def _delivery(values: dict[str, Any], result: StoredResult) -> Delivery:
    return Delivery(**(values | {"state": DeliveryState(values["state"])}), result=result)
