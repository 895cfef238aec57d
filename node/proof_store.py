"""Proofs of delivery in the database: what destinations said, and what they were asked.

A proof counts when it came after the object was last sent. What is sent again needs new ones. What came after
what is told by the numbers of rows: a clock that was put right would turn it round.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
    update,
)

from node.backoff import Backoff
from node.database import deliveries, jobs, proofs, reading, results, transactions, writing
from node.delivery_store import DeliveryStore
from node.job_rows import NO_LEASE, clean
from node.jobs import DeliveryState, Priority
from node.proofs import CommitmentAnswer, Proof, ProofKind, Transaction, Unproven, awaited
from node.queue_order import oldest_first, sharing
from node.repeated import repeated

MAX_RESENDS = 3
"""An object whose proof failed is sent again so often, then parked until somebody asks for it."""

SETTLED_AT_A_TIME = 500
"""Deliveries in one transaction when a setting was changed; databases limit a statement's length."""

_MOMENTS = ("sent_at", "asked_at", "due_at")


class ProofStore(DeliveryStore):
    """The part of `node.job_store.JobStore` that the provers use, and whoever hears of commitments."""

    @repeated
    def claim_unproven(self, destination: str, worker_id: str, lease_s: float, limit: int) -> list[Unproven]:
        """Give what was sent, lacks a proof and is due to be asked about to a prover, the oldest first."""
        lease = {"lease_owner": worker_id, "lease_until": self.lease_end(lease_s)}
        lease |= {name: _at_most(deliveries.c[name], self.clock()) for name in _MOMENTS}
        with writing(self.engine, durable=False) as connection:
            found = self.lease(connection, destination, DeliveryState.SENT, lease, limit)
            held = _held(connection, [delivery.id for delivery in found])
        return [Unproven(delivery, frozenset(held.get(delivery.id, ()))) for delivery in found]

    @repeated
    def await_proof(self, delivery_ids: Collection[int], due_at: datetime, reason: str) -> None:
        """Give back what still lacks a proof: when it is looked at again, UTC, and what is awaited."""
        changes = NO_LEASE | {"due_at": due_at, "reason": clean(reason), "updated_at": self.clock()}
        with writing(self.engine, durable=False) as connection:
            connection.execute(update(deliveries).where(_sent(delivery_ids)).values(changes))

    # ---- storage commitment

    @repeated
    def begin_transaction(self, uid: str, destination: str, delivery_ids: Sequence[int]) -> None:
        """Record a storage commitment before it is asked for, so that any answer to it is known."""
        values = {"transaction_uid": uid, "destination": destination, "delivery_ids": list(delivery_ids)}
        with writing(self.engine) as connection:
            newest = connection.scalar(select(func.max(proofs.c.id)))
            begun = values | {"begun_at": self.clock(), "newest_proof": newest or 0}
            connection.execute(insert(transactions).values(begun))
            theirs = update(deliveries).where(_sent(delivery_ids))
            connection.execute(theirs.values(transaction_uid=uid, asked_at=None))

    @repeated
    def commitment_asked(self, uid: str) -> None:
        """Record that the destination has taken the request on."""
        asked = and_(deliveries.c.transaction_uid == uid, deliveries.c.state == DeliveryState.SENT)
        with writing(self.engine) as connection:
            connection.execute(update(deliveries).where(asked).values(asked_at=self.clock()))

    @repeated
    def forget_transaction(self, uid: str) -> None:
        """Remove a storage commitment that the destination refused, if it was begun."""
        with writing(self.engine) as connection:
            connection.execute(delete(transactions).where(transactions.c.transaction_uid == uid))

    def transaction(self, uid: str) -> Transaction | None:
        """Return a storage commitment that this node asked for; None: it did not."""
        names = ("transaction_uid", "destination", "begun_at", "newest_proof", "delivery_ids")
        columns = [transactions.c[name] for name in names]
        with reading(self.engine) as connection:
            query = select(*columns).where(transactions.c.transaction_uid == uid)
            row = connection.execute(query).one_or_none()
        return None if row is None else Transaction(row[0], row[1], row[2], row[3], tuple(row[4]))

    @repeated
    def record_answer(
        self,
        transaction: Transaction,
        answer: CommitmentAnswer,
        asked: Collection[ProofKind],
        backoff: Backoff,
    ) -> None:
        """Record what a destination answered to a storage commitment, all or nothing.

        It says something of the last sending alone when it was asked for after that: what came late about an
        earlier one says nothing. While the object was not sent again it counts whenever it comes.

        Args:
            transaction: Which one; what it did not ask about is not touched.
            answer: What the destination says.
            asked: The proofs that the destination is asked for.
            backoff: When what is sent again is due.
        """
        with writing(self.engine) as connection:
            rows = _locked(connection, transaction.delivery_ids)
            sendings = _sendings(connection, transaction.delivery_ids)
            for row in rows:
                uid = row.sop_instance_uid
                if sendings.get(row.id, 0) > transaction.newest_proof:  # it was sent again since
                    continue
                current = row.state == DeliveryState.SENT
                if uid in answer.committed:
                    self._hold(connection, row.id, ProofKind.COMMITMENT, f"transaction {transaction.uid}")
                elif uid in answer.failed and current:
                    self._disprove(connection, row, ProofKind.COMMITMENT, answer.failed[uid], backoff)
                elif uid in answer.ask_again and current:
                    again = {"asked_at": None, "due_at": self._after(backoff, row.resends)}
                    connection.execute(update(deliveries).where(_sent([row.id])).values(again))
            self._settle(connection, [row.id for row in rows], asked)
            committed = [row.id for row in rows if row.sop_instance_uid in answer.committed]
            self._tell_what_is_left(connection, committed, asked)

    # ---- queries

    def newest_proof(self) -> int:
        """Return the number of the newest row of proofs: what is asked now is about no later sending."""
        with reading(self.engine) as connection:
            return connection.scalar(select(func.max(proofs.c.id))) or 0

    @repeated
    def found(self, delivery_ids: Collection[int], asked: Collection[ProofKind], newest: int) -> None:
        """Record that a destination finds objects; what has every proof that is asked for is delivered.

        Args:
            delivery_ids: Of which.
            asked: The proofs that the destination is asked for.
            newest: `newest_proof` when it was asked; what was sent again since then is not touched.
        """
        with writing(self.engine) as connection:
            for row in _sent_by(connection, delivery_ids, newest):
                self._hold(connection, row.id, ProofKind.QUERY, "")
            self._settle(connection, delivery_ids, asked)

    @repeated
    def not_found(self, delivery_ids: Collection[int], reason: str, backoff: Backoff, newest: int) -> None:
        """Record that a destination does not find objects that it says it stored: they are sent again.

        `newest` is as in `found`.
        """
        with writing(self.engine) as connection:
            for row in _sent_by(connection, delivery_ids, newest):
                if row.state == DeliveryState.SENT:
                    self._disprove(connection, row, ProofKind.QUERY, reason, backoff)

    @repeated
    def settle(self, destination: str, asked: Collection[ProofKind], after: int = 0) -> int | None:
        """End some deliveries to a destination that have every proof that it is asked for now.

        Args:
            destination: Which.
            asked: What it is asked for now.
            after: Only deliveries with higher ids.

        Returns:
            After which id to go on; None: these were the last.
        """
        sent = and_(deliveries.c.destination == destination, deliveries.c.state == DeliveryState.SENT)
        pages = (
            select(deliveries.c.id)
            .where(sent, sharing(deliveries.c.priority, priority, after=after))
            .order_by(*oldest_first(deliveries.c.priority))
            .limit(SETTLED_AT_A_TIME)
            .subquery()
            for priority in Priority
        )
        first = union_all(*(select(page.c.id) for page in pages))
        query = select(deliveries.c.id).where(deliveries.c.id.in_(first)).order_by(deliveries.c.id)
        with writing(self.engine) as connection:
            ids = list(connection.scalars(query.limit(SETTLED_AT_A_TIME).with_for_update()))
            self._settle(connection, ids, asked)
        return ids[-1] if ids else None

    # ---- looking

    def proofs(self, job_id: int) -> list[Proof]:
        """Return everything that destinations said of a job's results, the first first."""
        columns = [proofs.c[name] for name in Proof.__dataclass_fields__]
        query = select(*columns).join(deliveries, proofs.c.delivery_id == deliveries.c.id)
        query = query.where(deliveries.c.job_id == job_id).order_by(proofs.c.id)
        with reading(self.engine) as connection:
            return [Proof(row[0], row[1], ProofKind(row[2]), *row[3:]) for row in connection.execute(query)]

    def held(self, delivery_ids: Collection[int]) -> dict[int, set[ProofKind]]:
        """Return the proofs of each delivery that hold since it was last sent; none of those without any."""
        with reading(self.engine) as connection:
            return _held(connection, delivery_ids)

    def jobs_of_study(self, study_instance_uid: str) -> list[int]:
        """Return the numbers of a study's jobs, the oldest first."""
        query = select(jobs.c.id).where(jobs.c.study_instance_uid == study_instance_uid).order_by(jobs.c.id)
        with reading(self.engine) as connection:
            return list(connection.scalars(query))

    # ---- inside a transaction

    def _hold(self, connection: Connection, delivery_id: int, kind: ProofKind, reason: str) -> None:
        if kind not in _held(connection, [delivery_id]).get(delivery_id, ()):  # said again, it is no news
            self.add_proof(connection, delivery_id, kind, reason)

    def _disprove(
        self, connection: Connection, row: Row[Any], kind: ProofKind, reason: str, backoff: Backoff
    ) -> None:
        self.add_proof(connection, row.id, kind, reason, holds=False)
        parked = row.resends >= MAX_RESENDS
        told = f"{reason}; it was sent {row.resends + 1} times" if parked else reason
        changes = NO_LEASE | {
            "state": DeliveryState.PARKED if parked else DeliveryState.WAITING,
            "resends": row.resends if parked else row.resends + 1,
            "due_at": self._after(backoff, row.resends),
            "reason": clean(told),
            "asked_at": None,
            "updated_at": self.clock(),
        }
        connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(changes))

    def _after(self, backoff: Backoff, resends: int) -> datetime:
        return self.clock() + timedelta(seconds=backoff.delay_s(resends + 1))

    def _settle(
        self, connection: Connection, delivery_ids: Collection[int], asked: Collection[ProofKind]
    ) -> None:
        if not delivery_ids:
            return
        held = _held(connection, delivery_ids)
        proven = [number for number in delivery_ids if set(asked) <= held.get(number, set())]
        changes = NO_LEASE | {"state": DeliveryState.DELIVERED, "reason": "", "updated_at": self.clock()}
        done = update(deliveries).where(_sent(proven)).values(changes).returning(deliveries.c.job_id)
        self.complete(connection, list(connection.scalars(done)))

    def _tell_what_is_left(
        self, connection: Connection, delivery_ids: Collection[int], asked: Collection[ProofKind]
    ) -> None:
        """Let the reasons of what still lacks a proof name that one alone."""
        held = _held(connection, delivery_ids)
        for lacking in {frozenset(set(asked) - kinds) for kinds in held.values()}:
            theirs = [number for number, kinds in held.items() if set(asked) - kinds == lacking]
            connection.execute(update(deliveries).where(_sent(theirs)).values(reason=awaited(lacking)))


