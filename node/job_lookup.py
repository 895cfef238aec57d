"""Looking at jobs in the database; nothing is changed."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, func, select, union, union_all

from node.database import deliveries, identities, job_events, jobs, reading, results
from node.delivery_store import RESULT_COLUMNS
from node.identities import KEYWORDS, JobSearch, ids_by_word
from node.job_rows import JOB_COLUMNS, as_job
from node.jobs import Identifiers, Job, JobEvent, Priority, StoredResult
from node.proof_store import ProofStore
from node.queue_figures import count_jobs
from node.queue_order import newest_first, sharing
from node.states import State

FEW = 1000
"""So many jobs in a state are looked at one by one."""


class JobLookup(ProofStore):
    """The part of `node.job_store.JobStore` that only reads."""

    def job(self, job_id: int) -> Job | None:
        """Return a job, or None where there is none with this number."""
        with reading(self.engine) as connection:
            row = connection.execute(select(*JOB_COLUMNS).where(jobs.c.id == job_id)).one_or_none()
        return None if row is None else as_job(row)

    def jobs(self, state: State | None = None, limit: int = 100) -> list[Job]:
        """Return the latest jobs, the latest first, all or those in one state."""
        return self.find(JobSearch(state), limit)

    def find(self, search: JobSearch, limit: int = 100, before: int = 0) -> list[Job]:
        """Return the latest of the jobs that are looked for, the latest first.

        Args:
            search: Which.
            limit: So many at most.
            before: Only jobs with lower numbers, for the next page; 0: all.
        """
        wanted = [search.clause, *_older(before)]
        with reading(self.engine) as connection:
            if search.is_for_state_alone:
                wanted.append(_newest_in(search.state, limit, before))
            elif search.state is not None:
                wanted.append(_also_in(connection, search.state))
            query = select(*JOB_COLUMNS).where(*wanted).order_by(jobs.c.id.desc()).limit(limit)
            return [as_job(row) for row in connection.execute(query)]

    def look_up(self, words: str, state: State | None = None, limit: int = 100, before: int = 0) -> list[Job]:
        """Return the latest of the jobs that a text of a person means, the latest first.

        Args:
            words: An Accession Number, Patient ID, Study or SOP Instance UID, or the AE title of the sender,
                whole; blanks alone mean every job.
            state: Where the job stands; None: anywhere.
            limit: As in `find`.
            before: As in `find`.
        """
        word = words.replace("\0", "").strip()
        if not word:
            return self.find(JobSearch(state), limit, before)
        with reading(self.engine) as connection:
            wanted = [] if state is None else [_also_in(connection, state)]
            pages = (each.where(*wanted).limit(limit).subquery() for each in ids_by_word(word, before))
            meant = union(*(select(page.c.id) for page in pages))
            query = select(*JOB_COLUMNS).where(jobs.c.id.in_(meant)).order_by(jobs.c.id.desc()).limit(limit)
            return [as_job(row) for row in connection.execute(query)]

    def study(self, study_instance_uid: str) -> list[Job]:
        """Return every job of a study, the oldest first; "" is no study."""
        of_study = (jobs.c.study_instance_uid == study_instance_uid) & (jobs.c.study_instance_uid != "")
        with reading(self.engine) as connection:
            rows = connection.execute(select(*JOB_COLUMNS).where(of_study).order_by(jobs.c.id))
            return [as_job(row) for row in rows]

    def identifiers_of(self, job_ids: Collection[int]) -> dict[int, Identifiers]:
        """Return by what people look for the images of jobs; jobs of which that is not known are left out.

        For the screen of a person who asks; nothing of it is ever logged.
        """
        columns = [identities.c[name] for name in KEYWORDS]
        query = select(identities.c.job_id, *columns).where(identities.c.job_id.in_(sorted(job_ids)))
        with reading(self.engine) as connection:
            rows = connection.execute(query).all()
        return {row[0]: Identifiers(**dict(zip(KEYWORDS, row[1:], strict=True))) for row in rows}

    def counts(self) -> dict[State, int]:
        """Return how many jobs are in each state, zeros included."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with reading(self.engine) as connection:
            found = {State(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in State}

    def history(self, job_id: int) -> list[JobEvent]:
        """Return everything that happened to a job, the first first."""
        columns = [job_events.c[name] for name in JobEvent.__dataclass_fields__]
        query = select(*columns).where(job_events.c.job_id == job_id).order_by(job_events.c.id)
        with reading(self.engine) as connection:
            return [JobEvent(*row) for row in connection.execute(query)]

    def results(self, job_id: int, destinations: Collection[str] = ()) -> list[StoredResult]:
        """Return a job's results, the oldest first: all, or those for one of the destinations at least."""
        query = select(*RESULT_COLUMNS).where(results.c.job_id == job_id).order_by(results.c.id)
        if destinations:
            sent = (deliveries.c.job_id == job_id) & deliveries.c.destination.in_(destinations)
            theirs = select(deliveries.c.result_id).where(sent)
            query = query.where(results.c.id.in_(theirs))
        with reading(self.engine) as connection:
            return [StoredResult(*row) for row in connection.execute(query)]


def _newest_in(state: State | None, limit: int, before: int) -> ColumnElement[bool]:
    """The latest jobs in a state, by the index (state, priority, id): a page of each priority."""
    pages = (
        select(jobs.c.id)
        .where(jobs.c.state == state, sharing(jobs.c.priority, priority, before=before))
        .order_by(*newest_first(jobs.c.priority))
        .limit(limit)
        .subquery()
        for priority in Priority
    )
    return jobs.c.id.in_(union_all(*(select(page.c.id) for page in pages)))


def _also_in(connection: Connection, state: State) -> ColumnElement[bool]:
    """Jobs in a state, where more is asked for: by their numbers if they are few, else by looking at each.

    The index of states is no way to the others: SQLite, which keeps no statistics, would take it and read
    everything that is done. So what is asked for is "in none of the other states", which no index serves:
    both databases walk the other index from the newest until a page is full. PostgreSQL's statistics tell it
    that this is soon, as they do not of an expression. A sender with few images in a large state is read
    whole.
    """
    if connection.execute(count_jobs(state, FEW + 1)).scalar_one() <= FEW:
        return jobs.c.id.in_(select(jobs.c.id).where(jobs.c.state == state))
    return jobs.c.state.not_in([other for other in State if other is not state])


def _older(before: int) -> list[ColumnElement[bool]]:
    return [jobs.c.id < before] if before else []
