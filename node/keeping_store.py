"""What the database says of keeping: which files and rows are due, which are needed, whose files they are.

The mark `files_removed_at` is the decision to remove a job's files. It is made first, in a transaction that
holds the job's row and looks once more, so that `rerun` and `retry` see either the job with its files or the
mark. What the mark allows is done afterwards; `node.housekeeping` says why in this order.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from config.network import RetentionSettings
from node.commitment_store import CommitmentState
from node.database import (
    commitments,
    deliveries,
    identities,
    job_events,
    jobs,
    proofs,
    queue_identity,
    reading,
    results,
    tombstones,
    transactions,
    writing,
)
from node.job_rows import JobRows
from node.jobs import NO_FILE, DeliveryState
from node.repeated import repeated
from node.states import LET_GO, PUT_ASIDE, State

BATCH = 200
"""Jobs in one transaction, and paths in one question, so that nobody waits long for the database."""

ROWS_AFTER_FILES = timedelta(days=2)
"""Rows outlive the mark by so much, so that a sweep knows as leftovers the files that outlived it: what a
kill left goes within hours, what was kept again within a day (`Spool.remove`) a day later."""

_IDENTITY = 1


@dataclass(frozen=True)
class Due:
    """A job whose files are removed, or would be.

    Attributes:
        job_id: Its number.
        study_instance_uid: Of the image; empty where it tells none.
        sop_class_uid: Of the image.
        sop_instance_uid: Of the image.
        path: Of the image, relative to the spool's folder.
        results: Paths of the results, likewise.
    """

    job_id: int
    study_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    path: str
    results: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file of the job."""
        return (self.path, *self.results)


@dataclass(frozen=True)
class Identity:
    """Which database this is, and how often a house was kept by it."""

    value: str
    passes: int


class KeepingStore(JobRows):
    """What `node.housekeeping` asks of the database; errors as in `node.job_store.JobStore`."""

    # ---- files

    def due_files(self, settings: RetentionSettings) -> list[Due]:
        """Return the jobs whose files would be removed now."""
        with reading(self.engine) as connection:
            return _due(connection, self._files_due(settings), limit=None)

    @repeated
    def mark_files_removed(self, settings: RetentionSettings) -> list[Due]:
        """Mark some jobs whose files are due as having none, and return them; empty: none is due."""
        with writing(self.engine) as connection:
            found = _due(connection, self._files_due(settings), BATCH)
            ids = [each.job_id for each in found]
            connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(files_removed_at=self.clock()))
        return found

    def _files_due(self, settings: RetentionSettings) -> ColumnElement[bool]:
        kinds: Mapping[tuple[State, ...], int] = {
            (State.DONE,): settings.files_days,
            LET_GO: settings.refused_days,
        }
        due = [self._ended_before(states, self._ago(days)) for states, days in kinds.items() if days]
        return and_(jobs.c.files_removed_at.is_(None), or_(false(), *due))

    def _ago(self, days: int) -> datetime:
        return self.clock() - timedelta(days=days)

    def _ended_before(self, states: Collection[State], moment: datetime) -> ColumnElement[bool]:
        """Jobs that nobody holds, whose every result was proven, in all of which nothing happened since."""
        now = self.clock()
        under_way = exists().where(
            deliveries.c.job_id == jobs.c.id,
            or_(
                deliveries.c.state != DeliveryState.DELIVERED,
                deliveries.c.updated_at > moment,
                deliveries.c.lease_until > now,
            ),
        )
        return and_(
            jobs.c.state.in_(states),
            jobs.c.updated_at <= moment,
            or_(jobs.c.lease_until.is_(None), jobs.c.lease_until <= now),
            ~under_way,
            ~has_undelivered_results(),
        )

    def needed(self, paths: Sequence[str]) -> set[str]:
        """Return those of the paths that a job needs that has its files."""
        return self._paths(paths, jobs.c.files_removed_at.is_(None))

    def known(self, paths: Sequence[str]) -> set[str]:
        """Return those of the paths that any row names."""
        return self._paths(paths, jobs.c.id.is_not(None))

    def _paths(self, paths: Sequence[str], wanted: ColumnElement[bool]) -> set[str]:
        images = select(jobs.c.path).where(jobs.c.path.in_(paths), wanted)
        made = select(results.c.path).join(jobs, jobs.c.id == results.c.job_id)
        with reading(self.engine) as connection:
            found = set(connection.scalars(images))
            return found | set(connection.scalars(made.where(results.c.path.in_(paths), wanted)))

    def all_needed(self) -> Iterator[list[str]]:
        """Yield the paths of every job that has its files, in batches."""
        last = 0
        while True:
            page = select(jobs.c.id).where(jobs.c.id > last, jobs.c.files_removed_at.is_(None))
            with reading(self.engine) as connection:
                ids = list(connection.scalars(page.order_by(jobs.c.id).limit(BATCH)))
                found = list(connection.scalars(select(jobs.c.path).where(jobs.c.id.in_(ids))))
                made = select(results.c.path).where(results.c.job_id.in_(ids), results.c.path != NO_FILE)
                found += connection.scalars(made)
            if not ids:
                return
            last = ids[-1]
            yield found

    # ---- rows

    def due_rows(self, settings: RetentionSettings) -> int:
        """Return how many jobs' rows would be removed now."""
        with reading(self.engine) as connection:
            counted = select(func.count()).select_from(jobs).where(self._rows_due(settings))
            return int(connection.execute(counted).scalar_one())

    @repeated
    def remove_rows(self, settings: RetentionSettings) -> int:
        """Remove all rows of some jobs that are due, but tombstones; return of how many, 0: none is due."""
        with writing(self.engine) as connection:
            chosen = select(jobs.c.id).where(self._rows_due(settings)).order_by(jobs.c.id).limit(BATCH)
            ids = list(connection.scalars(chosen.with_for_update(skip_locked=True)))
            _bury(connection, ids)
            carried = select(deliveries.c.id).where(deliveries.c.job_id.in_(ids))
            connection.execute(delete(proofs).where(proofs.c.delivery_id.in_(carried)))
            for table in (deliveries, results, job_events, identities):
                connection.execute(delete(table).where(table.c.job_id.in_(ids)))
            connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))
        return len(ids)

    def remove_conversations(self, settings: RetentionSettings) -> int:
        """Remove what was said of storage commitments so long ago that nobody answers; return how many.

        A transaction of ours stays while a delivery waits for its answer; a request of others, while it waits
        to be answered.
        """
        if not settings.rows_days:
            return 0
        old = self._ago(settings.rows_days)
        awaited = exists().where(
            deliveries.c.transaction_uid == transactions.c.transaction_uid,
            deliveries.c.state != DeliveryState.DELIVERED,
        )
        ours = delete(transactions).where(transactions.c.begun_at <= old, ~awaited)
        told = commitments.c.state != CommitmentState.WAITING
        theirs = delete(commitments).where(commitments.c.created_at <= old, told)
        with writing(self.engine) as connection:
            return connection.execute(ours).rowcount + connection.execute(theirs).rowcount

    def _rows_due(self, settings: RetentionSettings) -> ColumnElement[bool]:
        """Rows outlive files; the first of a UID outlives those that conflict with it, which it explains."""
        if not settings.rows_days:
            return false()
        other = jobs.alias()
        conflicting = exists().where(
            other.c.sop_instance_uid == jobs.c.sop_instance_uid, other.c.primary_uid.is_(None)
        )
        return and_(
            jobs.c.files_removed_at <= self.clock() - ROWS_AFTER_FILES,
            self._ended_before((State.DONE, *PUT_ASIDE), self._ago(settings.rows_days)),
            or_(jobs.c.primary_uid.is_(None), ~conflicting),
        )

    # ---- whose files they are

    def identity(self) -> Identity:
        """Return which database this is; the first to ask names it."""
        for _ in range(2):
            with reading(self.engine) as connection:
                row = connection.execute(
                    select(queue_identity.c.value, queue_identity.c.passes)
                ).one_or_none()
            if row is not None:
                return Identity(*row)
            self._name_it()
        raise AssertionError("the row was just written")

    def _name_it(self) -> None:
        values = {"id": _IDENTITY, "value": uuid.uuid4().hex, "passes": 0}
        try:
            with writing(self.engine) as connection:
                connection.execute(insert(queue_identity).values(values))
        except IntegrityError:  # another process was faster
            return

    def was_used(self) -> bool:
        """Return whether house was ever kept by this database, or whether it has a job."""
        if self.identity().passes:
            return True
        with reading(self.engine) as connection:
            return connection.execute(select(jobs.c.id).limit(1)).first() is not None

    def highest_job(self) -> int:
        """Return the highest number of a job, 0 where there is none; SQLite may give it once more."""
        with reading(self.engine) as connection:
            return connection.execute(select(func.max(jobs.c.id))).scalar_one() or 0

    def count_pass(self) -> Identity:
        """Count that house was kept once more, and return the identity as it is now."""
        more = update(queue_identity).values(passes=queue_identity.c.passes + 1)
        with writing(self.engine) as connection:
            row = connection.execute(more.returning(queue_identity.c.value, queue_identity.c.passes)).one()
            return Identity(*row)


