"""Deliveries in the database: which result is on its way to which destination."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update

from node.claiming import next_deliveries
from node.database import deliveries, jobs, reading, results, writing
from node.job_rows import NO_LEASE, JobRows, clean, locked
from node.jobs import Delivery, DeliveryState, StoredResult
from node.states import Event, State

RESULT_COLUMNS = [results.c[name] for name in StoredResult.__dataclass_fields__]


class DeliveryStore(JobRows):
    """The part of `node.job_store.JobStore` that the senders use."""

    def claim_deliveries(
        self, destination: str, worker_id: str, lease_s: float, limit: int
    ) -> list[Delivery]:
        """Give a destination's due deliveries to a sender for as long as the lease.

        Those of urgent jobs come first, then the oldest.
        """
        now = self.clock()
        lease = {"lease_owner": worker_id, "lease_until": self.lease_end(lease_s), "updated_at": now}
        with writing(self.engine) as connection:
            ids = next_deliveries(connection, destination, now, lease_s, limit)
            connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(lease))
            found = sorted(_deliveries(connection, deliveries.c.id.in_(ids)), key=lambda d: ids.index(d.id))
            begun = jobs.c.id.in_({delivery.job_id for delivery in found}) & (jobs.c.state == State.STORED)
            for job_id in list(connection.scalars(select(jobs.c.id).where(begun).order_by(jobs.c.id))):
                row = locked(connection, job_id)
                if row is not None and row.state == State.STORED:  # still: another sender may have begun
                    self.move(connection, row, Event.DELIVER, row.reason)
        return found

    def delivered(self, delivery_id: int, status: int) -> None:
        """Record that a destination has an object; a job whose every delivery is done is done."""
        with writing(self.engine) as connection:
            changes = {"state": DeliveryState.DELIVERED, "status": status, "reason": ""}
            job_id = self._change(connection, delivery_id, changes)
            row = locked(connection, job_id)  # so that two that end at once see each other
            under_way = row is not None and row.state in {State.STORED, State.DELIVERING}
            if row is not None and under_way and not self.open_deliveries(connection, job_id):
                self.move(connection, row, Event.COMPLETE, row.reason)

    def open_deliveries(self, connection: Connection, job_id: int) -> int:
        """Return how many of a job's deliveries are not done, those of parked ones among them."""
        left = select(func.count()).where(
            deliveries.c.job_id == job_id, deliveries.c.state != DeliveryState.DELIVERED
        )
        return int(connection.execute(left).scalar_one())

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
            "reason": clean(reason),
            "due_at": retry_at or self.clock(),
        }
        with writing(self.engine) as connection:
            self._change(connection, delivery_id, changes | {"attempts": deliveries.c.attempts + 1})

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

    def _change(self, connection: Connection, delivery_id: int, changes: Mapping[str, Any]) -> int:
        """Change a delivery unless it is done, take its lease, and return its job."""
        job_id = connection.execute(
            select(deliveries.c.job_id).where(deliveries.c.id == delivery_id)
        ).scalar_one()
        open_ = and_(deliveries.c.id == delivery_id, deliveries.c.state != DeliveryState.DELIVERED)
        values = dict(changes) | NO_LEASE | {"updated_at": self.clock()}
        connection.execute(update(deliveries).where(open_).values(values))
        return int(job_id)

    def deliveries(self, job_id: int | None = None, state: DeliveryState | None = None) -> list[Delivery]:
        """Return deliveries, all or those of one job, in every state or in one."""
        wanted = [deliveries.c.job_id == job_id] if job_id is not None else []
        wanted += [deliveries.c.state == state] if state is not None else []
        with reading(self.engine) as connection:
            return _deliveries(connection, and_(True, *wanted))

    def waiting(self) -> dict[str, int]:
        """Return for each destination how many deliveries are not done, those of parked ones among them."""
        counted = select(deliveries.c.destination, func.count()).group_by(deliveries.c.destination)
        with reading(self.engine) as connection:
            rows = connection.execute(counted.where(deliveries.c.state != DeliveryState.DELIVERED))
            return {str(destination): int(count) for destination, count in rows}

    def unpark(self, connection: Connection, job_id: int) -> int:
        """Make a job's deliveries due that are parked, or wait for their next try; return how many."""
        now = self.clock()
        late = and_(
            deliveries.c.state == DeliveryState.WAITING,
            or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now),
        )
        parked = and_(deliveries.c.job_id == job_id, or_(deliveries.c.state == DeliveryState.PARKED, late))
        values = {"state": DeliveryState.WAITING, "attempts": 0, "due_at": now, "updated_at": now}
        return connection.execute(update(deliveries).where(parked).values(values)).rowcount


def _deliveries(connection: Connection, wanted: Any) -> list[Delivery]:
    names = [name for name in Delivery.__dataclass_fields__ if name != "result"]
    joined = select(*(deliveries.c[name] for name in names), *RESULT_COLUMNS).select_from(
        deliveries.join(results, deliveries.c.result_id == results.c.id)
    )
    rows = connection.execute(joined.where(wanted).order_by(deliveries.c.id))
    return [_delivery(dict(zip(names, row, strict=False)), StoredResult(*row[len(names) :])) for row in rows]


def _delivery(values: dict[str, Any], result: StoredResult) -> Delivery:
    return Delivery(**(values | {"state": DeliveryState(values["state"])}), result=result)
