"""Carrying result objects to a destination by C-STORE, with an outcome for each object.

PS3.4 Annex B (Storage Service Class, SCU), PS3.7 9.1.1 (C-STORE), PS3.8 9.3 (association).
"""

import ssl
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom import _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from config.network import TlsSettings
from config.settings import AnyDestination, Destination
from node.contexts import LABEL_MAP_NAME, LABEL_MAP_STORAGE
from node.errors import TlsError
from node.handshake import connection_problem
from node.implementation import application_entity
from node.outcome import Outcome, Verdict, judge
from node.outflow import sent_last
from node.rejection import rejection
from node.tls import client_context
from node.transcode import offers, transcoded

MAX_OBJECTS = 64
"""Objects in one association."""

MAX_CONTEXTS = 128
"""Presentation contexts of one association: they have odd numbers below 256 (PS3.8 9.3.2.2)."""

REJECTED_PERMANENT = 1
"""Result of an A-ASSOCIATE-RJ (PS3.8 9.3.4); 2 is transient."""

CONFIGURATION = "; this is a matter of configuration, there or here, and is tried again from time to time"

SLOWEST_BYTES_PER_S = 50_000
"""No line is taken to be slower: an object of 50 MB may take so long that it passes at 0.4 Mbit/s."""

DIAGNOSIS_S = 2.0
"""How long to look for the reason why a connection failed."""

# Result files are sent as they lie on disk, in pieces, never decoded.
_config.STORE_SEND_CHUNKED_DATASET = True


@dataclass(frozen=True)
class Outgoing:
    """An object to be sent.

    Attributes:
        sop_instance_uid: Its identity.
        path: The DICOM file that holds it.
        preferred: Transfer syntaxes that the destination would have it in, the best first.
    """

    sop_instance_uid: str
    path: Path
    preferred: tuple[UID, ...] = ()


class Transport(Protocol):
    """Sends objects to a destination.

    The real one is `DimseTransport`; `PlainTransport` is for tests of everything around it.
    """

    def send(self, destination: AnyDestination, objects: Sequence[Outgoing]) -> Generator[Outcome]:
        """Yield an outcome per object, in order, each as soon as it is known; never raise for the peer.

        Closing the generator ends the association; what was not yielded was not sent.
        """
        ...


@dataclass(frozen=True)
class Encoded:
    """An outgoing object with what decides in which form it goes.

    Attributes:
        outgoing: Which.
        sop_class: Its SOP class.
        transfer_syntax: Of its file.
        offers: Transfer syntaxes in which it may go, the best first.
    """

    outgoing: Outgoing
    sop_class: UID
    transfer_syntax: UID
    offers: tuple[UID, ...]

    def outcome(self, verdict: Verdict, reason: str) -> Outcome:
        """Return an outcome for which the peer gave no status."""
        return Outcome(self.outgoing.sop_instance_uid, verdict, None, reason)


class DimseTransport:
    """A C-STORE SCU.

    It proposes each SOP class in every transfer syntax that its objects may be sent in, each in a
    presentation context of its own, and sends an object in the first of its preferred ones that the peer
    accepts (PS3.5 10).

    Args:
        ae_title: The calling AE title.
        tls: The certificate and the authorities for destinations that are called over TLS; its files are read
            for each association, so that new ones are taken up.
    """

    def __init__(self, ae_title: str, tls: TlsSettings | None = None) -> None:
        self._ae_title = ae_title
        self._tls = tls or TlsSettings()

    def send(self, destination: AnyDestination, objects: Sequence[Outgoing]) -> Generator[Outcome]:
        """Send all objects in one association; see `Transport.send`."""
        if not isinstance(destination, Destination):
            raise TypeError(f"a DICOM destination is needed, found {type(destination).__name__}")
        if len(objects) > MAX_OBJECTS:
            raise ValueError(f"at most {MAX_OBJECTS} objects go into one association, found {len(objects)}")
        read = [read_encoded(outgoing) for outgoing in objects]
        encoded = [item for item in read if isinstance(item, Encoded)]
        if not encoded:
            yield from (item for item in read if isinstance(item, Outcome))
            return
        try:
            context = client_context(self._tls) if destination.tls else None
            call = _Call(self._ae_title, destination, encoded, context)
        except TlsError as error:
            yield from (unsent(item, f"[tls] {error}", Verdict.BARRED) for item in read)
            return
        except (OSError, UnicodeError) as error:  # the host's name is unknown, or none
            reason = f"no connection to {destination.ae_title} at {destination.host} ({error})"
            yield from (unsent(item, reason) for item in read)
            return
        try:
            for item in read:
                yield item if isinstance(item, Outcome) else call.store(item)
        finally:
            call.end()


