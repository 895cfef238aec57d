"""The audit trail: the node's parts tell it what happened, and it tells a syslog server (PS3.15 A.5).

Off without `[audit] host`: then nobody reads a Patient ID, and nothing is sent. Patient IDs are read from the
files when a message is made, and are kept only as long as an association lasts.
"""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from config.network import AuditSettings, TlsSettings
from config.settings import AnyDestination, Destination, Settings
from node import audit_message as audit
from node.audit_message import Action, AuditMessage, EventOutcome, Participant
from node.head import FileIdentity, identity_of_file
from node.outcome import Outcome, Verdict
from node.spool import Spool
from node.syslog import SyslogQueue, TlsWire, UdpWire, Wire, client_context, framed

if TYPE_CHECKING:
    from node.transport import Outgoing, Transport

Studies = dict[tuple[str, str], Counter[str]]
"""(Study Instance UID, Patient ID) -> SOP Class UID -> instances."""


@dataclass(frozen=True)
class Channel:
    """Where messages go, and who says them.

    Attributes:
        put: Takes a framed message; never waits.
        close: Ends the sending.
        ae_title: Of this node.
        site: Audit Enterprise Site ID; empty: none.
    """

    put: Callable[[bytes], None]
    close: Callable[[], None]
    ae_title: str
    site: str = ""