def _sent(delivery_ids: Collection[int]) -> Any:
    return and_(deliveries.c.id.in_(sorted(delivery_ids)), deliveries.c.state == DeliveryState.SENT)


def _locked(connection: Connection, delivery_ids: Collection[int]) -> Sequence[Row[Any]]:
    """Return deliveries with the UIDs of their objects, locked in order until the transaction ends."""
    query = select(*deliveries.c, results.c.sop_instance_uid).select_from(
        deliveries.join(results, deliveries.c.result_id == results.c.id)
    )
    query = query.where(deliveries.c.id.in_(sorted(delivery_ids))).order_by(deliveries.c.id)
    return list(connection.execute(query.with_for_update(of=deliveries)))


def _sent_by(connection: Connection, delivery_ids: Collection[int], newest: int) -> list[Row[Any]]:
    """Return deliveries, locked, without those that were sent again after a row of proofs."""
    rows = _locked(connection, delivery_ids)
    sendings = _sendings(connection, delivery_ids)
    return [row for row in rows if sendings.get(row.id, 0) <= newest]


def _held(connection: Connection, delivery_ids: Collection[int]) -> dict[int, set[ProofKind]]:
    """Return the proofs of each delivery that hold and came after it was last sent."""
    query = select(proofs.c.delivery_id, proofs.c.kind, proofs.c.id)
    sendings = _sendings(connection, delivery_ids)
    holding = and_(proofs.c.delivery_id.in_(sorted(delivery_ids)), proofs.c.holds.is_(True))
    found: dict[int, set[ProofKind]] = {}
    for number, kind, proof_id in connection.execute(query.where(holding)):
        if number in sendings and proof_id >= sendings[number]:
            found.setdefault(number, set()).add(ProofKind(kind))
    return found


def _sendings(connection: Connection, delivery_ids: Collection[int]) -> dict[int, int]:
    """Return the number of the row that tells of the last sending, for each delivery that was sent."""
    stored = and_(proofs.c.delivery_id.in_(sorted(delivery_ids)), proofs.c.kind == ProofKind.STORE)
    query = select(proofs.c.delivery_id, func.max(proofs.c.id)).where(stored)
    return {row[0]: row[1] for row in connection.execute(query.group_by(proofs.c.delivery_id))}


def _at_most(moment: Column[Any], now: datetime) -> ColumnElement[Any]:
    """Return a moment, or now where it lies ahead: it was written before the clock was put back."""
    return case((moment > now, literal(now, moment.type)), else_=moment)
