"""Asking a destination to commit itself to what it stored, and hearing its answer (PS3.4 J.3).

The answer comes as N-EVENT-REPORT on the same association, or on another one that the peer opens to the
node's listener, in this process or another; the Transaction UID in the database connects them.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT

from config.settings import AnyDestination, Destination
from node import commitment_statuses as statuses
from node.backoff import Backoff
from node.errors import ProofError, StorageError
from node.exchange import context_of, encoded, exchange, own_turn
from node.logs import get_logger, place_of
from node.peer_call import Caller
from node.proof_store import ProofStore
from node.proofs import CommitmentAnswer, asked_of
from node.reception import shielded

KEEP_OPEN_S = 5.0
"""How long the association is kept open for an answer that comes at once, in seconds."""

log = get_logger()


@dataclass(frozen=True)
class Reference:
    """An object as storage commitment names it (PS3.3 C.14)."""

    sop_class_uid: str
    sop_instance_uid: str

    def item(self) -> Dataset:
        """Return it as an item of Referenced SOP Sequence (0008,1199)."""
        item = Dataset()
        item.ReferencedSOPClassUID = UID(self.sop_class_uid)
        item.ReferencedSOPInstanceUID = UID(self.sop_instance_uid)
        return item


class CommitmentEvents:
    """Hears what destinations answer to storage commitments; the same on every association.

    Args:
        store: Where transactions and proofs are.
        destinations: Those of the settings.
        backoff: When what is not committed is sent again.
        heard: Is called after each answer.
    """

    def __init__(
        self,
        store: ProofStore,
        destinations: Collection[AnyDestination],
        backoff: Backoff,
        heard: Callable[[], object] = lambda: None,
    ) -> None:
        self._store = store
        self._destinations: Mapping[str, Destination] = {
            each.name: each for each in destinations if isinstance(each, Destination)
        }
        self._backoff = backoff
        self._heard = heard

    @property
    def ae_titles(self) -> frozenset[str]:
        """The AE titles of the destinations that are asked for commitments."""
        return frozenset(each.ae_title for each in self._destinations.values() if each.commitment)

    def handle(self, event: evt.Event, peer_ae_title: str) -> tuple[Dataset, None]:
        """Answer an N-EVENT-REPORT, whatever happens."""
        status, comment = shielded(lambda: self._answer(event, peer_ae_title), _answer_to)
        log_line = log.info if status == statuses.SUCCESS else log.warning
        told = {"reason": comment} if comment else {}
        log_line("commitment answered", calling_ae_title=peer_ae_title, status=f"0x{status:04X}", **told)
        return statuses.response(status, comment), None

    def _answer(self, event: evt.Event, peer_ae_title: str) -> tuple[int, str]:
        request = event.request
        assert isinstance(request, N_EVENT_REPORT), "the event is an N-EVENT-REPORT request"
        if request.AffectedSOPInstanceUID != statuses.PUSH_MODEL_INSTANCE:
            return statuses.NO_SUCH_INSTANCE, "not the well-known instance"
        if request.EventTypeID not in {statuses.ALL_COMMITTED, statuses.SOME_FAILED}:
            return statuses.NO_SUCH_EVENT_TYPE, "the event type is neither 1 nor 2"
        information = event.event_information
        transaction = self._store.transaction(str(information.get("TransactionUID", "")))
        if transaction is None:
            return statuses.INVALID_ARGUMENT, "the Transaction UID is unknown"
        destination = self._destinations.get(transaction.destination)
        if destination is None or destination.ae_title != peer_ae_title:
            return statuses.PROCESSING_FAILURE, "another AE title was asked"
        self._store.record_answer(transaction, answer_in(information), asked_of(destination), self._backoff)
        self._heard()
        return statuses.SUCCESS, ""


def _answer_to(error: Exception) -> tuple[int, str]:
    log.error("a commitment was not heard", error=type(error).__name__, place=place_of(error))
    is_storage = isinstance(error, StorageError)
    return (
        statuses.RESOURCE_LIMITATION if is_storage else statuses.PROCESSING_FAILURE
    ), "an error of the node"


def answer_in(information: Dataset) -> CommitmentAnswer:
    """Return what the Event Information of an N-EVENT-REPORT says (PS3.4 Table J.3-2).

    An object that stands among both the committed and the failed ones counts as failed.
    """
    reasons = {
        str(item.get("ReferencedSOPInstanceUID", "")): int(item.get("FailureReason", None) or 0)
        for item in information.get("FailedSOPSequence", None) or ()
    }
    named = {
        str(item.get("ReferencedSOPInstanceUID", ""))
        for item in information.get("ReferencedSOPSequence", None) or ()
    }
    again = {uid for uid, reason in reasons.items() if reason == statuses.DUPLICATE_TRANSACTION}
    failed = {uid: statuses.failure_in_words(r) for uid, r in reasons.items() if uid not in again}
    return CommitmentAnswer(frozenset(named - set(reasons)), failed, frozenset(again))


class Asker(Protocol):
    """Asks a destination for a storage commitment; the real one is `CommitmentScu`."""

    def ask(
        self,
        destination: Destination,
        transaction_uid: str,
        references: Sequence[Reference],
        begin: Callable[[], None],
        taken_on: Callable[[], None],
    ) -> None:
        """Ask; `begin` is called before the request goes out, `taken_on` once an answer to it is promised.

        Raises:
            ProofError: It could not be asked, or refused.
        """
        ...


class CommitmentScu:
    """Asks by N-ACTION, each transaction in an association of its own.

    Args:
        caller: Who calls.
        events: Hears what comes on the same association.
        keep_open_s: How long to wait for it, in seconds.
        stopping: Tells that the node stops; then nothing is waited for.
    """

    def __init__(
        self,
        caller: Caller,
        events: CommitmentEvents,
        keep_open_s: float = KEEP_OPEN_S,
    ) -> None:
        self._caller = caller
        self._events = events
        self._keep_open_s = keep_open_s

    def ask(
        self,
        destination: Destination,
        transaction_uid: str,
        references: Sequence[Reference],
        begin: Callable[[], None],
        taken_on: Callable[[], None],
    ) -> None:
        """Ask in an association; see `Asker.ask`."""
        heard = _Heard(self._events, destination.ae_title)
        with self._caller.association(
            destination, statuses.PUSH_MODEL, destination.timeout_s, heard.handlers
        ) as association:
            begin()
            with own_turn(association):
                status = _asked(association, transaction_uid, references, destination.timeout_s)
            if status is None:
                raise ProofError(
                    f"{destination.ae_title} gave no answer to the request for commitment", unanswered=True
                )
            if status != statuses.SUCCESS:
                told = f"{destination.ae_title} refused the request for commitment (0x{status:04X})"
                raise ProofError(told)
            taken_on()
            heard.wait(self._keep_open_s, association)


def _asked(
    association: Association, transaction_uid: str, references: Sequence[Reference], timeout_s: float
) -> int | None:
    """Send the N-ACTION and return the status that the peer answers; None: none came."""
    information = Dataset()
    information.TransactionUID = UID(transaction_uid)
    information.ReferencedSOPSequence = [reference.item() for reference in references]
    context_id = context_of(association, statuses.PUSH_MODEL)
    request = N_ACTION()
    request.MessageID = 1
    request.RequestedSOPClassUID = statuses.PUSH_MODEL
    request.RequestedSOPInstanceUID = statuses.PUSH_MODEL_INSTANCE
    request.ActionTypeID = statuses.REQUEST_COMMITMENT
    request.ActionInformation = encoded(association, context_id, information)
    answer = exchange(association, request, context_id, timeout_s)
    return None if answer is None else answer.Status


class _Heard:
    """Waits for an answer on the association of the question, and until ours to it is on its way."""

    def __init__(self, events: CommitmentEvents, ae_title: str) -> None:
        self._events = events
        self._ae_title = ae_title
        self._is_heard = False
        self._ended = threading.Event()

    @property
    def handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_N_EVENT_REPORT, self._hear),
            (evt.EVT_PDU_SENT, self._note_sent),
            (evt.EVT_CONN_CLOSE, lambda _event: self._ended.set()),
        ]

    def wait(self, timeout_s: float, association: Association) -> None:
        """Wait for the answer, or for the end of the association."""
        if association.is_established:
            self._ended.wait(timeout_s)

    def _hear(self, event: evt.Event) -> tuple[Dataset, None]:
        answer = self._events.handle(event, self._ae_title)
        self._is_heard = True
        return answer

    def _note_sent(self, _event: evt.Event) -> None:
        if self._is_heard:
            self._ended.set()
