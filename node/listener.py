"""The node's ears: C-ECHO and C-STORE as SCP. What it acknowledges is on disk and in the database.

PS3.4 Annex A (Verification), Annex B (Storage; B.2.2: success means stored), PS3.7 9.1, PS3.8 9.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydicom import config as pydicom_config
from pynetdicom import _config, evt
from pynetdicom.association import Association

from config.network import NodeSettings, TlsSettings
from node import statuses
from node.acceptor import association_for, reject_for_now
from node.auditor import AuditTrail
from node.caller import Arrival
from node.commitment_scp import CommitmentScp
from node.contexts import declined, supported_contexts
from node.doors import Door, HouseRules, house_rules, open_doors, refitted
from node.errors import StorageError, UndecodableError
from node.file_limit import raise_file_limit
from node.head import Head, read_head
from node.implementation import Entity, application_entity
from node.job_store import JobStore
from node.jobs import Admission, ReceivedObject
from node.logs import get_logger, place_of, reason_for_log
from node.porch import Porch, Terms
from node.priorities import Priorities
from node.reception import Reception, StreamingProvider, shielded
from node.refusals import Refusals
from node.rule_facts import Titles
from node.spool import Spool
from node.store_command import Answer, StoreRequest
from node.traffic import Traffic
from node.turn import RESTS
from node.watermark import refuses_for_space

STOP_GRACE_S = 10.0
"""How long objects that are being received may take to end when the listener stops."""

RELEASE_S = 10.0
"""How long a peer may take to end an association that is being released or rejected (PS3.8 9.1.5)."""

THREADS_PER_PLACE = 2
"""With so many associations for each that may be, those being rejected included, more are rejected without a
thread of their own. Not from the first one on: a requestor of pynetdicom 3.0.4 takes a rejection that comes
within a few milliseconds for an abort (its `_negotiate_as_requestor` finds its socket closed)."""

REJECTED_PERMANENT = 0x01
"""Result of an A-ASSOCIATE-RJ (PS3.8 Table 9-21): here, an AE title that may not call or be called."""

MAX_UID_LENGTH = 64
_UID = re.compile(r"[0-9.]{1,64}")  # what a UID may consist of, PS3.5 9.1

log = get_logger()


class Listener:
    """A storage SCP.

    Args:
        settings: `[node]`.
        spool: Where bytes go.
        job_store: Where jobs go.
        received: Is called after each new job.
        tls: `[tls]`; None, or without a certificate: no TLS is spoken.
        commitment: Knows storage commitment; None: it is not offered.
        audit: Is told of what came and who was not let in; off by itself.

    Attributes:
        priorities: Tells how soon an image is worked on; another one may be put here at any time.
    """

    def __init__(
        self,
        settings: NodeSettings,
        spool: Spool,
        job_store: JobStore,
        received: Callable[[], object] = lambda: None,
        tls: TlsSettings | None = None,
        commitment: CommitmentScp | None = None,
        audit: AuditTrail | None = None,
    ) -> None:
        self._settings = settings
        self.priorities = Priorities(settings.urgent_ae_titles)
        self._tls = tls or TlsSettings()
        self._spool = spool
        self._store = job_store
        self._received = received
        self._audit = audit or AuditTrail()
        self._ae = _application_entity(settings)
        if commitment is not None:
            commitment.offer(self._ae)
        self._handlers: list[evt.EventHandlerType] = [
            RESTS,
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_ECHO, lambda _event: statuses.SUCCESS),
            *(commitment.handlers() if commitment is not None else ()),
        ]
        self._refusals = Refusals(self._audit.rejected)
        self.traffic = Traffic({*settings.calling_ae_titles, *settings.urgent_ae_titles})
        self._associations: list[Association] = []
        self._doors: tuple[Door, ...] = ()
        self._porch: Porch | None = None

    @property
    def port(self) -> int:
        """The TCP port without TLS, 0 where there is none; for 0 in the settings, the one that was free."""
        plain = next((door for door in self._doors if door.tls is None), None)
        return plain.port if plain else 0 if self._tls.only else self._settings.port

    @property
    def tls_port(self) -> int:
        """The TCP port for TLS, 0 where there is none; for 0 in the settings, the one that was free."""
        secure = next((door for door in self._doors if door.tls is not None), None)
        return secure.port if secure else self._tls.port if self._tls.certificate else 0

    @property
    def refusals(self) -> Mapping[str, int]:
        """How many peers were not let in since the start, by reason."""
        return self._refusals.counts

    @property
    def active(self) -> int:
        """How many associations there are now."""
        return sum(association.is_alive() for association in tuple(self._associations))

    @property
    def porch(self) -> Porch | None:
        """Who takes connections; None while the node does not listen."""
        return self._porch

    def start(self) -> None:
        """Listen, and return; NodeError when a port cannot be had, TlsError when a file of TLS is no good."""
        _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
        pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE  # as in `node.decode`
        self._doors = tuple(door for door in open_doors(self._settings, self._tls) if door)
        self._porch = Porch(self._doors, self._rules(), self._arrived, self._refusals)
        self._porch.start()

    def take_over(self, before: "Listener") -> None:
        """Listen in the place of another one, on its sockets, with the rules of this one for whoever comes.

        Associations in progress end as they began; this one looks after them from now on. Not for two
        threads at a time.

        Raises:
            TlsError: A file of TLS is no good; the other one goes on.
        """
        if before._porch is None:  # it does not listen, so there is nothing to take over
            return
        doors = refitted(before._doors, self._tls)
        self._refusals, self._associations = before._refusals, before._associations
        before.traffic.know(self.traffic.known)
        self.traffic = before.traffic
        self._ae.inherited = self._associations
        self._refusals.alarm = self._audit.rejected
        self._doors, self._porch, before._porch = doors, before._porch, None
        self._porch.take_up(Terms(doors, self._rules(), self._arrived))

    def _rules(self) -> HouseRules:
        return house_rules(self._settings, self._tls, raise_file_limit())

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Take no new connections, let objects that are on their way end, and close every connection."""
        if self._porch is None:
            return
        porch, self._porch, self._doors = self._porch, None, ()
        porch.stop()
        until = time.monotonic() + grace_s
        for association in self._associations:
            while association.is_alive() and _is_busy(association) and time.monotonic() < until:
                association.join(0.02)
            if association.is_alive():
                association.abort()
                association.join(1.0)
        self._refusals.tell_all()

    # ---- what happens on a connection

    def _arrived(self, arrival: Arrival) -> None:
        """Let an association begin; runs in the thread of the porch.

        pynetdicom rejects it where it is one too many. In a flood of them that would be too many threads.
        """
        self._associations[:] = [each for each in self._associations if each.is_alive()]
        if len(self._associations) >= THREADS_PER_PLACE * self._settings.max_associations:
            reject_for_now(arrival)
            title, reason = arrival.calling_ae_title, "Rejected Transient: Local limit exceeded"
            self._refusals.note("association rejected", reason, arrival.address[0], title)
            return
        association = association_for(arrival, self._ae, self._handlers, self._settings.network_timeout_s)
        association.dimse = StreamingProvider(
            association, self._spool, self._settings.max_object_bytes, self._store_request, _report_nonsense
        )
        association.start()
        self._associations.append(association)

    def _requested(self, event: evt.Event) -> None:
        """Let pynetdicom compare the called AE title with ours: the one of our titles that was called."""
        primitive = event.assoc.requestor.primitive
        called = primitive.called_ae_title if primitive is not None else ""
        calling = (
            primitive.calling_ae_title if primitive is not None else ""
        )  # the requestor has no title yet
        if called in self._settings.called_ae_titles:
            event.assoc.acceptor.ae_title = called
        if not refuses_for_space(event.assoc, self._spool):
            self.traffic.called(str(calling))

    def _rejected(self, event: evt.Event) -> None:
        requestor = event.assoc.requestor
        title, address = str(requestor.ae_title), requestor.address_info
        rejection = event.assoc.acceptor.primitive
        reason = "" if rejection is None else f"{rejection.result_str}: {rejection.reason_str}"
        where = address.address if address else ""
        for_good = rejection is not None and rejection.result == REJECTED_PERMANENT
        self._refusals.note("association rejected", reason, where, title, is_alarming=for_good)

    def _closed(self, event: evt.Event) -> None:
        association = event.assoc
        if isinstance(association.dimse, StreamingProvider):
            association.dimse.close()
        if association.requestor.primitive is None:  # its request was nonsense: its thread waits for another
            waited_for: Any = association.dul.to_user_queue
            waited_for.put(None)
        address = association.requestor.address_info
        calling = str(association.requestor.ae_title)
        where = address.address if address else ""
        reason = reason_for_log(declined(association))
        told = {"reason": reason} if reason else {}
        log.info("association ended", calling_ae_title=calling, address=where, **told)
        self._audit.association_ended(association, calling, where)

    # ---- C-STORE

    def _store_request(self, association: Association, reception: Reception) -> Answer:
        """Answer a C-STORE request, whatever happens."""
        request, calling = reception.request, str(association.requestor.ae_title)
        answer = shielded(lambda: self._answer(association, reception), _answer_to)
        self.traffic.answered(calling, answer.status, reception.size)
        log.info(
            "object received" if answer.status == statuses.SUCCESS else "object not taken",
            sop_instance_uid=request.sop_instance_uid,
            calling_ae_title=calling,
            status=f"0x{answer.status:04X}",
            **({"reason": reason_for_log(answer.comment)} if answer.comment else {}),
        )
        return answer

    def _answer(self, association: Association, reception: Reception) -> Answer:
        if not reception.request.has_data_set:
            return Answer(statuses.CANNOT_UNDERSTAND, "no data set")
        if reception.is_too_large:
            limit = self._settings.max_object_bytes
            return Answer(statuses.CANNOT_UNDERSTAND, f"more than {limit} bytes")
        return self._keep(association, reception)

    def _keep(self, association: Association, reception: Reception) -> Answer:
        """Check, store, record; in this order, and success last."""
        if reception.failure is not None or reception.incoming is None:
            raise reception.failure or StorageError("nothing was received")
        request, incoming, syntax = reception.request, reception.incoming, reception.syntax
        incoming.flush()
        head = read_head(incoming.path, incoming.header_size, syntax)
        context = association._accepted_cx[request.context_id]
        if not request.sop_class_uid == head.sop_class_uid == context.abstract_syntax:
            return Answer(statuses.DOES_NOT_MATCH_SOP_CLASS, "SOP Class UID differs from the data set's")
        titles = _titles(association)
        priority = self.priorities.of(request, titles, incoming.path, incoming.header_size, syntax)
        kept = incoming.keep()
        admission = self._store.add_received(
            ReceivedObject(
                sop_class_uid=request.sop_class_uid,
                sop_instance_uid=(head.sop_instance_uid or request.sop_instance_uid)[:MAX_UID_LENGTH],
                study_instance_uid=head.study_instance_uid[:MAX_UID_LENGTH],
                series_instance_uid=head.series_instance_uid[:MAX_UID_LENGTH],
                transfer_syntax_uid=str(syntax),
                digest=kept.digest,
                path=kept.path,
                size=incoming.size,
                calling_ae_title=titles.calling,
                quarantine_reason=_oddity(request, head),
                priority=priority,
                called_ae_title=titles.called,
                identifiers=head.identifiers,
            )
        )
        self._audit.received(association, self._spool.path(kept.path))
        self._tell(admission, request)
        return Answer(statuses.SUCCESS)

    def _tell(self, admission: Admission, request: StoreRequest) -> None:
        if admission is Admission.NEW:
            self._received()
        else:
            uid = request.sop_instance_uid
            tell = log.info if admission is Admission.DUPLICATE else log.warning
            tell("object not queued", sop_instance_uid=uid, state=admission.value)