def _bury(connection: Connection, ids: Sequence[int]) -> None:
    """Write down what the removed jobs leave: the content that was worked on under each SOP Instance UID."""
    known = exists().where(tombstones.c.sop_instance_uid == jobs.c.sop_instance_uid)
    dead = select(jobs.c.sop_instance_uid, jobs.c.digest)
    dead = dead.where(jobs.c.id.in_(ids), jobs.c.primary_uid.is_not(None), ~known)
    connection.execute(insert(tombstones).from_select(["sop_instance_uid", "digest"], dead))


def has_undelivered_results() -> ColumnElement[bool]:
    """Jobs of which a result was for nobody: what lies here may be its only copy."""
    sent = exists().where(deliveries.c.result_id == results.c.id)
    return exists().where(results.c.job_id == jobs.c.id, ~sent)


def _due(connection: Connection, wanted: ColumnElement[bool], limit: int | None) -> list[Due]:
    names = ("study_instance_uid", "sop_class_uid", "sop_instance_uid", "path")
    query = (
        select(jobs.c.id, *(jobs.c[name] for name in names)).where(wanted).order_by(jobs.c.id).limit(limit)
    )
    if limit is not None:
        query = query.with_for_update(skip_locked=True)
    rows = connection.execute(query).all()
    made: dict[int, list[str]] = {}
    for start in range(0, len(rows), BATCH):
        ids = [row.id for row in rows[start : start + BATCH]]
        theirs = select(results.c.job_id, results.c.path)
        theirs = theirs.where(results.c.job_id.in_(ids), results.c.path != NO_FILE)
        for job_id, path in connection.execute(theirs):
            made.setdefault(job_id, []).append(path)
    return [
        Due(
            job_id=row.id,
            study_instance_uid=row.study_instance_uid,
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            path=row.path,
            results=tuple(made.get(row.id, ())),
        )
        for row in rows
    ]
