"""Opening an association to ask a peer something, and saying in words why it cannot be had (PS3.8 9.3)."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext

from pydicom.uid import UID
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association

from config.settings import Destination, Peer
from node.errors import NodeError, ProofError
from node.implementation import application_entity
from node.rejection import rejection

DIAGNOSIS_S = 2.0
"""How long to look for the reason why a connection failed."""

TlsFor = Callable[[Destination | Peer], SSLContext | None]
"""Gives the TLS context with which a peer is called; None: without TLS."""


def without_tls(peer: Destination | Peer) -> None:
    """Call without TLS; ProofError for a peer that is to be called with it: never silently without."""
    if peer.tls:
        raise ProofError(f"{peer.ae_title} is to be called over TLS, and no certificate is set")


@dataclass(frozen=True)
class Caller:
    """Who calls, and how.

    Attributes:
        ae_title: The calling AE title.
        tls: Gives the TLS context for a peer.
    """

    ae_title: str
    tls: TlsFor = without_tls

    @contextmanager
    def association(
        self,
        peer: Destination | Peer,
        sop_class: UID,
        timeout_s: float,
        handlers: Sequence[evt.EventHandlerType] = (),
        *,
        as_scp: bool = False,
    ) -> Iterator[Association]:
        """Open an association for one SOP class, and release it at the end.

        Args:
            peer: Whom to call.
            sop_class: What for.
            timeout_s: For each answer, in seconds.
            handlers: For what the peer asks.
            as_scp: Whether the role of SCP is proposed for ourselves (PS3.7 D.3.3.4).

        Raises:
            ProofError: It cannot be had; the message says why.
        """
        association = self._opened(peer, sop_class, timeout_s, handlers, as_scp=as_scp)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _context(self, peer: Destination | Peer) -> SSLContext | None:
        """Return the TLS context; ProofError where its certificate or authorities cannot be used."""
        try:
            return self.tls(peer)
        except ProofError:
            raise
        except (NodeError, OSError) as error:
            raise ProofError(f"{peer.ae_title} cannot be called over TLS ({error})") from error

    def _opened(
        self,
        peer: Destination | Peer,
        sop_class: UID,
        timeout_s: float,
        handlers: Sequence[evt.EventHandlerType],
        *,
        as_scp: bool,
    ) -> Association:
        connected: list[evt.Event] = []
        ae = application_entity(self.ae_title)
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
        context = self._context(peer)
        try:
            association = ae.associate(
                peer.host,
                peer.port,
                contexts=[build_context(sop_class)],
                ae_title=peer.ae_title,
                ext_neg=[build_role(sop_class, scp_role=True)] if as_scp else [],
                evt_handlers=[(evt.EVT_CONN_OPEN, connected.append), *handlers],
                tls_args=None if context is None else (context, peer.host),
            )
        except (OSError, UnicodeError) as error:  # the host's name is unknown, or none
            raise ProofError(f"no connection to {_shown(peer)} ({error})", unanswered=True) from error
        if not association.is_established:
            raise _why_not(association, peer, sop_class, timeout_s, was_connected=bool(connected))
        return association


def _why_not(
    association: Association,
    peer: Destination | Peer,
    sop_class: UID,
    timeout_s: float,
    *,
    was_connected: bool,
) -> ProofError:
    """Return in words why no association was opened; pynetdicom does not tell."""
    if not was_connected:
        return ProofError(f"no connection to {_shown(peer)} ({_connection_error(peer)})", unanswered=True)
    if association.rejected_contexts and not association.accepted_contexts:
        return ProofError(f"{_shown(peer)} accepts no presentation context for {sop_class.name}")
    answer = rejection(association)
    if answer is not None:
        why = f"{answer.result_str}: {answer.reason_str}"
        return ProofError(f"{_shown(peer)} rejected the association ({why})", unanswered=True)
    told = f"{_shown(peer)} aborted the association, or did not answer within {timeout_s:g} s"
    return ProofError(told, unanswered=True)


def _shown(peer: Destination | Peer) -> str:
    return f"{peer.ae_title} at {peer.host}:{peer.port}"


def _connection_error(peer: Destination | Peer) -> str:
    try:
        socket.create_connection((peer.host, peer.port), timeout=DIAGNOSIS_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return "a second attempt went well"
