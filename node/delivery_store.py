"""Deliveries in the database: which result is on its way to which destination."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from node.claiming import next_deliveries
from node.database import deliveries, jobs, proofs, reading, results, writing
from node.errors import TransitionError
from node.job_rows import JOB_COLUMNS, NO_LEASE, JobRows, clean, locked
from node.jobs import NO_FILE, Delivery, DeliveryState, StoredResult
from node.proofs import ProofKind
from node.repeated import repeated
from node.states import Event, State

RESULT_COLUMNS = [results.c[name] for name in StoredResult.__dataclass_fields__]

_UNDER_WAY = (State.STORED, State.DELIVERING)

_NOT_DONE = tuple(state for state in DeliveryState if state is not DeliveryState.DELIVERED)


class DeliveryStore(JobRows):
    """The part of `node.job_store.JobStore` that the senders use."""

    @repeated
    def claim_deliveries(
        self, destination: str, worker_id: str, lease_s: float, limit: int
    ) -> list[Delivery]:
        """Give a destination's due deliveries to a sender for as long as the lease.

        Those of urgent jobs come first, then the oldest.
        """
        lease = {"lease_owner": worker_id, "lease_until": self.lease_end(lease_s)}
        with writing(self.engine, durable=False) as connection:
            found = self.lease(connection, destination, DeliveryState.WAITING, lease, limit)
            if not found:
                return []
            begun = jobs.c.id.in_({delivery.job_id for delivery in found}) & (jobs.c.state == State.STORED)
            for job_id in list(connection.scalars(select(jobs.c.id).where(begun).order_by(jobs.c.id))):
                row = locked(connection, job_id)
                if row is not None and row.state == State.STORED:  # still: another sender may have begun
                    self.move(connection, row, Event.DELIVER, row.reason)
        return found

    def lease(
        self,
        connection: Connection,
        destination: str,
        state: DeliveryState,
        lease: Mapping[str, Any],
        limit: int,
    ) -> list[Delivery]:
        """Lease a destination's deliveries in a state that are due, and return them in their order."""
        now = self.clock()
        ids = next_deliveries(connection, destination, state, now, lease["lease_until"], limit)
        if not ids:
            return []
        held = update(deliveries).where(deliveries.c.id.in_(ids))
        connection.execute(held.values(dict(lease) | {"updated_at": now}))
        return sorted(_deliveries(connection, deliveries.c.id.in_(ids)), key=lambda d: ids.index(d.id))

    def renew(self, ids: Collection[int], worker_id: str, lease_s: float) -> bool:
        """Renew the leases of deliveries; tell whether the sender still holds any of them.

        Args:
            ids: Which; what has its outcome is not held any more.
            worker_id: Who holds them.
            lease_s: For how long from now, in seconds.
        """
        held = deliveries.c.id.in_(sorted(ids)) & (deliveries.c.lease_owner == worker_id)
        with writing(self.engine, durable=False) as connection:
            renewed = update(deliveries).where(held).values(lease_until=self.lease_end(lease_s))
            return connection.execute(renewed).rowcount > 0

    @repeated
    def delivered(self, delivery_id: int, status: int, asked: Collection[ProofKind] = ()) -> None:
        """Record that a destination says that it stored an object.

        Args:
            delivery_id: Which.
            status: What it answered.
            asked: The proofs that it is asked for; while one is missing the delivery is not done.
        """
        now = self.clock()
        changes = {"status": status, "reason": "", "sent_at": now, "asked_at": None, "due_at": now}
        state = DeliveryState.SENT if asked else DeliveryState.DELIVERED
        with writing(self.engine) as connection:
            job_id = self._change(connection, delivery_id, changes | {"state": state})
            self.add_proof(connection, delivery_id, ProofKind.STORE, f"0x{status:04X}")
            self.complete(connection, [job_id])

    def add_proof(
        self, connection: Connection, delivery_id: int, kind: ProofKind, reason: str, *, holds: bool = True
    ) -> None:
        """Record what a destination said of an object."""
        values = {"delivery_id": delivery_id, "at": self.clock(), "kind": kind, "holds": holds}
        connection.execute(insert(proofs).values(values | {"reason": clean(reason)}))

    def complete(self, connection: Connection, job_ids: Collection[int]) -> None:
        """End the jobs whose every delivery is done."""
        if not job_ids:
            return
        under_way = and_(jobs.c.id.in_(sorted(set(job_ids))), jobs.c.state.in_(_UNDER_WAY))
        query = select(*JOB_COLUMNS).where(under_way).order_by(jobs.c.id)
        rows = connection.execute(
            query.with_for_update()
        ).all()  # so that two that end at once see each other
        left = and_(
            deliveries.c.job_id.in_([row.id for row in rows]),
            deliveries.c.state != DeliveryState.DELIVERED,
        )
        still_open = set(connection.scalars(select(deliveries.c.job_id).where(left).distinct()))
        for row in rows:
            if row.id not in still_open:
                self.move(connection, row, Event.COMPLETE, row.reason)

    def open_deliveries(self, connection: Connection, job_id: int) -> int:
        """Return how many of a job's deliveries are not done, those of parked ones among them."""
        left = select(func.count()).where(
            deliveries.c.job_id == job_id, deliveries.c.state != DeliveryState.DELIVERED
        )
        return int(connection.execute(left).scalar_one())

    @repeated
    def delivery_failed(
        self, delivery_id: int, reason: str, retry_at: datetime | None, status: int | None = None
    ) -> None:
        """Record that a destination did not take an object; a late word on one that it has changes nothing.

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
            "reason": clean(reason),
            "due_at": retry_at or self.clock(),
        }
        with writing(self.engine) as connection:
            counted = changes | {"attempts": deliveries.c.attempts + 1}
            self._change(connection, delivery_id, counted, done=(DeliveryState.DELIVERED, DeliveryState.SENT))

    @repeated
    def hurry(self, destination: str, ids: Collection[int] | None = None) -> int:
        """Make due what waits for a destination that gave no answer about it; return how many.

        Args:
            destination: Which.
            ids: Only these deliveries; None: all.
        """
        now = self.clock()
        wanted = [
            deliveries.c.destination == destination,
            deliveries.c.state == DeliveryState.WAITING,
            deliveries.c.status.is_(None),
            deliveries.c.due_at > now,
        ]
        wanted += [] if ids is None else [deliveries.c.id.in_(sorted(ids))]
        with writing(self.engine) as connection:
            change = update(deliveries).where(*wanted).values(due_at=now, updated_at=now)
            return connection.execute(change).rowcount

    def _change(
        self,
        connection: Connection,
        delivery_id: int,
        changes: Mapping[str, Any],
        done: Collection[DeliveryState] = (DeliveryState.DELIVERED,),
    ) -> int:
        """Change a delivery unless it is done, take its lease, and return its job."""
        job_id = connection.execute(
            select(deliveries.c.job_id).where(deliveries.c.id == delivery_id)
        ).scalar_one()
        open_ = and_(deliveries.c.id == delivery_id, deliveries.c.state.not_in(done))
        values = dict(changes) | NO_LEASE | {"updated_at": self.clock()}
        connection.execute(update(deliveries).where(open_).values(values))
        return int(job_id)

    def deliveries(self, job_id: int | None = None, state: DeliveryState | None = None) -> list[Delivery]:
        """Return deliveries, all or those of one job, in every state or in one."""
        wanted = [deliveries.c.job_id == job_id] if job_id is not None else []
        wanted += [deliveries.c.state == state] if state is not None else []
        with reading(self.engine) as connection:
            return _deliveries(connection, and_(True, *wanted))

    def undelivered(self, job_ids: Collection[int]) -> dict[int, list[Delivery]]:
        """Return what is not done of some jobs, by job; jobs of which all is done are left out."""
        theirs = and_(deliveries.c.job_id.in_(sorted(job_ids)), deliveries.c.state != DeliveryState.DELIVERED)
        with reading(self.engine) as connection:
            found = _deliveries(connection, theirs)
        left: dict[int, list[Delivery]] = {}
        for each in found:
            left.setdefault(each.job_id, []).append(each)
        return left

    def waiting(self) -> dict[str, int]:
        """Return for each destination how many deliveries are not done, those of parked ones among them.

        An index goes from each name to the next, so that what is delivered is not read.
        """
        first = select(func.min(deliveries.c.destination).label("name")).cte("names", recursive=True)
        next_ = select(func.min(deliveries.c.destination)).where(deliveries.c.destination > first.c.name)
        names = first.union_all(select(next_.scalar_subquery()).where(first.c.name.is_not(None)))
        left = and_(deliveries.c.destination == names.c.name, deliveries.c.state.in_(_NOT_DONE))
        counted = select(func.count()).select_from(deliveries).where(left).correlate(names).scalar_subquery()
        with reading(self.engine) as connection:
            rows = connection.execute(select(names.c.name, counted).where(names.c.name.is_not(None)))
            return {str(destination): int(count) for destination, count in rows if count}

    def unpark(self, connection: Connection, job_id: int) -> int:
        """Make a job's deliveries due that are parked, or wait for their next try; return how many.

        What was sent and lacks a proof is asked for again, now.
        """
        now = self.clock()
        late = and_(
            deliveries.c.state == DeliveryState.WAITING,
            or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now),
        )
        parked = and_(deliveries.c.job_id == job_id, or_(deliveries.c.state == DeliveryState.PARKED, late))
        values = {"attempts": 0, "resends": 0, "due_at": now, "updated_at": now}
        again = update(deliveries).where(parked).values(values | {"state": DeliveryState.WAITING})
        sent = and_(deliveries.c.job_id == job_id, deliveries.c.state == DeliveryState.SENT)
        asked = update(deliveries).where(sent).values(values | {"asked_at": None})
        return connection.execute(again).rowcount + connection.execute(asked).rowcount

    def send_again(
        self, connection: Connection, job_id: int, destination: str, known: Collection[str]
    ) -> None:
        """Make a job's deliveries wait as if they had never been sent, but those in a sender's hands.

        Those to destinations that are not known any more are left as they are: nobody would send them.

        The storage commitment that was begun last is forgotten, so that a late answer to its request says
        nothing of the new sending; proofs from before it count no more (`node.proof_store`).

        Raises:
            TransitionError: The destination (empty: anybody) was to have nothing or is not known any more, or
                no file is left.
        """
        joined = select(deliveries.c.id, deliveries.c.destination, results.c.path).select_from(
            deliveries.join(results, deliveries.c.result_id == results.c.id)
        )
        rows = connection.execute(joined.where(deliveries.c.job_id == job_id)).all()
        theirs = [row for row in rows if destination in ("", row.destination)]
        found = [row for row in theirs if row.destination in known]
        if not theirs:
            raise TransitionError(
                f"nothing of job {job_id} was for {clean(destination) or 'any destination'}"
            )
        if not found:
            names = ", ".join(sorted({row.destination for row in theirs}))
            raise TransitionError(
                f"results of job {job_id} cannot be sent again: not in the settings any more: {names}"
            )
        ids = [row.id for row in found if row.path != NO_FILE]
        if not ids:
            raise TransitionError(
                f"results of job {job_id} cannot be sent again: their files were removed; "
                f"`paxnode jobs rerun {job_id}` makes them once more"
            )
        now = self.clock()
        free = or_(
            deliveries.c.state != DeliveryState.WAITING,
            deliveries.c.lease_until.is_(None),
            deliveries.c.lease_until <= now,
        )
        values = {"attempts": 0, "resends": 0, "reason": "", "due_at": now, "updated_at": now}
        values |= dict.fromkeys(("status", "sent_at", "transaction_uid", "asked_at")) | NO_LEASE
        again = update(deliveries).where(deliveries.c.id.in_(ids), free)
        connection.execute(again.values(values | {"state": DeliveryState.WAITING}))


def _deliveries(connection: Connection, wanted: Any) -> list[Delivery]:
    names = [name for name in Delivery.__dataclass_fields__ if name != "result"]
    joined = select(*(deliveries.c[name] for name in names), *RESULT_COLUMNS).select_from(
        deliveries.join(results, deliveries.c.result_id == results.c.id)
    )
    rows = connection.execute(joined.where(wanted).order_by(deliveries.c.id))
    return [_delivery(dict(zip(names, row, strict=False)), StoredResult(*row[len(names) :])) for row in rows]


def _delivery(values: dict[str, Any], result: StoredResult) -> Delivery:
    return Delivery(**(values | {"state": DeliveryState(values["state"])}), result=result)
