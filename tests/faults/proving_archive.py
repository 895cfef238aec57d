"""An archive that proves what it has: it answers to storage commitment (PS3.4 J) and queries (PS3.4 C)."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydicom import Dataset
from pynetdicom import AllStoragePresentationContexts, build_context, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from node.archive import Archive
from node.commitment_statuses import PUSH_MODEL, PUSH_MODEL_INSTANCE

COMPLETE, FAILURES_EXIST = 1, 2
"""Event Type ID (PS3.4 J.3.3)."""

NO_SUCH_INSTANCE = 0x0112
"""Failure Reason (0008,1197): No such object instance (PS3.3 C.14)."""

PENDING, SUCCESS = 0xFF00, 0x0000


class ProvingArchive(Archive):
    """Commits itself to what it keeps, and finds it; nothing else.

    Args:
        folder: As of `node.archive.Archive`.
    """

    def __init__(self, folder: Path) -> None:
        classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
        classes += [Verification, PUSH_MODEL, StudyRootQueryRetrieveInformationModelFind]
        super().__init__(folder, contexts=[build_context(each) for each in classes])

    def handlers(self) -> list[evt.EventHandlerType]:
        """Return those of an archive, and of the two services."""
        return [*super().handlers(), (evt.EVT_N_ACTION, self._action), (evt.EVT_C_FIND, self._find)]

    def _action(self, event: evt.Event) -> tuple[int, None]:
        arguments = (event.assoc, event.action_information)
        threading.Thread(target=self._tell, args=arguments, daemon=True).start()
        return SUCCESS, None

    def _tell(self, association: Association, asked: Dataset) -> None:
        """Report on the association of the request; a node that has died meanwhile asks again."""
        told = Dataset()
        kept: list[Dataset] = []
        lost: list[Dataset] = []
        for item in asked.ReferencedSOPSequence:
            (kept if self.path(str(item.ReferencedSOPInstanceUID)).exists() else lost).append(item)
        for item in lost:
            item.FailureReason = NO_SUCH_INSTANCE
        told.TransactionUID = asked.TransactionUID
        if kept:
            told.ReferencedSOPSequence = kept
        if lost:
            told.FailedSOPSequence = lost
        kind = FAILURES_EXIST if lost else COMPLETE
        with suppress(RuntimeError, ValueError, OSError):
            association.send_n_event_report(told, kind, PUSH_MODEL, PUSH_MODEL_INSTANCE)

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        wanted = str(asked.get("SOPInstanceUID", "") or "")
        for arrival in {each.sop_instance_uid for each in self.arrivals}:
            if wanted in {"", arrival}:
                match = Dataset()
                match.QueryRetrieveLevel = "IMAGE"
                match.SOPInstanceUID = arrival
                yield PENDING, match
        yield SUCCESS, None
