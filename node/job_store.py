"""Jobs and deliveries in the database: every change of a state is one transaction."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    Engine,
    Row,
    and_,
    bindparam,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from node.claiming import (
    decided_priority,
    died_reason,
    next_job,
    patience_s,
    priority_after_death,
    silent_jobs,
)
from node.database import deliveries, jobs, results, tombstones, writing
from node.errors import LeaseLostError
from node.group_commit import GroupCommit
from node.identities import add_identifiers, keep_identifiers
from node.job_orders import JobOrders
from node.job_rows import JOB_COLUMNS, NO_LEASE, as_job, clean, entry, locked, note_received, utc_now
from node.jobs import (
    NO_FILE,
    AddressedResult,
    Admission,
    Delivery,
    DeliveryState,
    Identifiers,
    Job,
    JobEvent,
    Priority,
    ReceivedObject,
    StoredResult,
)
from node.repeated import repeated
from node.states import PUT_ASIDE, Event, State

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

MAX_ADDS = 5
"""How often an object is added that others, sent under its UID at the same moment, come before."""

# Made once: to put a statement together costs more than to execute it.
_COLUMNS: list[Column[Any]] = [*JOB_COLUMNS, jobs.c.primary_uid]
_SAME_UID = jobs.c.sop_instance_uid == bindparam("uid")
_WITH_SAME_UID = select(*_COLUMNS).where(_SAME_UID).order_by(jobs.c.id).with_for_update()
_BURIED = select(tombstones.c.digest).where(tombstones.c.sop_instance_uid == bindparam("uid"))
_UIDS: BindParameter[str] = bindparam("uids", expanding=True)
_KNOWN = union_all(
    *(
        select(each.c.sop_instance_uid).where(each.c.sop_instance_uid.in_(_UIDS))
        for each in (jobs, tombstones)
    )
)
_INSERT = insert(jobs).returning(jobs.c.id, jobs.c.sop_instance_uid, jobs.c.digest)


class JobStore(JobOrders):
    """What the node knows of its jobs. Safe for many threads, processes and machines at once.

    Every method raises DatabaseUnavailableError when the database does not work; nothing was changed then,
    unless the connection broke in the very moment of the commit.

    Args:
        engine: From `node.database.engine_for`, upgraded.
        max_attempts: A job that was begun so often without an end has failed.
        clock: As in `JobRows`.
    """

    def __init__(
        self, engine: Engine, max_attempts: int = 5, clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(engine, clock)
        self._max_attempts = max_attempts
        self._group = GroupCommit(self._add_all)

    # ---- receiving

    def add_received(self, received: ReceivedObject) -> Admission:
        """Make a job of an object that is safe in the spool, unless the same content came before."""
        if (
            self.engine.dialect.name == "sqlite"
        ):  # one transaction writes at a time; PostgreSQL groups by itself
            return self._group.add(received)
        for _ in range(MAX_ADDS - 1):
            with suppress(IntegrityError):  # the same SOP Instance came at the same moment; now it is there
                return self._add_all([received])[0]
        return self._add_all([received])[0]

    def _add_all(self, group: Sequence[ReceivedObject]) -> list[Admission]:
        """Write a group in one transaction, with few statements for all whose UIDs nobody has sent before."""
        with writing(self.engine) as connection:
            known = set(connection.scalars(_KNOWN, {"uids": [each.sop_instance_uid for each in group]}))
            new: dict[str, ReceivedObject] = {}
            for each in group:
                if each.sop_instance_uid not in known:
                    new.setdefault(each.sop_instance_uid, each)
            self._insert(connection, list(new.values()))
            return [
                _admitted(each) if new.get(each.sop_instance_uid) is each else self._add(connection, each)
                for each in group
            ]

    def _add(self, connection: Connection, received: ReceivedObject) -> Admission:
        """Write an object of which another one with its UID is known."""
        uid = {"uid": received.sop_instance_uid}
        found = {row.digest: row for row in connection.execute(_WITH_SAME_UID, uid)}
        if received.digest in found:
            return self._admit_again(connection, received, found[received.digest])
        first = connection.scalar(_BURIED, uid)
        is_first = not found if first is None else first == received.digest
        if is_first:
            self._insert(connection, [received])
            return _admitted(received)
        reason = received.quarantine_reason or "other content came before under this SOP Instance UID"
        self._insert(connection, [replace(received, quarantine_reason=reason)], are_primary=False)
        return Admission.CONFLICT

    def _insert(
        self, connection: Connection, group: Sequence[ReceivedObject], *, are_primary: bool = True
    ) -> None:
        """Make jobs, with their histories and identifiers."""
        if not group:
            return
        now = self.clock()
        values = [_values(each, now) | ({} if are_primary else {"primary_uid": None}) for each in group]
        rows = connection.execute(_INSERT, values)
        numbers = {(row.sop_instance_uid, row.digest): row.id for row in rows}
        made = {numbers[each.sop_instance_uid, each.digest]: each for each in group}
        note_received(connection, {number: each.quarantine_reason for number, each in made.items()}, now)
        add_identifiers(connection, {number: each.identifiers for number, each in made.items()})

    def _admit_again(self, connection: Connection, received: ReceivedObject, row: Row[Any]) -> Admission:
        """Let the job of an image that came before, locked here, have its file again if that was removed.

        Its sender is told of success, so the file must not be swept. An image that was put aside is worked on
        again: who sends it after so long wants that. What was done is done; `rerun` can make it once more.
        """
        self._raise_priority(connection, received)
        if row.files_removed_at is None:
            return Admission.DUPLICATE
        changes = {"files_removed_at": None, "path": received.path, "updated_at": self.clock()}
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(changes))
        connection.execute(update(results).where(results.c.job_id == row.id).values(path=NO_FILE))
        is_wanted = row.primary_uid is not None and not received.quarantine_reason
        if State(row.state) not in PUT_ASIDE or not is_wanted:
            return Admission.DUPLICATE
        again = {"attempts": 0, "not_before": self.clock(), "priority": received.priority}
        self.move(connection, row, Event.RETRY, "", again)
        return Admission.NEW

    def _raise_priority(self, connection: Connection, received: ReceivedObject) -> None:
        """Let an image that was sent once more, as urgent now, go before others, if it waits still."""
        same = (jobs.c.sop_instance_uid == received.sop_instance_uid) & (jobs.c.digest == received.digest)
        later = and_(same, jobs.c.state == State.QUEUED, jobs.c.priority < received.priority)
        connection.execute(update(jobs).where(later).values(priority=received.priority))

    # ---- working

    @repeated
    def claim(self, worker_id: str, lease_s: float) -> Job | None:
        """Give the job whose turn it is to a worker, for as long as the lease; None: there is none.

        On the way, jobs whose workers have gone silent go back to the queue, or are put aside as failed when
        they were begun too often. Whose turn it is: `node.claiming.next_job`.
        """
        with writing(
            self.engine
        ) as connection:  # durable: it counts attempts, also those that take the machine down
            for silent in silent_jobs(connection, self.clock(), lease_s):
                self._take_back(connection, silent)
            row = next_job(connection, self.clock())
            if row is None:
                return None
            changes = {"lease_owner": worker_id, "lease_until": self.lease_end(lease_s)}
            changes |= {"attempts": row.attempts + 1, "trace": "while starting"}
            return as_job(self.move(connection, row, Event.CLAIM, "", changes))

    def _take_back(self, connection: Connection, row: Row[Any]) -> None:
        """Let a job whose worker has died be worked on again, later each time, unless it was too often."""
        reason, changes = died_reason(row), dict(NO_LEASE)
        if row.attempts >= self._max_attempts:
            self.move(connection, row, Event.GIVE_UP, f"{reason} ({row.attempts} attempts)", changes)
            return
        changes |= {"priority": priority_after_death(row), "not_before": self.moment(patience_s(row))}
        self.move(connection, row, Event.GIVE_BACK, reason, changes)

    def heartbeat(self, job_id: int, worker_id: str, lease_s: float, stage: str = "") -> bool:
        """Renew a lease; tell whether the worker still holds it.

        Args:
            job_id: Which.
            worker_id: Who holds it.
            lease_s: For how long from now, in seconds.
            stage: What it does now, such as "segmenting"; it is told if the worker dies.
        """
        held = and_(jobs.c.id == job_id, jobs.c.lease_owner == worker_id, jobs.c.state == State.SEGMENTING)
        values = {"lease_until": self.lease_end(lease_s)} | ({"trace": f"while {stage}"} if stage else {})
        with writing(self.engine, durable=False) as connection:
            return connection.execute(update(jobs).where(held).values(values)).rowcount == 1

    @repeated
    def finish(
        self, job_id: int, worker_id: str, results: Sequence[AddressedResult], reason: str = ""
    ) -> None:
        """Record a job's results and a delivery of each to each of its destinations, all or nothing.

        What an earlier run of the job has recorded is not recorded again, and not delivered again to whom it
        was for. The reason says why somebody gets nothing, or that nothing was measured.

        Raises:
            LeaseLostError: Another worker has the job; nothing was recorded.
        """
        with writing(self.engine) as connection:
            held = self._held(connection, job_id, worker_id)
            row = self.move(connection, held, Event.STORE, reason, {"trace": ""})
            for each in results:
                self._add_result(connection, row, each)
            if not self.open_deliveries(connection, job_id):
                self.move(connection, row, Event.COMPLETE, reason)

    def _add_result(self, connection: Connection, job: Row[Any], each: AddressedResult) -> None:
        now, result_id = self.clock(), self._result_id(connection, job.id, each.result)
        known = select(deliveries.c.destination).where(deliveries.c.result_id == result_id)
        there = set(connection.scalars(known))
        common = {
            "job_id": job.id,
            "result_id": result_id,
            "priority": max(job.priority, Priority.ROUTINE),
            "state": DeliveryState.WAITING,
            "attempts": 0,
            "due_at": now,
            "reason": "",
            "updated_at": now,
        }
        for destination in dict.fromkeys(each.destinations):
            if destination not in there:
                connection.execute(insert(deliveries).values(destination=destination, **common))

    def _result_id(self, connection: Connection, job_id: int, result: StoredResult) -> int:
        same = (results.c.job_id == job_id) & (results.c.sop_instance_uid == result.sop_instance_uid)
        found = connection.execute(select(results.c.id, results.c.path).where(same)).one_or_none()
        if found is not None:
            if found.path == NO_FILE:
                there = {"path": result.path, "digest": result.digest}
                connection.execute(update(results).where(results.c.id == found.id).values(there))
            return int(found.id)
        values = {name: getattr(result, name) for name in result.__dataclass_fields__}
        values |= {"job_id": job_id, "created_at": self.clock()}
        return int(connection.execute(insert(results).values(values).returning(results.c.id)).scalar_one())

    @repeated
    def note_read(
        self, job: Job, found: Identifiers, rules: Sequence[str] = (), priority: Priority | None = None
    ) -> None:
        """Record what a worker has read of its job's image, and what the rules say of it.

        Args:
            job: As it was claimed.
            found: By what people look for it.
            rules: Names of the rules that decided about it.
            priority: What they say of its priority; see `node.claiming.decided_priority`.

        Raises:
            LeaseLostError: Another worker has the job; nothing was recorded.
        """
        with writing(self.engine) as connection:
            self._held(connection, job.id, job.lease_owner or "")
            changes: dict[str, Any] = {"rule": ", ".join(rules)}
            decided = decided_priority(job, priority)
            changes |= {"priority": decided} if decided != job.priority else {}
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(changes))
            keep_identifiers(connection, job.id, found)

    def ignore(self, job_id: int, worker_id: str, reason: str) -> None:
        """Record that a rule ignores an image; LeaseLostError as in `finish`."""
        self._end(job_id, worker_id, Event.IGNORE, reason)

    def leave_unmatched(self, job_id: int, worker_id: str, reason: str) -> None:
        """Record that no rule says where an image's results go; LeaseLostError as in `finish`."""
        self._end(job_id, worker_id, Event.LEAVE_UNMATCHED, reason)

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
        retry_in_s: float = 0.0,
        counted: bool = True,
        trace: str | None = None,
    ) -> State:
        """Let a job be worked on again; return its state: failed when it was begun too often.

        Args:
            job_id: Which.
            worker_id: Who holds it.
            reason: Why, for the admin.
            retry_in_s: Not before so many seconds from now.
            counted: False when the job is not to blame, such as when the node stops.
            trace: Where it went wrong, for the admin; None leaves what is known.

        Raises:
            LeaseLostError: Another worker has the job; nothing was recorded.
        """
        with writing(self.engine) as connection:
            row = self._held(connection, job_id, worker_id)
            changes = NO_LEASE | ({} if trace is None else {"trace": trace})
            if counted and row.attempts >= self._max_attempts:
                row = self.move(connection, row, Event.GIVE_UP, reason, changes)
            else:
                attempts = row.attempts if counted else row.attempts - 1
                changes |= {"attempts": attempts, "not_before": self.moment(retry_in_s)}
                row = self.move(connection, row, Event.GIVE_BACK, reason, changes)
            return State(row.state)

    def _end(self, job_id: int, worker_id: str, happened: Event, reason: str) -> None:
        with writing(self.engine) as connection:
            held = self._held(connection, job_id, worker_id)
            self.move(connection, held, happened, reason, {"trace": ""})

    def _held(self, connection: Connection, job_id: int, worker_id: str) -> Row[Any]:
        """Return a job's row, locked; LeaseLostError when the worker does not hold it any more.

        A lease that has run out, but was not taken over, is still held.
        """
        row = locked(connection, job_id)
        if row is None or row.lease_owner != worker_id or row.state != State.SEGMENTING:
            raise LeaseLostError(f"job {job_id} is no longer held by {worker_id}")
        return row


def _admitted(received: ReceivedObject) -> Admission:
    return Admission.QUARANTINED if received.quarantine_reason else Admission.NEW


def _values(received: ReceivedObject, now: datetime) -> dict[str, Any]:
    """Return the row of a new job, the one that may be worked on of those with its UID."""
    values = {name: getattr(received, name) for name in received.__dataclass_fields__}
    del values["quarantine_reason"], values["identifiers"]
    values |= {"state": entry(received.quarantine_reason)[1], "reason": clean(received.quarantine_reason)}
    values |= {"primary_uid": received.sop_instance_uid, "attempts": 0, "not_before": now}
    return values | {"created_at": now, "updated_at": now}
