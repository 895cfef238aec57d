"""Storage commitment on the listener's associations (PS3.4 J.3): requests to us, and answers to ours.

A request is recorded before it is answered. What becomes of it is told on the same association when that
stays open, and otherwise by `node.committer`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT

from node import commitment_statuses as statuses
from node.commitment_scu import CommitmentEvents, Reference
from node.commitment_store import AskedCommitment, CommitmentStore, Pair
from node.errors import StorageError
from node.evidence import Evidence
from node.exchange import POLL_S, context_of, encoded, exchange, is_ending
from node.logs import get_logger, place_of
from node.reception import StreamingProvider, shielded

LINGER_S = 0.5
"""Who asks for the release within so many seconds is told on another association."""

TELL_TIMEOUT_S = 10.0
"""How long to wait on the same association until the answer is heard, in seconds."""

MAX_REFERENCES = 5000
"""Objects in one request."""

AT_ONCE = 64
"""With more objects than this the looking takes too long to be done while the one who asks waits."""

log = get_logger()


@dataclass(frozen=True)
class CommitmentScp:
    """The part of the listener that knows storage commitment.

    Attributes:
        store: Where requests are kept.
        evidence: Looks objects up.
        events: Hears answers to our own requests.
        answers: Whether requests are taken on at all.
        taken_on: Is called when an answer is to be told on an association of its own.
    """

    store: CommitmentStore
    evidence: Evidence
    events: CommitmentEvents
    answers: bool
    taken_on: Callable[[], object]

    def offer(self, ae: AE) -> None:
        """Let an application entity accept the push model in both roles, as SCU and as SCP, if it is used."""
        if self.answers or self.events.ae_titles:
            ae.add_supported_context(statuses.PUSH_MODEL, scu_role=True, scp_role=True)

    def handlers(self) -> list[evt.EventHandlerType]:
        """Return what is bound to the listener's associations."""
        return [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_N_EVENT_REPORT, self._event),
            (evt.EVT_N_ACTION, self._action),
        ]

    def _requested(self, event: evt.Event) -> None:
        """Accept the context, where requests are not answered, only from those whose answers are awaited."""
        association = event.assoc
        primitive = association.requestor.primitive
        caller = primitive.calling_ae_title if primitive is not None else ""
        if self.answers or caller in self.events.ae_titles:
            return
        kept = association.acceptor.supported_contexts
        association.acceptor.supported_contexts = [
            context for context in kept if context.abstract_syntax != statuses.PUSH_MODEL
        ]

    def _event(self, event: evt.Event) -> tuple[Dataset, None]:
        return self.events.handle(event, str(event.assoc.requestor.ae_title))

    def _action(self, event: evt.Event) -> tuple[Dataset, None]:
        """Answer an N-ACTION request, whatever happens."""
        caller = str(event.assoc.requestor.ae_title)
        status, comment = shielded(lambda: self._take_on(event, caller), _answer_to)
        told = {"reason": comment} if comment else {}
        log.info("commitment requested", calling_ae_title=caller, status=f"0x{status:04X}", **told)
        return statuses.response(status, comment), None

    def _take_on(self, event: evt.Event, caller: str) -> tuple[int, str]:
        request = event.request
        assert isinstance(request, N_ACTION), "the event is an N-ACTION request"
        if not self.answers:
            return statuses.PROCESSING_FAILURE, "this node does not answer requests"
        if request.RequestedSOPInstanceUID != statuses.PUSH_MODEL_INSTANCE:
            return statuses.NO_SUCH_INSTANCE, "not the well-known instance"
        if request.ActionTypeID != statuses.REQUEST_COMMITMENT:
            return statuses.NO_SUCH_ACTION, "the action type is not 1"
        information = event.action_information
        uid, pairs = str(information.get("TransactionUID", "") or ""), _pairs(information)
        if not uid or not pairs or not all(sop_class and instance for sop_class, instance in pairs):
            return statuses.INVALID_ARGUMENT, "no Transaction UID, or objects without UIDs"
        if len(pairs) > MAX_REFERENCES:
            return statuses.RESOURCE_LIMITATION, f"more than {MAX_REFERENCES} objects"
        number = self.store.take_on(caller, uid, pairs)
        if number is None:
            return statuses.INVALID_ARGUMENT, "the Transaction UID is in use for other objects"
        provider = event.assoc.dimse
        assert isinstance(provider, StreamingProvider), "the listener put it there"
        provider.after_next_message(lambda: self._tell_here(event.assoc, number))
        return statuses.SUCCESS, ""

    def _tell_here(self, association: Association, number: int) -> None:
        """Tell on the association of the request, or leave it to the committer."""
        if not shielded(lambda: self._is_told(association, number), _not_told):
            shielded(lambda: self.store.due_now(number), _not_told)
            self.taken_on()

    def _is_told(self, association: Association, number: int) -> bool:
        asked = self.store.asked(number)
        if len(asked.references) > AT_ONCE or not _stays(association):
            return False
        if tell(association, asked, self.evidence.failures(asked), TELL_TIMEOUT_S) != statuses.SUCCESS:
            return False
        self.store.answered(number)
        return True


def _stays(association: Association) -> bool:
    """Return whether the peer waits, instead of asking for the release or for something else."""
    until = time.monotonic() + LINGER_S
    while time.monotonic() < until:
        if is_ending(association) or not association.dimse.msg_queue.empty():
            return False
        time.sleep(POLL_S)
    return True


def tell(
    association: Association, asked: AskedCommitment, failures: Mapping[Pair, int], timeout_s: float
) -> int | None:
    """Send the N-EVENT-REPORT that answers a request; return the status, None: none came."""
    context_id = context_of(association, statuses.PUSH_MODEL)
    report = N_EVENT_REPORT()
    report.MessageID = 1
    report.AffectedSOPClassUID = statuses.PUSH_MODEL
    report.AffectedSOPInstanceUID = statuses.PUSH_MODEL_INSTANCE
    report.EventTypeID = statuses.SOME_FAILED if failures else statuses.ALL_COMMITTED
    report.EventInformation = encoded(association, context_id, _information(asked, failures))
    answer = exchange(association, report, context_id, timeout_s)
    return None if answer is None else answer.Status


def _information(asked: AskedCommitment, failures: Mapping[Pair, int]) -> Dataset:
    """Return the Event Information (PS3.4 Table J.3-2)."""
    information = Dataset()
    information.TransactionUID = UID(asked.transaction_uid)
    committed = [Reference(*pair).item() for pair in asked.references if pair not in failures]
    if committed:
        information.ReferencedSOPSequence = committed
    failed = []
    for pair in dict.fromkeys(pair for pair in asked.references if pair in failures):
        item = Reference(*pair).item()
        item.FailureReason = failures[pair]
        failed.append(item)
    if failed:
        information.FailedSOPSequence = failed
    return information


def _pairs(information: Dataset) -> list[Pair]:
    return [
        (str(item.get("ReferencedSOPClassUID", "")), str(item.get("ReferencedSOPInstanceUID", "")))
        for item in information.get("ReferencedSOPSequence", None) or ()
    ]


def _answer_to(error: Exception) -> tuple[int, str]:
    log.error("a request for commitment failed", error=type(error).__name__, place=place_of(error))
    is_storage = isinstance(error, StorageError)
    return (
        statuses.RESOURCE_LIMITATION if is_storage else statuses.PROCESSING_FAILURE
    ), "an error of the node"


def _not_told(error: Exception) -> None:
    log.error("a commitment was not told", error=type(error).__name__, place=place_of(error))
