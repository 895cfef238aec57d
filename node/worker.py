"""A worker: takes a job, makes its results, keeps them, and tells the job's state what happened."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ai.errors import NotAChestError, RadiographError
from node.bell import Bell
from node.claiming import RETRY_BACKOFF
from node.errors import (
    IgnoredImageError,
    LeaseLostError,
    RefusedImageError,
    ResultError,
    StorageError,
    UndecodableError,
    UnmatchedImageError,
)
from node.heartbeat import Heartbeat
from node.job_store import JobStore
from node.jobs import NO_FILE, Job, StoredResult
from node.logs import frames_of, get_logger, place_of, reason_for_log
from node.loop import Loop
from node.pipeline import ResultObject
from node.spool import Spool
from node.states import State
from node.work import Keep, Made

FAILED_PAUSE_S = 1.0
"""After a job that failed by itself: others are not kept waiting for it, and where each fails not all of them
fail at once."""

IDLE_S = 2.0
"""Work that another process put into the database is seen after so many seconds at the latest."""

Doing = Callable[[Job, Keep, Callable[[str], None]], Made]
"""Makes the results of a job, has each kept, and tells a function what it does now, such as "segmenting"."""

STORAGE_RETRY_S = 10.0
"""A job whose results could not be kept lets others go first for so long."""

log = get_logger()


@dataclass(frozen=True)
class Terms:
    """What a worker goes by; see `Worker`."""

    job_store: JobStore
    spool: Spool
    work: Doing
    lease_s: float


class _JobFailedError(Exception):
    """The work of one image failed; the job has been given back, and the loop is not to blame."""


class Worker:
    """Runs jobs one after the other in a thread.

    Args:
        name: Who holds the lease; different in every worker of every process.
        job_store: Where jobs are.
        spool: Where images and results lie.
        work: Makes the results of a job: `node.work.Work`.
        lease_s: How long a job stays this worker's without a sign of life, in seconds.
        received: Rings when an image was received.
        finished: Rung when there are results to deliver.
    """

    def __init__(
        self,
        name: str,
        job_store: JobStore,
        spool: Spool,
        work: Doing,
        lease_s: float,
        received: Bell,
        finished: Bell,
    ) -> None:
        self._name = name
        self._offered = Terms(job_store, spool, work, lease_s)
        self._store = job_store
        self._spool = spool
        self._work = work
        self._lease_s = lease_s
        self._finished = finished
        self._in_hand: Job | None = None
        self._owed: Job | None = None  # one that perhaps could not be given back, for lack of the database
        self.loop = Loop(name, self.step, received)

    def step(self) -> float:
        """Take one job and end it; return for how many seconds there is nothing to do.

        Raises:
            StorageError: The database or the data folder is away; no job is held against it.
        """
        terms = self._offered
        self._store, self._spool = terms.job_store, terms.spool
        self._work, self._lease_s = terms.work, terms.lease_s
        self._pay()
        self._spool.check_there()
        job = self._store.claim(self._name, self._lease_s)
        if job is None:
            return IDLE_S
        self._in_hand = job
        pause_s = 0.0
        try:
            with Heartbeat(lambda stage: self._beat(job, stage), self._lease_s) as heartbeat:
                self._end(job, heartbeat.tell)
        except _JobFailedError:
            pause_s = FAILED_PAUSE_S
        except LeaseLostError:
            log.warning("lease lost", job_id=job.id, worker_id=self._name)
        except StorageError:
            self._owed = job
            raise
        finally:
            self._in_hand = None
        return pause_s

    def take_up(self, terms: Terms) -> None:
        """Go by other terms from the next job on."""
        self._offered = terms

    def give_back(self) -> None:
        """Let another worker have the job in hand; for a node that stops before this worker is done."""
        job = self._in_hand
        if job is not None:
            self._store.give_back(job.id, self._name, "the node stopped", counted=False)
            log.warning("job given back", job_id=job.id, worker_id=self._name)

    def _beat(self, job: Job, stage: str) -> bool:
        return self._store.heartbeat(job.id, self._name, self._lease_s, stage)

    def _pay(self) -> None:
        """Give back a job whose end could not be recorded because the database was away, if it is so."""
        if self._owed is not None:
            with suppress(LeaseLostError):  # it was given back, taken over, or its end was recorded after all
                self._store.give_back(self._owed.id, self._name, "the database was away", counted=False)
            self._owed = None

    def _end(self, job: Job, tell: Callable[[str], None]) -> None:
        try:
            self._finish(job, tell)
        except (RefusedImageError, NotAChestError, IgnoredImageError, UnmatchedImageError) as error:
            self._put_aside(job, error)
        except (UndecodableError, RadiographError, ResultError) as error:
            self._store.quarantine(job.id, self._name, str(error))
            self._log(job, "quarantined", error, str(error).split(":")[0])  # a library's words may follow
        except LeaseLostError:
            raise
        except StorageError as error:
            self._store.give_back(job.id, self._name, str(error), retry_in_s=STORAGE_RETRY_S, counted=False)
            raise
        except Exception as error:
            wait_s = RETRY_BACKOFF.delay_s(job.attempts)
            reason, trace = f"{type(error).__name__} in {place_of(error)}", frames_of(error)
            self._store.give_back(job.id, self._name, reason, retry_in_s=wait_s, trace=trace)
            log.error("a step failed", error=type(error).__name__, place=place_of(error), job_id=job.id)
            raise _JobFailedError from error

    def _put_aside(self, job: Job, error: Exception) -> None:
        """Record that nothing is made of an image, because of what it is or of what the admin wants."""
        if isinstance(error, IgnoredImageError):
            self._store.ignore(job.id, self._name, str(error))
            state = State.IGNORED
        elif isinstance(error, UnmatchedImageError):
            self._store.leave_unmatched(job.id, self._name, str(error))
            state = State.UNMATCHED
        else:
            self._store.refuse(job.id, self._name, str(error))
            state = State.REFUSED
        self._log(job, state, error, str(error))

    def _finish(self, job: Job, tell: Callable[[str], None]) -> None:
        start = time.monotonic()
        kept = [result for result in self._store.results(job.id) if result.path != NO_FILE]
        known = {result.sop_instance_uid: result for result in kept}
        made = self._work(job, partial(self._keep, known), tell)
        self._store.finish(job.id, self._name, made.results, "; ".join(made.remarks))
        self._finished.ring()
        seconds = round(time.monotonic() - start, 3)
        log.info("job finished", job_id=job.id, seconds=seconds, count=len(made.results))

    def _keep(self, known: dict[str, StoredResult], result: ResultObject) -> StoredResult:
        """Make a result durable, once: what an earlier run or another destination has is the same object."""
        uid = str(result.dataset.SOPInstanceUID)
        if uid not in known:
            known[uid] = self._kept(result)
        return known[uid]

    def _kept(self, result: ResultObject) -> StoredResult:
        kept = self._spool.store_result(*result.pieces)
        return StoredResult(
            kind=result.kind,
            sop_class_uid=str(result.dataset.SOPClassUID),
            sop_instance_uid=str(result.dataset.SOPInstanceUID),
            path=kept.path,
            digest=kept.digest,
        )

    def _log(self, job: Job, state: str, error: Exception, reason: str) -> None:
        log.warning(
            "job ended",
            job_id=job.id,
            sop_instance_uid=job.sop_instance_uid,
            state=state,
            error=type(error).__name__,
            reason=reason_for_log(reason),
        )
