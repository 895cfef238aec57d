"""Looking at jobs in the database; nothing is changed."""

from collections.abc import Collection

from sqlalchemy import func, select

from node.database import deliveries, job_events, jobs, reading, results
from node.delivery_store import RESULT_COLUMNS
from node.identities import JobSearch
from node.job_rows import JOB_COLUMNS, as_job
from node.jobs import Job, JobEvent, StoredResult
from node.proof_store import ProofStore
from node.states import State


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

    def find(self, search: JobSearch, limit: int = 100) -> list[Job]:
        """Return the latest of the jobs that are looked for, the latest first."""
        query = select(*JOB_COLUMNS).where(search.clause).order_by(jobs.c.id.desc()).limit(limit)
        with reading(self.engine) as connection:
            return [as_job(row) for row in connection.execute(query)]

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
