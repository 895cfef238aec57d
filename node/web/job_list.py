"""The images that somebody looks for, a page at a time."""

from dataclasses import dataclass, field
from datetime import datetime

from node.jobs import Identifiers, Job
from node.states import State
from node.web.desk import Desk
from node.web.waits import Wait, waits_of

PAGE = 50
"""Images on a page."""

MEANINGS = {
    State.RECEIVED: "its bytes are on disk",
    State.QUEUED: "it waits for a worker",
    State.SEGMENTING: "a worker has it",
    State.STORED: "its results are on disk and wait for delivery",
    State.DELIVERING: "its results are on their way",
    State.DONE: "every destination has every result",
    State.REFUSED: "the node does not serve such an image",
    State.IGNORED: "a rule says that nothing is done with it",
    State.UNMATCHED: "no rule says where its results go",
    State.QUARANTINED: "it cannot be understood; its bytes are kept",
    State.CANCELLED: "a person let it go while it waited",
    State.FAILED: "it was tried too often",
}
"""What it means that an image is in a state, in words."""


@dataclass(frozen=True)
class JobLine:
    """One image in a list.

    Attributes:
        job: The number of its job.
        received_at: When, UTC.
        state: Where it stands.
        reason: Why it was put aside or given back, or what is odd about one that is done; empty otherwise.
        accession_number: Of the image; likewise the next two. Never logged.
        patient_id: See above.
        modality: See above.
        sender: The AE title that it came from.
        study_instance_uid: Of the image.
        sop_instance_uid: Of the image.
        waits: The destinations that lack results, with why and until when.
    """

    job: int
    received_at: datetime
    state: State
    reason: str
    accession_number: str = field(repr=False)
    patient_id: str = field(repr=False)
    modality: str
    sender: str
    study_instance_uid: str
    sop_instance_uid: str
    waits: tuple[Wait, ...]


@dataclass(frozen=True)
class JobList:
    """A page of images, the newest first.

    Attributes:
        lines: At most `PAGE`.
        before: What to ask for next, to see older ones; 0: there are none.
    """

    lines: tuple[JobLine, ...]
    before: int


def job_list(desk: Desk, words: str, state: State | None, before: int) -> JobList:
    """Return the images that a text means; what is asked as in `node.job_lookup.JobLookup.look_up`."""
    store, failures, now = desk.store, desk.failures, desk.watched.clock()
    found = store.look_up(words, state, PAGE + 1, before)
    shown = found[:PAGE]
    ids = [job.id for job in shown]
    identifiers, left = store.identifiers_of(ids), store.undelivered(ids)
    lines = tuple(
        _line(job, identifiers.get(job.id, Identifiers()), waits_of(left.get(job.id, ()), failures, now))
        for job in shown
    )
    return JobList(lines, shown[-1].id if len(found) > PAGE else 0)


def _line(job: Job, known: Identifiers, waits: tuple[Wait, ...]) -> JobLine:
    return JobLine(
        job=job.id,
        received_at=job.created_at,
        state=job.state,
        reason=job.reason,
        accession_number=known.accession_number,
        patient_id=known.patient_id,
        modality=known.modality,
        sender=job.calling_ae_title,
        study_instance_uid=job.study_instance_uid,
        sop_instance_uid=job.sop_instance_uid,
        waits=waits,
    )
