"""By what people look for an image: read from its header, kept beside its job, searched.

The table `identities` is the only one that names patients. It serves the screen of a person who asks, and
nothing of it is ever logged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom import Dataset
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, insert, select

from node.attributes import values
from node.database import identities, jobs
from node.jobs import Identifiers
from node.queue_order import newest_first, sharing
from node.states import State

MAX_CHARACTERS = 64
"""Longer values are cut: what LO and SH may have (PS3.5 6.2)."""

KEYWORDS = {
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "accession_number": "AccessionNumber",
    "modality": "Modality",
    "study_date": "StudyDate",
}
"""By the names in `node.jobs.Identifiers`."""

_INSERT = insert(identities)


def identifiers_in(header: Dataset) -> Identifiers:
    """Return what a header says; empty where it says nothing."""
    return Identifiers(**{name: _text(header, keyword) for name, keyword in KEYWORDS.items()})


def _text(header: Dataset, keyword: str) -> str:
    value = next(iter(values(header, keyword)), "")
    return str(value).replace("\0", "").strip()[:MAX_CHARACTERS]


def keep_identifiers(connection: Connection, job_id: int, found: Identifiers) -> None:
    """Write down what is known of a job's image, in the place of what was."""
    connection.execute(delete(identities).where(identities.c.job_id == job_id))
    add_identifiers(connection, {job_id: found})


def add_identifiers(connection: Connection, found: Mapping[int, Identifiers | None]) -> None:
    """Write down what is known of the images of new jobs, by their numbers; None: nothing."""
    rows = [
        {"job_id": number} | {name: getattr(each, name) for name in KEYWORDS}
        for number, each in found.items()
        if each is not None
    ]
    if rows:
        connection.execute(_INSERT, rows)


@dataclass(frozen=True)
class JobSearch:
    """Which jobs are looked for: all that is given must hold, word for word; empty: any.

    Attributes:
        state: Where the job stands; None: anywhere.
        accession_number: Of the image.
        patient_id: Of the image.
        study_instance_uid: Of the image.
        calling_ae_title: Who sent it.
        sop_instance_uid: Of the image.
    """

    state: State | None = None
    accession_number: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    study_instance_uid: str = ""
    calling_ae_title: str = ""
    sop_instance_uid: str = ""

    @property
    def is_for_state_alone(self) -> bool:
        """Whether a state is all that is given."""
        return self.state is not None and self == JobSearch(self.state)

    @property
    def clause(self) -> ColumnElement[bool]:
        """The condition on rows of `jobs`, but for the state: `node.job_lookup` adds that."""
        wanted: list[ColumnElement[bool]] = []
        for name in ("study_instance_uid", "calling_ae_title", "sop_instance_uid"):
            if value := getattr(self, name):
                wanted.append(jobs.c[name] == value)
        theirs = [
            identities.c[name] == value
            for name in ("accession_number", "patient_id")
            if (value := getattr(self, name))
        ]
        if theirs:
            wanted.append(exists().where(identities.c.job_id == jobs.c.id, *theirs))
        return and_(jobs.c.id > 0, *wanted)


def ids_by_word(word: str, before: int = 0) -> tuple[Select[tuple[int]], ...]:
    """Return queries for the numbers of jobs that a text of a person may mean, each with its own index.

    Args:
        word: An Accession Number, Patient ID, Study or SOP Instance UID, or the AE title of the sender; not
            empty, without blanks around and without null characters, which PostgreSQL refuses.
        before: Only jobs with lower numbers; 0: all.

    Returns:
        The newest first.
    """
    of_jobs = (jobs.c.study_instance_uid, jobs.c.sop_instance_uid)
    of_patients = (identities.c.accession_number, identities.c.patient_id)
    named = select(jobs.c.id).join(identities, identities.c.job_id == jobs.c.id)
    few = [select(jobs.c.id).where(column == word) for column in of_jobs]
    few += [named.where(column == word[:MAX_CHARACTERS]) for column in of_patients]
    older = [jobs.c.id < before] if before else []
    sender = jobs.c.calling_ae_title  # of many
    sent = select(jobs.c.id).where(sharing(sender, word, before=before)).order_by(*newest_first(sender))
    return (*(each.where(*older).order_by(jobs.c.id.desc()) for each in few), sent)
