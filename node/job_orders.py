"""What a person says of a job: again, once more, send it again, let it go."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, select

from node.database import jobs, writing
from node.errors import TransitionError
from node.job_lookup import JobLookup
from node.job_rows import as_job, locked
from node.jobs import Job
from node.repeated import repeated
from node.states import PUT_ASIDE, Event, State

_WITH_RESULTS = {State.STORED, State.DELIVERING, State.DONE}


class JobOrders(JobLookup):
    """The part of `node.job_store.JobStore` that does what people ask for."""

    @repeated
    def rerun(self, job_id: int) -> Job:
        """Queue a job that has results again, for another model or another configuration.

        Raises:
            TransitionError: There is no such job, it has no results, or its files were removed.
        """
        with writing(self.engine) as connection:
            row = _existing(connection, job_id)
            if State(row.state) not in _WITH_RESULTS:
                raise TransitionError(f"job {job_id} is {row.state}; only one with results is run once more")
            _refuse_without_files(row)
            changes = {"attempts": 0, "not_before": self.clock()}
            return as_job(self.move(connection, row, Event.RERUN, "", changes))

    @repeated
    def retry(self, job_id: int) -> Job:
        """Queue a job again that was put aside, or send what of its results is not delivered now.

        Raises:
            TransitionError: There is no such job, nothing of it can be tried again, or its SOP Instance UID
                belongs to another content: its results would go out under the UIDs of that one's; or its
                files were removed.
        """
        with writing(self.engine) as connection:
            row = _existing(connection, job_id)
            _refuse_without_files(row)
            if State(row.state) in PUT_ASIDE:
                _refuse_conflict(connection, job_id)
                changes = {"attempts": 0, "not_before": self.clock()}
                return as_job(self.move(connection, row, Event.RETRY, "", changes))
            if not self.unpark(connection, job_id):
                raise TransitionError(f"job {job_id} is {row.state}; nothing of it can be tried again")
            return as_job(self.move(connection, row, Event.RETRY, row.reason))

    @repeated
    def resend(self, job_id: int, destination: str, known: Collection[str]) -> Job:
        """Send results again that were sent before, whatever became of them: byte for byte the same objects.

        Whoever is asked for proofs has to give new ones; what it says of the earlier sending counts no more.
        What a sender has in its hands at this moment is left to it.

        Args:
            job_id: Whose results.
            destination: To whom; empty: to everybody who was to have them.
            known: The destinations that the settings have now; what was for others is left as it is.

        Raises:
            TransitionError: There is no such job, it is being worked on or has no results, its files were
                removed, or the destination was to have nothing of it or is not in the settings any more.
        """
        with writing(self.engine) as connection:
            row = _existing(connection, job_id)
            if State(row.state) not in _WITH_RESULTS:
                raise TransitionError(f"job {job_id} is {row.state}; only what has results is sent again")
            _refuse_without_files(row)
            self.send_again(connection, job_id, destination, known)
            return as_job(self.move(connection, row, Event.RESEND, row.reason))

    @repeated
    def cancel(self, job_id: int, reason: str) -> Job:
        """Let a job go that waits for a worker; `retry` brings it back.

        What an earlier run of it has made is delivered all the same.

        Args:
            job_id: Which.
            reason: Why, for whoever looks at it later; never logged.

        Raises:
            TransitionError: There is no such job, a worker has it, or it does not wait any more.
        """
        with writing(self.engine) as connection:
            row = _existing(connection, job_id)
            if row.state == State.SEGMENTING:
                raise TransitionError(f"job {job_id} is being worked on and cannot be cancelled any more")
            if row.state != State.QUEUED:
                raise TransitionError(f"job {job_id} is {row.state}; only one that waits can be cancelled")
            return as_job(self.move(connection, row, Event.CANCEL, reason))


def _existing(connection: Connection, job_id: int) -> Row[Any]:
    """Return a job's row, locked; TransitionError where there is no such job."""
    row = locked(connection, job_id)
    if row is None:
        raise TransitionError(f"there is no job {job_id}")
    return row


def _refuse_conflict(connection: Connection, job_id: int) -> None:
    """Raise TransitionError for an object whose SOP Instance UID came before with other content."""
    if connection.scalar(select(jobs.c.primary_uid).where(jobs.c.id == job_id)) is None:
        raise TransitionError(
            f"job {job_id} cannot be tried again: other content came before under its SOP Instance UID, "
            "and its results would be taken for that one's; send it under a UID of its own"
        )


def _refuse_without_files(row: Row[Any]) -> None:
    """Raise TransitionError for a job whose files retention has removed."""
    if row.files_removed_at is not None:
        day = row.files_removed_at.date().isoformat()
        raise TransitionError(
            f"job {row.id} cannot be run or sent again: its files were removed on {day}, as [retention] says"
        )
