"""The node's ears: C-ECHO and C-STORE as SCP. What it acknowledges is on disk and in the database.

PS3.4 Annex A (Verification), Annex B (Storage; B.2.2: success means stored), PS3.7 9.1, PS3.8 9.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.transport import ThreadedAssociationServer

from config.settings import NodeSettings
from node import statuses
from node.auditor import AuditTrail
from node.contexts import supported_contexts
from node.errors import NodeError, StorageError, UndecodableError
from node.head import Head, read_head
from node.implementation import application_entity
from node.job_store import JobStore
from node.jobs import Admission, ReceivedObject
from node.late_abort import close_on_late_abort
from node.logs import get_logger, place_of, reason_for_log
from node.reception import BoundedSocket, Reception, StreamingProvider, shielded
from node.spool import Spool
from node.watermark import refuses_for_space

STOP_GRACE_S = 10.0
"""How long objects that are being received may take to end when the listener stops."""

REJECTED_PERMANENT = 0x01
"""Result of an A-ASSOCIATE-RJ (PS3.8 Table 9-21): here, an AE title that may not call or be called."""

ARTIM_S = 10.0
"""How long a connection may wait before it asks for an association (PS3.8 9.1.5, the ARTIM timer)."""

_UID = re.compile(r"[0-9.]{1,64}")  # what a UID may consist of, PS3.5 9.1

log = get_logger()


@dataclass(frozen=True)
class Answer:
    """A status, and why, for the sender's log: Error Comment (0000,0902), at most 64 characters."""

    status: int
    comment: str = ""

    def encoded(self) -> Dataset:
        """Return it as pynetdicom takes it from a handler."""
        response = Dataset()
        response.Status = self.status
        if self.comment:
            response.ErrorComment = self.comment[:64]
        return response


class Listener:
    """A storage SCP.

    Args:
        settings: `[node]`.
        spool: Where bytes go.
        job_store: Where jobs go.
        received: Is called after each new job.
        audit: Is told of what came and who was not let in; off by itself.
    """

    def __init__(
        self,
        settings: NodeSettings,
        spool: Spool,
        job_store: JobStore,
        received: Callable[[], object] = lambda: None,
        audit: AuditTrail | None = None,
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._store = job_store
        self._received = received
        self._audit = audit or AuditTrail()
        self._ae = _application_entity(settings)
        self._server: ThreadedAssociationServer | None = None

    @property
    def port(self) -> int:
        """The TCP port; with port 0 in the settings, the one that was free at the start."""
        return self._settings.port if self._server is None else int(self._server.server_address[1])

    def start(self) -> None:
        """Listen, and return; NodeError when the port cannot be had."""
        close_on_late_abort()
        _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_ECHO, lambda _event: statuses.SUCCESS),
            (evt.EVT_C_STORE, self._store_request),
        ]
        address = (self._settings.host, self._settings.port)
        try:
            self._server = self._ae.start_server(address, block=False, evt_handlers=handlers)
        except OSError as error:
            raise NodeError(f"cannot listen on {address[0]}:{address[1]}: {error.strerror}") from error

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Take no new connections, let objects that are on their way end, and close every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.shutdown()
        until = time.monotonic() + grace_s
        for association in server.active_associations:
            while association.is_alive() and _is_receiving(association) and time.monotonic() < until:
                association.join(0.02)
            association.abort()
            association.join(1.0)

    # ---- what happens on a connection

    def _opened(self, event: evt.Event) -> None:
        """Put our own parts into an association before it starts."""
        association = event.assoc
        dul = association.dul
        raw = dul.socket.socket if dul.socket is not None else None
        if raw is None:  # closed again already
            return
        raw.settimeout(self._settings.network_timeout_s)  # a PDU that stops halfway would block for ever
        dul.event_queue.get_nowait()  # the new socket announces the connection once more
        dul.socket = BoundedSocket(association, client_socket=raw)
        association.dimse = StreamingProvider(
            association, self._spool, self._settings.max_object_bytes, _report_nonsense
        )

    def _requested(self, event: evt.Event) -> None:
        """Let pynetdicom compare the called AE title with ours: the one of our titles that was called."""
        primitive = event.assoc.requestor.primitive
        called = primitive.called_ae_title if primitive is not None else ""
        if called in self._settings.called_ae_titles:
            event.assoc.acceptor.ae_title = called
        refuses_for_space(event.assoc, self._spool)

    def _rejected(self, event: evt.Event) -> None:
        requestor = event.assoc.requestor
        title, address = str(requestor.ae_title), requestor.address_info
        rejection = event.assoc.acceptor.primitive
        if rejection is not None and rejection.result == REJECTED_PERMANENT:
            self._audit.rejected(title, address.address if address else "", rejection.reason_str)
        log.warning(
            "association rejected",
            calling_ae_title=title,
            address=address.address if address else "",
            reason="" if rejection is None else f"{rejection.result_str}: {rejection.reason_str}",
        )

    def _closed(self, event: evt.Event) -> None:
        association = event.assoc
        if isinstance(association.dimse, StreamingProvider):
            association.dimse.close()
        if association.requestor.primitive is None:  # a probe: its thread would wait for a request
            association.dul.to_user_queue.put(None)
        address = association.requestor.address_info
        calling = str(association.requestor.ae_title)
        self._audit.association_ended(association, calling, address.address if address else "")

    # ---- C-STORE

    def _store_request(self, event: evt.Event) -> Dataset:
        """Answer a C-STORE request, whatever happens."""
        request, provider = event.request, event.assoc.dimse
        assert isinstance(request, C_STORE), "the event is a C-STORE request"
        assert isinstance(provider, StreamingProvider), "_opened put it there"
        reception = provider.take(request)
        answer = shielded(lambda: self._answer(event, request, reception), _answer_to)
        if reception is not None:
            reception.discard()
        log.info(
            "object received" if answer.status == statuses.SUCCESS else "object not taken",
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            calling_ae_title=event.assoc.requestor.ae_title,
            status=f"0x{answer.status:04X}",
            **({"reason": reason_for_log(answer.comment)} if answer.comment else {}),
        )
        return answer.encoded()

    def _answer(self, event: evt.Event, request: C_STORE, reception: Reception | None) -> Answer:
        if reception is None:
            return Answer(statuses.CANNOT_UNDERSTAND, "no data set")
        if reception.is_too_large:
            limit = self._settings.max_object_bytes
            return Answer(statuses.CANNOT_UNDERSTAND, f"more than {limit} bytes")
        return self._keep(event, request, reception)

    def _keep(self, event: evt.Event, request: C_STORE, reception: Reception) -> Answer:
        """Check, store, record; in this order, and success last."""
        if reception.failure is not None or reception.incoming is None:
            raise reception.failure or StorageError("nothing was received")
        incoming = reception.incoming
        incoming.flush()
        syntax = UID(event.context.transfer_syntax)
        head = read_head(incoming.path, incoming.header_size, syntax)
        sop_class = str(request.AffectedSOPClassUID)
        if sop_class != event.context.abstract_syntax or head.sop_class_uid != sop_class:
            return Answer(statuses.DOES_NOT_MATCH_SOP_CLASS, "SOP Class UID differs from the data set's")
        kept = incoming.keep()
        admission = self._store.add_received(
            ReceivedObject(
                sop_class_uid=sop_class,
                sop_instance_uid=head.sop_instance_uid or str(request.AffectedSOPInstanceUID),
                study_instance_uid=head.study_instance_uid,
                series_instance_uid=head.series_instance_uid,
                transfer_syntax_uid=str(syntax),
                digest=kept.digest,
                path=kept.path,
                size=incoming.size,
                calling_ae_title=str(event.assoc.requestor.ae_title).replace("\0", ""),
                quarantine_reason=_oddity(request, head),
            )
        )
        self._audit.received(event.assoc, self._spool.path(kept.path))
        self._tell(admission, request)
        return Answer(statuses.SUCCESS)

    def _tell(self, admission: Admission, request: C_STORE) -> None:
        if admission is Admission.NEW:
            self._received()
        else:
            uid = str(request.AffectedSOPInstanceUID)
            log.warning("object not queued", sop_instance_uid=uid, state=admission.value)


