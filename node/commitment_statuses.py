"""What is answered to N-ACTION and N-EVENT-REPORT of storage commitment, and its reasons of failure.

PS3.7 10.1.1.1.8 and 10.1.4.1.10 (statuses, with C.5), PS3.3 C.14.1.1 (Failure Reason), PS3.4 J.3.
"""

from pydicom import Dataset
from pydicom.uid import UID

PUSH_MODEL = UID("1.2.840.10008.1.20.1")
"""Storage Commitment Push Model SOP Class (PS3.4 J.3.1)."""

PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")
"""Its one, well-known instance (PS3.4 J.3.5)."""

REQUEST_COMMITMENT = 1
"""Action Type ID (PS3.4 Table J.3-1)."""

ALL_COMMITTED = 1
"""Event Type ID: every object is committed (PS3.4 Table J.3-2)."""

SOME_FAILED = 2
"""Event Type ID: failures exist (PS3.4 Table J.3-2)."""

SUCCESS = 0x0000
"""The request is taken on, or the event was heard (PS3.4 J.3.2.2, J.3.3.2)."""

PROCESSING_FAILURE = 0x0110
"""An error of the node, or an event from somebody who was not asked (PS3.7 C.5.11)."""

NO_SUCH_INSTANCE = 0x0112
"""Another instance than the well-known one; as Failure Reason: the object is not there (PS3.7 C.5.8)."""

NO_SUCH_EVENT_TYPE = 0x0113
"""An Event Type ID other than 1 and 2 (PS3.7 C.5.10)."""

INVALID_ARGUMENT = 0x0115
"""A Transaction UID that is unknown or in use, or objects that are not named (PS3.7 C.5.3)."""

NO_SUCH_ACTION = 0x0123
"""An Action Type ID other than 1 (PS3.7 C.5.9)."""

RESOURCE_LIMITATION = 0x0213
"""The database or the disk does not work, or too many objects are named (PS3.7 C.5.24)."""

CLASS_CONFLICT = 0x0119
"""Failure Reason: the object is of another SOP class (PS3.3 C.14.1.1)."""

CLASS_NOT_SUPPORTED = 0x0122
"""Failure Reason: the SOP class is not one that the node commits itself to (PS3.3 C.14.1.1)."""

DUPLICATE_TRANSACTION = 0x0131
"""Failure Reason: the Transaction UID is in use; it is asked again under another (PS3.3 C.14.1.1)."""

FAILURE_REASONS = {
    PROCESSING_FAILURE: "processing failure there",
    NO_SUCH_INSTANCE: "no such object instance there",
    CLASS_CONFLICT: "class and instance conflict there",
    CLASS_NOT_SUPPORTED: "the SOP class is not supported there",
    DUPLICATE_TRANSACTION: "the Transaction UID is in use there",
    RESOURCE_LIMITATION: "out of resources there",
}
"""Failure Reason (0008,1197) in words (PS3.3 C.14.1.1)."""


def failure_in_words(reason: int) -> str:
    """Return what a Failure Reason says.

    >>> failure_in_words(0x0112)
    'not committed: no such object instance there (0x0112)'
    """
    return f"not committed: {FAILURE_REASONS.get(reason, 'an unknown reason')} (0x{reason:04X})"


def response(status: int, comment: str = "") -> Dataset:
    """Return a status as pynetdicom takes it from a handler; Error Comment (0000,0902) has 64 characters."""
    answer = Dataset()
    answer.Status = status
    if comment:
        answer.ErrorComment = comment[:64]
    return answer