class AuditTrail:
    """Makes messages of what it is told. Safe for many threads; it never waits for the server.

    Args:
        channel: Where messages go; None: audit is off, and whatever it is told it does nothing.
    """

    def __init__(self, channel: Channel | None = None) -> None:
        self._channel = channel
        self._received: dict[Hashable, Studies] = {}
        self._ended: WeakKeyDictionary[Hashable, Participant] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether messages are made."""
        return self._channel is not None

    def take_up(self, channel: Channel | None) -> None:
        """Say everything by another channel from now on; send what waits in the one before, within limits."""
        before, self._channel = self._channel, channel
        if before is not None:
            before.close()

    def close(self) -> None:
        """Send what waits, within limits."""
        if self._channel is not None:
            self._channel.close()

    # ---- the node

    def started(self) -> None:
        """Tell that the node has started (PS3.15 A.5.3.1)."""
        self._activity(audit.APPLICATION_START)

    def stopped(self) -> None:
        """Tell that the node stops."""
        self._activity(audit.APPLICATION_STOP)

    def _activity(self, kind: audit.AuditCode) -> None:
        us = self._us(audit.APPLICATION, is_requestor=False)
        self._say(AuditMessage(audit.APPLICATION_ACTIVITY, Action.EXECUTE, (us,), event_type=kind))

    # ---- receiving

    def received(self, association: Hashable, path: Path) -> None:
        """Note that an object came and was kept; it is told when its association ends, at once if it has."""
        if not self.is_on:
            return
        identity, studies = identity_of_file(path), Studies()
        with self._lock:
            peer = self._ended.get(association)
            _count(studies if peer else self._received.setdefault(association, {}), [identity])
        if peer is not None:
            self._tell_received(peer, studies)

    def association_ended(self, association: Hashable, calling_ae_title: str, address: str) -> None:
        """Tell what was received, one message for each study (PS3.15 A.5.3.6)."""
        if not self.is_on:
            return
        peer = Participant(calling_ae_title, True, address, audit.SOURCE)
        with self._lock:
            self._ended[association] = peer  # a connection may break while its last object is being recorded
            studies = self._received.pop(association, {})
        self._tell_received(peer, studies)

    def _tell_received(self, peer: Participant, studies: Studies) -> None:
        us = self._us(audit.DESTINATION, is_requestor=False)
        self._transfer(audit.INSTANCES_TRANSFERRED, Action.CREATE, (peer, us), studies)

    def rejected(self, calling_ae_title: str, address: str, reason: str) -> None:
        """Tell that a peer was not let in: its title, address or certificate (PS3.15 A.5.3.11)."""
        us = self._us(None, is_requestor=False)
        peer = Participant(calling_ae_title, True, address)
        subject = audit.node(calling_ae_title or address, reason)
        self._say(
            AuditMessage(
                audit.SECURITY_ALERT,
                Action.EXECUTE,
                (us, peer),
                (subject,),
                audit.NODE_AUTHENTICATION,
                EventOutcome.MINOR_FAILURE,
            )
        )

    # ---- delivering

    def carrying(self, transport: "Transport") -> "Transport":
        """Return a transport that tells what it carries; the same one when audit is off."""
        return AuditedTransport(transport, self) if self.is_on else transport

    def sending(self, destination: AnyDestination, paths: Iterable[Path]) -> None:
        """Tell that sending begins, one message for each study (PS3.15 A.5.3.3)."""
        self._sent(audit.BEGIN_TRANSFERRING, Action.EXECUTE, destination, paths)

    def sent(self, destination: AnyDestination, paths: Iterable[Path]) -> None:
        """Tell what a destination has taken, one message for each study (PS3.15 A.5.3.6)."""
        self._sent(audit.INSTANCES_TRANSFERRED, Action.READ, destination, paths)

    def _sent(
        self, event: audit.AuditCode, action: Action, destination: AnyDestination, paths: Iterable[Path]
    ) -> None:
        studies: Studies = {}
        _count(studies, (identity_of_file(path) for path in paths))
        us = self._us(audit.SOURCE, is_requestor=True)
        self._transfer(event, action, (us, _peer(destination)), studies)

    # ---- keeping

    def deleted(self, spool: Spool) -> Callable[[Sequence[str]], Callable[[Collection[str]], None]]:
        """Return what `node.housekeeping.Housekeeper` calls before and after it removes files."""

        def before(paths: Sequence[str]) -> Callable[[Collection[str]], None]:
            known = {path: identity_of_file(spool.path(path)) for path in paths} if self.is_on else {}
            return lambda gone: self._tell_deleted(known[path] for path in gone if path in known)

        return before

    def _tell_deleted(self, gone: Iterable[FileIdentity]) -> None:
        """One message for each study of which images or results are gone (PS3.15 A.5.3.7)."""
        studies: Studies = {}
        _count(studies, gone)
        us = self._us(None, is_requestor=True)
        self._transfer(audit.STUDY_DELETED, Action.DELETE, (us,), studies, audit.PERMANENT_ERASURE)

    # ---- all of them

    def _transfer(
        self,
        event: audit.AuditCode,
        action: Action,
        participants: tuple[Participant, ...],
        studies: Studies,
        life_cycle: str = "",
    ) -> None:
        for (study_uid, patient_id), classes in studies.items():
            objects = audit.study(study_uid, classes, life_cycle), audit.patient(patient_id)
            self._say(AuditMessage(event, action, participants, objects))

    def _us(self, role: audit.AuditCode | None, *, is_requestor: bool) -> Participant:
        channel = self._channel
        title = channel.ae_title if channel is not None else ""
        return Participant(title, is_requestor, socket.gethostname(), role)

    def _say(self, message: AuditMessage) -> None:
        channel = self._channel
        if channel is not None:
            at, host = datetime.now(UTC), socket.gethostname()
            source = f"{channel.ae_title}@{host}"
            channel.put(framed(message.xml(at, source, channel.site), at, host))


class AuditedTransport:
    """A transport that tells an audit trail what it carries."""

    def __init__(self, transport: "Transport", trail: AuditTrail) -> None:
        self._transport = transport
        self._trail = trail

    def send(self, destination: AnyDestination, objects: "Sequence[Outgoing]") -> Generator[Outcome]:
        """Send; see `node.transport.Transport.send`."""
        paths = {each.sop_instance_uid: each.path for each in objects}
        stored: list[Path] = []
        self._trail.sending(destination, paths.values())
        outcomes = self._transport.send(destination, objects)
        try:
            for outcome in outcomes:
                if outcome.verdict is Verdict.STORED:
                    stored.append(paths[outcome.sop_instance_uid])
                yield outcome
        finally:
            outcomes.close()
            self._trail.sent(destination, stored)


def audit_trail(settings: Settings) -> AuditTrail:
    """Return the trail that the settings ask for; its sending begins at once."""
    return AuditTrail(channel_of(settings))


def channel_of(settings: Settings) -> Channel | None:
    """Return where the settings want audit messages to go, None: nowhere; its sending begins at once."""
    chosen, tls = settings.audit, settings.tls
    if not chosen.host:
        return None
    queue = SyslogQueue(_wire(chosen, tls))
    return Channel(queue.put, queue.close, settings.node.ae_title, chosen.site)


def _wire(chosen: AuditSettings, tls: TlsSettings) -> Wire:
    if chosen.protocol == "udp":
        return UdpWire(chosen.host, chosen.port)
    context = partial(client_context, tls.certificate, tls.key, tls.authorities)
    return TlsWire(chosen.host, chosen.port, context)


def _peer(destination: AnyDestination) -> Participant:
    if isinstance(destination, Destination):
        return Participant(destination.ae_title, False, destination.host, audit.DESTINATION)
    return Participant(destination.url, False, "", audit.DESTINATION, is_dicom=False)


def _count(studies: Studies, found: Iterable[FileIdentity]) -> None:
    for each in found:
        key = each.study_instance_uid, each.patient_id
        studies.setdefault(key, Counter())[each.sop_class_uid] += 1