def _answer_to(error: Exception) -> Answer:
    """Return what the sender is told of an error."""
    if isinstance(error, UndecodableError):
        return Answer(statuses.CANNOT_UNDERSTAND, str(error))
    log.error("storing failed", error=type(error).__name__, place=place_of(error))
    comment = str(error) if isinstance(error, StorageError) else "an error of the node"
    return Answer(statuses.OUT_OF_RESOURCES, comment)


def _oddity(request: C_STORE, head: Head) -> str:
    """Return why an object is kept but not worked on; empty: it is worked on.

    A data set that was sent under another UID than its own is worked on as what it says it is: archives
    find it by that, and results refer to it so.
    """
    if not head.sop_instance_uid:
        return "the data set has no SOP Instance UID"
    if not _UID.fullmatch(head.sop_instance_uid):
        return "the SOP Instance UID is no UID"
    if head.sop_instance_uid != request.AffectedSOPInstanceUID:
        log.warning("data set was sent under another uid", sop_instance_uid=head.sop_instance_uid)
    return ""


def _report_nonsense(error: Exception) -> None:
    log.warning("association aborted", error=type(error).__name__, place=place_of(error))


def _is_receiving(association: Association) -> bool:
    provider = association.dimse
    return isinstance(provider, StreamingProvider) and provider.is_receiving


def _application_entity(settings: NodeSettings) -> AE:
    ae = application_entity(settings.ae_title)
    ae.supported_contexts = supported_contexts()
    ae.maximum_associations = settings.max_associations
    ae.maximum_pdu_size = settings.max_pdu
    ae.network_timeout = ae.dimse_timeout = settings.network_timeout_s
    ae.acse_timeout = min(ARTIM_S, settings.network_timeout_s)
    ae.require_calling_aet = list(settings.calling_ae_titles)
    ae.require_called_aet = bool(settings.called_ae_titles)
    return ae
