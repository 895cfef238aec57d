"""Storage commitments that others have asked of this node, in the database (PS3.4 J)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from node.claiming import CLOCK_TOLERANCE_S
from node.database import commitments, jobs, reading, writing
from node.job_rows import NO_LEASE, clean, utc_now

HOLD_BACK_S = 15.0
"""A request that was just taken on is left so long to the association that it came on, in seconds."""

Pair = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""


class CommitmentState(StrEnum):
    """Where the answer to a request stands."""

    WAITING = "waiting"  # is due, or will be
    ANSWERED = "answered"  # the one who asked has heard it
    PARKED = "parked"  # cannot be told; told when it is asked for again, or somebody changed something


@dataclass(frozen=True)
class AskedCommitment:
    """A request that this node has taken on.

    Attributes:
        id: Its number.
        transaction_uid: Whose answer is awaited.
        calling_ae_title: Who asked.
        references: About what.
        state: Where it stands.
        attempts: How often telling the answer has failed.
        reason: Why it failed last, empty if it did not.
    """

    id: int
    transaction_uid: str
    calling_ae_title: str
    references: tuple[Pair, ...]
    state: CommitmentState
    attempts: int
    reason: str


@dataclass(frozen=True)
class KeptObject:
    """What the database says of a received object whose files were not removed."""

    sop_class_uid: str
    transfer_syntax_uid: str
    path: str
    size: int
    digest: str


class CommitmentStore:
    """What this node has been asked to commit itself to. Safe for many threads, processes and machines.

    Args:
        engine: From `node.database.engine_for`, upgraded.
        clock: Tells the time in UTC.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self.engine = engine
        self.clock = clock

    def take_on(self, caller: str, transaction_uid: str, references: Sequence[Pair]) -> int | None:
        """Record a request and return its number; asked again, it is answered again.

        None: the Transaction UID is in use for other objects.
        """
        try:
            return self._take_on(caller, transaction_uid, references)
        except IntegrityError:  # it came twice at the same moment; now it is there to compare
            return self._take_on(caller, transaction_uid, references)

    def _take_on(self, caller: str, transaction_uid: str, references: Sequence[Pair]) -> int | None:
        same = and_(
            commitments.c.calling_ae_title == caller, commitments.c.transaction_uid == transaction_uid
        )
        now, pairs = self.clock(), [list(pair) for pair in references]
        due_at = now + timedelta(seconds=HOLD_BACK_S)
        fresh = {"state": CommitmentState.WAITING, "attempts": 0, "due_at": due_at, "reason": ""}
        with writing(self.engine) as connection:
            found = connection.execute(
                select(commitments.c.id, commitments.c.references).where(same).with_for_update()
            ).one_or_none()
            if found is None:
                values = {"calling_ae_title": caller, "transaction_uid": transaction_uid, "created_at": now}
                values |= fresh | {"references": pairs}
                made = insert(commitments).values(values).returning(commitments.c.id)
                return int(connection.execute(made).scalar_one())
            if found[1] != pairs:
                return None
            connection.execute(update(commitments).where(commitments.c.id == found[0]).values(fresh))
            return int(found[0])

    def claim(self, worker_id: str, lease_s: float) -> AskedCommitment | None:
        """Give the oldest request whose answer is due to be told to somebody; None: there is none."""
        now = self.clock()
        ahead = now + timedelta(seconds=CLOCK_TOLERANCE_S)  # beyond it: from before the clock was put back
        free = or_(
            commitments.c.lease_until.is_(None),
            commitments.c.lease_until <= now,
            commitments.c.lease_until > ahead + timedelta(seconds=lease_s),
        )
        may_begin = or_(commitments.c.due_at <= now, commitments.c.created_at > ahead)
        due = and_(commitments.c.state == CommitmentState.WAITING, may_begin, free)
        query = select(commitments.c.id).where(due).order_by(commitments.c.due_at).limit(1)
        lease = {"lease_owner": worker_id, "lease_until": now + timedelta(seconds=lease_s)}
        with writing(self.engine) as connection:
            number = connection.scalar(query.with_for_update(skip_locked=True))
            if number is None:
                return None
            connection.execute(update(commitments).where(commitments.c.id == number).values(lease))
            return _read(connection, number)

    def asked(self, number: int) -> AskedCommitment:
        """Return a request."""
        with reading(self.engine) as connection:
            return _read(connection, number)

    def answered(self, number: int) -> None:
        """Record that the one who asked has heard the answer."""
        self._change(number, {"state": CommitmentState.ANSWERED, "reason": ""})

    def not_told(self, number: int, reason: str, retry_at: datetime | None) -> None:
        """Record that the answer could not be told; it is told again at a time, UTC, or parked (None)."""
        state = CommitmentState.PARKED if retry_at is None else CommitmentState.WAITING
        changes = {"state": state, "reason": clean(reason), "due_at": retry_at or self.clock()}
        values: dict[str, Any] = changes | NO_LEASE | {"attempts": commitments.c.attempts + 1}
        still_waits = and_(commitments.c.id == number, commitments.c.state == CommitmentState.WAITING)
        with writing(self.engine) as connection:  # who asked may have heard it from somebody else meanwhile
            connection.execute(update(commitments).where(still_waits).values(values))

    def due_now(self, number: int) -> None:
        """Let the answer be told on an association of its own, now."""
        self._change(number, {"due_at": self.clock()})

    def revive(self, ae_titles: Collection[str]) -> int:
        """Let answers be told that were parked, now that those who asked can be reached; return how many."""
        parked = and_(
            commitments.c.state == CommitmentState.PARKED,
            commitments.c.calling_ae_title.in_(sorted(ae_titles)),
        )
        values = {"state": CommitmentState.WAITING, "attempts": 0, "due_at": self.clock()}
        with writing(self.engine) as connection:
            return connection.execute(update(commitments).where(parked).values(values)).rowcount

    def parked(self) -> int:
        """Return how many answers nobody could be told."""
        query = select(func.count()).where(commitments.c.state == CommitmentState.PARKED)
        with reading(self.engine) as connection:
            return int(connection.execute(query).scalar_one())

    def kept(self, sop_instance_uid: str) -> list[KeptObject]:
        """Return what is kept under a SOP Instance UID; several where contents conflicted."""
        columns = [jobs.c[name] for name in KeptObject.__dataclass_fields__]
        there = and_(jobs.c.sop_instance_uid == sop_instance_uid, jobs.c.files_removed_at.is_(None))
        with reading(self.engine) as connection:
            return [KeptObject(*row) for row in connection.execute(select(*columns).where(there))]

    def _change(self, number: int, changes: dict[str, Any]) -> None:
        with writing(self.engine) as connection:
            this = commitments.c.id == number
            connection.execute(update(commitments).where(this).values(changes | NO_LEASE))


def _read(connection: Connection, number: int) -> AskedCommitment:
    columns = [commitments.c[name] for name in AskedCommitment.__dataclass_fields__]
    row = connection.execute(select(*columns).where(commitments.c.id == number)).one()
    values = dict(row._mapping)
    pairs = tuple((str(sop_class), str(uid)) for sop_class, uid in values["references"])
    return AskedCommitment(**values | {"references": pairs, "state": CommitmentState(values["state"])})
