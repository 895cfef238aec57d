"""What the database says of keeping: which files and rows are due, which are needed, whose files they are.

The mark `files_removed_at` is the decision to remove a job's files. It is made first, in a transaction that
holds the job's row and looks once more, so that `rerun` and `retry` see either the job with its files or the
mark. What the mark allows is done afterwards; `node.housekeeping` says why in this order.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from config.network import RetentionSettings
from node.commitment_store import CommitmentState
from node.database import (
    UtcDateTime,
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


@dataclass(frozen=True)
class _Kind:
    """Jobs in one state that may be due.

    Attributes:
        old: Those that ended long ago: an index has them in the order in which they did.
        over: Of these, those that are due.
    """

    old: ColumnElement[bool]
    over: ColumnElement[bool]

    @property
    def due(self) -> ColumnElement[bool]:
        """Those that are due."""
        return and_(self.old, self.over)

    def due_among(self, ids: Sequence[int]) -> ColumnElement[bool]:
        """Those of some jobs that are due, by their numbers: SQLite would go through all that is old."""
        return and_(jobs.c.id.in_(ids), case((self.old, True), else_=False), self.over)


class KeepingStore(JobRows):
    """What `node.housekeeping` asks of the database; errors as in `node.job_store.JobStore`."""

    # ---- files

    def due_files(self, settings: RetentionSettings) -> list[Due]:
        """Return the jobs whose files would be removed now."""
        with reading(self.engine) as connection:
            return [due for kind in self._files_due(settings) for due in _found(connection, kind.due)]

    def mark_files_removed(self, settings: RetentionSettings) -> Iterator[list[Due]]:
        """Mark jobs whose files are due as having none; yield them a page at a time, of some pages none."""
        for chosen in self._chosen(self._files_due(settings)):
            yield self._mark(chosen) if chosen is not None else []

    @repeated
    def _mark(self, chosen: ColumnElement[bool]) -> list[Due]:
        with writing(self.engine) as connection:
            found = _found(connection, chosen, lock=True)
            marked = update(jobs).where(jobs.c.id.in_([each.job_id for each in found]))
            connection.execute(marked.values(files_removed_at=self.clock()))
        return found

    def _files_due(self, settings: RetentionSettings) -> list[_Kind]:
        days = {State.DONE: settings.files_days} | dict.fromkeys(LET_GO, settings.refused_days)
        there = jobs.c.files_removed_at.is_(None)
        return [self._kind(state, kept, there) for state, kept in days.items() if kept]

    def _kind(self, state: State, days: int, files: ColumnElement[bool], *more: ColumnElement[bool]) -> _Kind:
        moment = self.clock() - timedelta(days=days)
        old = and_(jobs.c.state == state, jobs.c.updated_at <= moment, files)
        return _Kind(old, and_(self._is_over(moment), *more))

    def _chosen(self, kinds: Sequence[_Kind]) -> Iterator[ColumnElement[bool] | None]:
        """Yield a condition on the jobs that are due of each page of old ones, or None: none is.

        They are looked for a page at a time, in the order of an index: asked for all at once, PostgreSQL
        would join every delivery of every old job. Each page begins where the last ended, for jobs that are
        never due, such as those with results for nobody, stay in front. Nobody waits meanwhile: the condition
        is asked again of the jobs once they are locked.
        """
        for kind in kinds:
            for page in self._pages(kind.old):
                with reading(self.engine) as connection:
                    ids = list(connection.scalars(select(jobs.c.id).where(kind.due_among(page))))
                yield kind.due_among(ids) if ids else None

    def _pages(self, old: ColumnElement[bool]) -> Iterator[list[int]]:
        """Yield the numbers of jobs, the oldest first, a page at a time."""
        order = jobs.c.updated_at, jobs.c.id
        query = select(jobs.c.id, jobs.c.updated_at).where(old).order_by(*order).limit(BATCH)
        further: list[ColumnElement[bool]] = []
        while True:
            with reading(self.engine) as connection:
                rows = connection.execute(query.where(*further)).all()
            if not rows:
                return
            yield [row.id for row in rows]
            last = rows[-1]
            moment, number = literal(last.updated_at, UtcDateTime), literal(last.id)
            further = [jobs.c.updated_at >= moment, tuple_(*order) > tuple_(moment, number)]

    def _ago(self, days: int) -> datetime:
        return self.clock() - timedelta(days=days)

    def _is_over(self, moment: datetime) -> ColumnElement[bool]:
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
        free = or_(jobs.c.lease_until.is_(None), jobs.c.lease_until <= now)
        return and_(free, ~under_way, ~has_undelivered_results())

    def needed(self, paths: Sequence[str]) -> set[str]:
        """Return those of the paths that a job needs that has its files."""
        return self._paths(paths, with_files=True)

    def known(self, paths: Sequence[str]) -> set[str]:
        """Return those of the paths that any row names."""
        return self._paths(paths, with_files=False)

    def _paths(self, paths: Sequence[str], *, with_files: bool) -> set[str]:
        """Return those of the paths that a job names; whether it has its files is looked at here.

        SQLite, asked for that as well, would read every job that has its files.
        """
        images = select(jobs.c.path, jobs.c.files_removed_at).where(jobs.c.path.in_(paths))
        made = select(results.c.path, jobs.c.files_removed_at).join(jobs, jobs.c.id == results.c.job_id)
        with reading(self.engine) as connection:
            rows = [*connection.execute(images), *connection.execute(made.where(results.c.path.in_(paths)))]
        return {path for path, removed_at in rows if removed_at is None or not with_files}

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
            counted = (select(func.count()).where(kind.due) for kind in self._rows_due(settings))
            return sum(int(connection.execute(each).scalar_one()) for each in counted)

    def remove_rows(self, settings: RetentionSettings) -> Iterator[int]:
        """Remove all rows of jobs that are due, but tombstones; yield of how many in each page, of some 0."""
        for chosen in self._chosen(self._rows_due(settings)):
            yield self._remove(chosen) if chosen is not None else 0

    @repeated
    def _remove(self, chosen: ColumnElement[bool]) -> int:
        with writing(self.engine) as connection:
            query = select(jobs.c.id).where(chosen).with_for_update(skip_locked=True)
            ids = list(connection.scalars(query))
            _bury(connection, ids)
            carried = list(connection.scalars(select(deliveries.c.id).where(deliveries.c.job_id.in_(ids))))
            for start in range(0, len(carried), BATCH):
                theirs = proofs.c.delivery_id.in_(carried[start : start + BATCH])
                connection.execute(delete(proofs).where(theirs))
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
        told = func.coalesce(commitments.c.state, "") != CommitmentState.WAITING
        count = self._forget(transactions, transactions.c.begun_at, old, ~awaited)
        return count + self._forget(commitments, commitments.c.created_at, old, told)

    def _forget(
        self, table: Table, moment: Column[datetime], old: datetime, wanted: ColumnElement[bool]
    ) -> int:
        """Remove rows that are old, some in one transaction; return how many."""
        chosen = select(table.c.id).where(moment <= old, wanted).order_by(moment).limit(BATCH)
        count, more = 0, BATCH
        while more == BATCH:
            with writing(self.engine) as connection:
                more = connection.execute(delete(table).where(table.c.id.in_(chosen))).rowcount
            count += more
        return count

    def _rows_due(self, settings: RetentionSettings) -> list[_Kind]:
        """Rows outlive files; the first of a UID outlives those that conflict with it, which it explains.

        It may go in the next pass only.
        """
        if not settings.rows_days:
            return []
        other = jobs.alias()
        # Counted, by the UID alone: PostgreSQL would hash all jobs, SQLite read all that conflict with any.
        conflicting = select(func.count(case((other.c.primary_uid.is_(None), 1)))).where(
            other.c.sop_instance_uid == jobs.c.sop_instance_uid
        )
        gone = jobs.c.files_removed_at <= self.clock() - ROWS_AFTER_FILES
        last = or_(jobs.c.primary_uid.is_(None), conflicting.scalar_subquery() == 0)
        return [self._kind(state, settings.rows_days, gone, last) for state in (State.DONE, *PUT_ASIDE)]

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
    query = select(jobs.c.primary_uid, jobs.c.digest).where(jobs.c.id.in_(ids))
    dead = {uid: digest for uid, digest in connection.execute(query) if uid is not None}
    buried = select(tombstones.c.sop_instance_uid).where(tombstones.c.sop_instance_uid.in_(dead))
    known = set(connection.scalars(buried))
    if rows := [
        {"sop_instance_uid": uid, "digest": digest} for uid, digest in dead.items() if uid not in known
    ]:
        connection.execute(insert(tombstones).values(rows))


def has_undelivered_results() -> ColumnElement[bool]:
    """Jobs of which a result was for nobody: what lies here may be its only copy."""
    sent = exists().where(deliveries.c.result_id == results.c.id)
    return exists().where(results.c.job_id == jobs.c.id, ~sent)


def _found(connection: Connection, wanted: ColumnElement[bool], *, lock: bool = False) -> list[Due]:
    names = ("study_instance_uid", "sop_class_uid", "sop_instance_uid", "path")
    query = select(jobs.c.id, *(jobs.c[name] for name in names)).where(wanted).order_by(jobs.c.id)
    rows = connection.execute(query.with_for_update(skip_locked=True) if lock else query).all()
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