def _answer_to(error: Exception) -> Answer:
    """Return what the sender is told of an error."""
    if isinstance(error, UndecodableError):
        return Answer(statuses.CANNOT_UNDERSTAND, str(error))
    log.error("storing failed", error=type(error).__name__, place=place_of(error))
    comment = str(error) if isinstance(error, StorageError) else "an error of the node"
    return Answer(statuses.OUT_OF_RESOURCES, comment)


def _oddity(request: StoreRequest, head: Head) -> str:
    """Return why an object is kept but not worked on; empty: it is worked on.

    A data set that was sent under another UID than its own is worked on as what it says it is: archives
    find it by that, and results refer to it so.
    """
    if not head.sop_instance_uid:
        return "the data set has no SOP Instance UID"
    if not _UID.fullmatch(head.sop_instance_uid):
        return "the SOP Instance UID is no UID"
    if head.sop_instance_uid != request.sop_instance_uid:
        log.warning("data set was sent under another uid", sop_instance_uid=head.sop_instance_uid)
    return ""


def _titles(association: Association) -> Titles:
    """Return who called, and by which title: as in the request, for the acceptor's own may be another."""
    primitive = association.requestor.primitive
    called = "" if primitive is None else str(primitive.called_ae_title or "")
    calling = str(association.requestor.ae_title)
    return Titles(calling.replace("\0", ""), called.replace("\0", "").strip())


def _report_nonsense(error: Exception) -> None:
    log.warning("association aborted", error=type(error).__name__, place=place_of(error))


def _is_busy(association: Association) -> bool:
    provider = association.dimse
    return isinstance(provider, StreamingProvider) and provider.is_busy


def _application_entity(settings: NodeSettings) -> Entity:
    ae = application_entity(settings.ae_title)
    ae.supported_contexts = supported_contexts()
    ae.maximum_associations = settings.max_associations
    ae.maximum_pdu_size = settings.max_pdu
    ae.network_timeout = ae.dimse_timeout = settings.network_timeout_s
    ae.acse_timeout = min(RELEASE_S, settings.network_timeout_s)
    ae.require_calling_aet = list(settings.calling_ae_titles)
    ae.require_called_aet = bool(settings.called_ae_titles)
    return ae
