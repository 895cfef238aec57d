"""The values that travel between the listener, the job store, the workers and the senders.

None of them but `Identifiers` holds anything about a patient: UIDs, digests, places and times only.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from node.states import State

NO_FILE = ""
"""The path of a result whose file retention has removed, in a job that has its image again."""


class Admission(StrEnum):
    """What became of a received object."""

    NEW = "new"  # a job waits for a worker, also one whose files were removed and whose image came again
    DUPLICATE = "duplicate"  # the same content came before; its job has the file again if that was removed
    CONFLICT = "conflict"  # other content came before under this SOP Instance UID; quarantined
    QUARANTINED = "quarantined"  # kept, and not worked on


class Priority(IntEnum):
    """How soon a job is worked on and delivered: one of a higher priority before one of a lower."""

    LOW = -1  # after all others, until it has waited for `node.claiming.AGEING_S`
    ROUTINE = 0
    URGENT = 1


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"  # is due, or will be
    SENT = "sent"  # the destination says that it stored it; the proofs that are asked for are awaited
    DELIVERED = "delivered"  # the destination has it
    PARKED = "parked"  # is tried again only when somebody asks for it


@dataclass(frozen=True)
class Identifiers:
    """By what people look for an image; as it stands there, empty where it does not. Never prints, for logs.

    Attributes:
        patient_id: Patient ID (0010,0020).
        issuer: Issuer of Patient ID (0010,0021).
        accession_number: Accession Number (0008,0050).
        modality: Modality (0008,0060).
        study_date: Study Date (0008,0020), YYYYMMDD.
    """

    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)
    modality: str = field(default="", repr=False)
    study_date: str = field(default="", repr=False)


@dataclass(frozen=True)
class ReceivedObject:
    """An object whose bytes are safe in the spool.

    Attributes:
        sop_class_uid: As in the C-STORE command.
        sop_instance_uid: As in the C-STORE command.
        study_instance_uid: As in the data set, empty where it tells none; likewise the series.
        series_instance_uid: See above.
        transfer_syntax_uid: In which the data set is encoded.
        digest: sha256 of the transfer syntax UID, a line feed and the data set's bytes as they came,
            hexadecimal.
        path: Its file, relative to the spool's folder.
        size: Of the data set, in bytes.
        calling_ae_title: Who sent it.
        quarantine_reason: Why it must not be worked on; empty: it may.
        priority: How soon it is worked on.
        called_ae_title: By which of its AE titles the node was called; empty where that is not known.
        identifiers: By what people look for it; None where its header cannot be read.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    digest: str
    path: str
    size: int
    calling_ae_title: str
    quarantine_reason: str = ""
    priority: Priority = Priority.ROUTINE
    called_ae_title: str = ""
    identifiers: Identifiers | None = None


@dataclass(frozen=True)
class Job:
    """One received object and what is being done with it; see `ReceivedObject` for what is not listed here.

    Attributes:
        id: Its number, rising in the order of arrival.
        state: Where it stands.
        reason: Why it was refused, quarantined, given back or failed, or what an admin should know of
            one that is done; empty otherwise.
        attempts: How often a worker has begun with it since it was last queued by a person.
        lease_owner: The worker that holds it, or held it last.
        lease_until: When the lease ends, or ended, UTC.
        created_at: When it was received, UTC.
        updated_at: When its state last changed, UTC.
        trace: Where its last attempt went wrong, one "file:line function" in a line, the innermost last.
            "while segmenting" and the like: what its worker does now, or did when it died.
        files_removed_at: When its files were removed, UTC; None: they are there.
        rule: Names of the rules that decided about it, with commas; empty: none has.
    """

    id: int
    state: State
    reason: str
    attempts: int
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    digest: str
    path: str
    size: int
    calling_ae_title: str
    lease_owner: str | None
    lease_until: datetime | None
    created_at: datetime
    updated_at: datetime
    priority: Priority = Priority.ROUTINE
    trace: str = ""
    files_removed_at: datetime | None = None
    called_ae_title: str = ""
    rule: str = ""


@dataclass(frozen=True)
class StoredResult:
    """A result object whose bytes are safe in the spool.

    Attributes:
        kind: What it is, in the words of `node.result_header.ResultKind`, such as "SR".
        sop_class_uid: What it is.
        sop_instance_uid: Its identity.
        path: Its file, relative to the spool's folder.
        digest: sha256 of the file, hexadecimal.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    path: str
    digest: str


@dataclass(frozen=True)
class AddressedResult:
    """A result, and the names of the destinations that get it."""

    result: StoredResult
    destinations: tuple[str, ...]


@dataclass(frozen=True)
class Delivery:
    """One result on its way to one destination.

    Attributes:
        id: Its number.
        job_id: Of which job the result is.
        destination: The destination's name.
        state: Where it stands.
        attempts: How often it has failed since it was last asked for by a person.
        due_at: Not tried before, UTC.
        status: The DIMSE status that the destination last answered, if any.
        reason: Why it failed last, or what is awaited; empty otherwise.
        updated_at: When it last failed, or was put forward, sent or asked about, UTC.
        result: What is delivered.
        sent_at: When the destination last answered that it stored it, UTC.
        transaction_uid: Of the storage commitment that was begun last.
        asked_at: When the destination took that request on, UTC; None: it has not.
        resends: How often it was sent again because a proof failed, since a person last asked for it.
    """

    id: int
    job_id: int
    destination: str
    state: DeliveryState
    attempts: int
    due_at: datetime
    status: int | None
    reason: str
    updated_at: datetime
    result: StoredResult
    sent_at: datetime | None = None
    transaction_uid: str | None = None
    asked_at: datetime | None = None
    resends: int = 0


@dataclass(frozen=True)
class JobEvent:
    """One line of a job's history.

    Attributes:
        at: When, UTC.
        event: What happened, in the words of `node.states.Event`.
        from_state: Before.
        to_state: After.
        reason: Why, or empty.
    """

    at: datetime
    event: str
    from_state: str
    to_state: str
    reason: str