def read_encoded(outgoing: Outgoing) -> Encoded | Outcome:
    """Return an object with its possible forms; the outcome of one whose file cannot be read."""
    try:
        meta = read_file_meta_info(outgoing.path)
        own = UID(meta.TransferSyntaxUID)
        possible = offers(outgoing.path, own, outgoing.preferred)
        return Encoded(outgoing, UID(meta.MediaStorageSOPClassUID), own, possible)
    except (FileNotFoundError, InvalidDicomError, AttributeError) as error:
        reason = f"the result's file cannot be read ({type(error).__name__})"
        return Outcome(outgoing.sop_instance_uid, Verdict.PERMANENT, None, reason, ours=True)
    except OSError as error:  # of the disk, and no word of the peer's
        reason = f"the result's file cannot be read ({error.strerror})"
        return Outcome(outgoing.sop_instance_uid, Verdict.TRANSIENT, None, reason, ours=True)


def unsent(item: Encoded | Outcome, reason: str, verdict: Verdict = Verdict.UNSENT) -> Outcome:
    """Return the outcome of an object about which the peer could not be asked."""
    return item if isinstance(item, Outcome) else item.outcome(verdict, reason)


class _Call:
    """One association with one destination."""

    def __init__(
        self,
        ae_title: str,
        destination: Destination,
        objects: Sequence[Encoded],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._destination = destination
        self._context = context
        self._peer = f"{destination.ae_title} at {destination.host}:{destination.port}"
        self._timeout = f"{destination.timeout_s:g} s"
        self._connected = False
        ae = application_entity(ae_title)
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = destination.timeout_s
        ae.network_timeout = destination.timeout_s
        self._association = ae.associate(
            destination.host,
            destination.port,
            contexts=_contexts(objects),
            ae_title=destination.ae_title,
            evt_handlers=[(evt.EVT_CONN_OPEN, self._note_connection)],
            tls_args=None if context is None else (context, destination.host),
        )
        self._ended = "" if self._association.is_established else self._why_no_association()
        self._barred = _is_barred(self._association)
        self._is_ended_by_us = False
        self._message_id = 0

    def store(self, item: Encoded) -> Outcome:
        """Send one object and return its outcome."""
        if self._ended:
            return self._not_sent(item)
        syntax = next((s for s in item.offers if s in self._accepted(item.sop_class)), None)
        if syntax is None:
            return self._refused_context(item)
        try:
            payload = _payload(item, syntax)
            self._association.dimse_timeout = self._patience_s(item)
            self._message_id += 1
            answer = self._association.send_c_store(payload, self._message_id)
        except (OSError, RuntimeError, ValueError, AttributeError, InvalidDicomError) as error:
            return self._unsendable(item, error)
        return self._judged(item, answer)

    def _judged(self, item: Encoded, answer: Dataset) -> Outcome:
        uid, stream = item.outgoing.sop_instance_uid, sent_last(self._association)
        if "Status" not in answer:
            self._ended = f"the association with {self._peer} ended before this object was sent"
            if stream is not None and stream.failure is not None:
                self._is_ended_by_us = True
                return self._unreadable(item, stream.failure)
            reason = f"{self._peer} gave no answer within {self._timeout}, or the connection broke"
            return item.outcome(Verdict.TRANSIENT, reason)
        outcome = judge(uid, int(answer.Status))
        if stream is None or stream.is_done:
            return outcome
        self._ended = f"{self._peer} answered for another object before it had it; this one was not sent"
        if outcome.verdict is not Verdict.STORED:
            return outcome
        reason = f"{self._peer} answered with success before it had the object"
        return Outcome(uid, Verdict.TRANSIENT, None, reason, heard=True)

    def end(self) -> None:
        """Release the association; one that broke is aborted."""
        if self._association.is_established:
            (self._association.abort if self._ended else self._association.release)()

    def _note_connection(self, _event: evt.Event) -> None:
        self._connected = True

    def _patience_s(self, item: Encoded) -> float:
        """Return how long an object may take: pynetdicom counts from before its first byte is sent."""
        return self._destination.timeout_s + item.outgoing.path.stat().st_size / SLOWEST_BYTES_PER_S

    def _accepted(self, sop_class: UID) -> set[UID]:
        contexts = self._association.accepted_contexts
        return {context.transfer_syntax[0] for context in contexts if context.abstract_syntax == sop_class}

    def _not_sent(self, item: Encoded) -> Outcome:
        if self._association.rejected_contexts and not self._association.accepted_contexts:
            return self._refused_context(item)
        outcome = unsent(item, self._ended, Verdict.BARRED if self._barred else Verdict.UNSENT)
        return replace(outcome, ours=self._is_ended_by_us)

    def _why_no_association(self) -> str:
        answer = rejection(self._association)
        if answer is not None:
            what = f"rejected the association ({answer.result_str}: {answer.reason_str})"
            return f"{self._peer} {what}{CONFIGURATION if _is_barred(self._association) else ''}"
        if not self._connected or self._context:
            place = self._destination
            patience_s = min(place.timeout_s, DIAGNOSIS_S)
            why = connection_problem(place.host, place.port, self._peer, patience_s, self._context)
            if why or not self._connected:
                return why or f"no connection to {self._peer} (a second attempt went well)"
        return f"{self._peer} aborted the association, or did not answer within {self._timeout}"

    def _refused_context(self, item: Encoded) -> Outcome:
        name = LABEL_MAP_NAME if item.sop_class == LABEL_MAP_STORAGE else item.sop_class.name
        wanted = f"{name} in {' or '.join(syntax.name for syntax in item.offers)}"
        return item.outcome(Verdict.PERMANENT, f"{self._peer} accepts no presentation context for {wanted}")

    def _unsendable(self, item: Encoded, error: Exception) -> Outcome:
        if not self._association.is_established:
            self._ended = f"the association with {self._peer} ended before this object was sent"
            return self._not_sent(item)
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            return self._unreadable(item, error)
        return item.outcome(Verdict.PERMANENT, f"it cannot be encoded for the peer ({type(error).__name__})")

    def _unreadable(self, item: Encoded, error: OSError) -> Outcome:
        """Return the outcome of an object that our own disk did not give."""
        reason = f"the result's file cannot be read or encoded ({error.strerror or error})"
        return Outcome(item.outgoing.sop_instance_uid, Verdict.TRANSIENT, None, reason, ours=True)


def _is_barred(association: Association) -> bool:
    """Whether the peer rejected the association for good: it does not know who we are, or whom we call."""
    answer = rejection(association)
    return answer is not None and answer.result == REJECTED_PERMANENT


def _payload(item: Encoded, syntax: UID) -> Path | Dataset:
    """Return the file, to be sent as it lies on disk, or what it becomes in another syntax."""
    return item.outgoing.path if syntax == item.transfer_syntax else transcoded(item.outgoing.path, syntax)


def _contexts(objects: Sequence[Encoded]) -> list[PresentationContext]:
    """Return a context for each SOP class and syntax; where there are too many, native ones are kept."""
    pairs = dict.fromkeys((item.sop_class, syntax) for item in objects for syntax in reversed(item.offers))
    return [build_context(sop_class, [syntax]) for sop_class, syntax in list(pairs)[:MAX_CONTEXTS]]


class PlainTransport:
    """A transport that keeps what it is given in a list and answers what it is told to."""

    def __init__(self, answer: Callable[[AnyDestination, Outgoing], Outcome] | None = None) -> None:
        self.sent: list[tuple[str, str]] = []
        """(destination name, SOP Instance UID) in the order of sending."""
        self._answer = answer or (lambda _destination, outgoing: judge(outgoing.sop_instance_uid, 0x0000))

    def send(self, destination: AnyDestination, objects: Sequence[Outgoing]) -> Generator[Outcome]:
        """Record and answer; see `Transport.send`."""
        for outgoing in objects:
            self.sent.append((destination.name, outgoing.sop_instance_uid))
            yield self._answer(destination, outgoing)
