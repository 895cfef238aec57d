"""Results read back from the spool, for people who look: the very bytes that the job store tells of."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from node.attributes import CONVERSION_ERRORS
from node.errors import NotThereError, StorageError
from node.job_store import JobStore
from node.jobs import NO_FILE, Job, StoredResult
from node.spool import Spool


def job_with_files(store: JobStore, job_id: int) -> Job:
    """Return a job whose image and results can be looked at.

    Raises:
        NotThereError: There is no such job, or retention has removed its files.
    """
    job = store.job(job_id)
    if job is None:
        raise NotThereError(f"there is no job {job_id}")
    if job.files_removed_at is not None:
        day = job.files_removed_at.date().isoformat()
        raise NotThereError(f"the files of job {job_id} were removed on {day}, as [retention] says")
    return job


def kept_results(store: JobStore, job_id: int) -> list[StoredResult]:
    """Return the results of a job whose files are there, the oldest first."""
    return [result for result in store.results(job_id) if result.path != NO_FILE]


def read_header(spool: Spool, result: StoredResult, keywords: Sequence[str]) -> Dataset:
    """Return some attributes of a result; errors as in `read_result`, but its bytes are not compared."""
    with _reading(spool, result):
        return dcmread(spool.path(result.path), stop_before_pixels=True, specific_tags=list(keywords))


def read_result(spool: Spool, result: StoredResult) -> Dataset:
    """Return a result as the node has written it.

    Raises:
        NotThereError: Its file is gone.
        StorageError: Its file is not what was written, or the disk does not give it.
    """
    with _reading(spool, result), spool.path(result.path).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != result.digest:
            raise StorageError(
                f"the file of the {result.kind} was changed: it is not what the node has written"
            )
        file.seek(0)
        return dcmread(file)


@contextmanager
def _reading(spool: Spool, result: StoredResult) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        spool.check_there()
        raise NotThereError(f"the file of the {result.kind} is gone from the data folder") from error
    except OSError as error:
        raise StorageError(f"the {result.kind} cannot be read: {error.strerror}") from error
    except (*CONVERSION_ERRORS, InvalidDicomError) as error:
        raise StorageError(f"the file of the {result.kind} is damaged ({type(error).__name__})") from error
