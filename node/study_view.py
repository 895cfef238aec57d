"""Everything that the database knows of one job, for the screen of a person who asks."""

from dataclasses import dataclass

from node.errors import NotThereError
from node.job_store import JobStore
from node.jobs import Delivery, Identifiers, Job, StoredResult
from node.proofs import Said, said
from node.timeline import Moment, timeline


@dataclass(frozen=True)
class DeliveryView:
    """A result on its way to a destination, and what the destination has said of its last sending."""

    delivery: Delivery
    said: Said


@dataclass(frozen=True)
class JobView:
    """One received image and what became of it.

    Attributes:
        job: Where it stands; its reason says why.
        identifiers: By what people look for it; never logged.
        timeline: What happened, the first first.
        results: What was made of it, the oldest first; those of earlier models too.
        deliveries: Of each result to each destination.
    """

    job: Job
    identifiers: Identifiers
    timeline: tuple[Moment, ...]
    results: tuple[StoredResult, ...]
    deliveries: tuple[DeliveryView, ...]


def job_view(store: JobStore, job_id: int) -> JobView:
    """Return what is known of a job, also of one whose files were removed.

    Raises:
        NotThereError: There is no such job.
    """
    job = store.job(job_id)
    if job is None:
        raise NotThereError(f"there is no job {job_id}")
    deliveries, proofs = store.deliveries(job_id), store.proofs(job_id)
    return JobView(
        job=job,
        identifiers=store.identifiers_of([job_id]).get(job_id, Identifiers()),
        timeline=timeline(job, store.history(job_id), deliveries, proofs),
        results=tuple(store.results(job_id)),
        deliveries=tuple(DeliveryView(each, said(each, proofs)) for each in deliveries),
    )
