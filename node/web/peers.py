"""Everybody that the node reaches, and the doctor with one of them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from config.rules import RETURN_PREFIX
from config.settings import AnyDestination, Peer, Settings, WebDestination
from node.backoff import NO_FAILURES, Failures
from node.doctor import NODE, diagnosis, names_of
from node.doctor_node import Told
from node.doctor_steps import Examination, Subject
from node.errors import NotThereError
from node.watched import Sends
from node.web.deeds import Act
from node.web.desk import Desk
from node.web.errors import ConflictError
from node.web.sessions import Visitor
from node.web_client import web_host

_ONE_AT_A_TIME = threading.Lock()
"""An examination may take a minute, and peers need not answer two."""


@dataclass(frozen=True)
class PeerShown:
    """Somebody that the node reaches, or the node itself.

    Attributes:
        name: By which the doctor knows it.
        subject: What it is.
        place: Where it is reached.
        profile: Of what it gets; empty: it gets nothing.
        breaker: As of `node.web.status.Lane`.
        failures: Likewise.
    """

    name: str
    subject: Subject
    place: str
    profile: str = ""
    breaker: str = ""
    failures: Failures = NO_FAILURES


def peers_of(desk: Desk) -> tuple[PeerShown, ...]:
    """Return this node, every destination and every peer, in the order of the settings."""
    settings = desk.settings
    node = settings.node
    senders = dict(desk.watched.parts().senders)
    first = PeerShown(NODE, Subject.NODE, f"{node.ae_title} at {node.host}:{node.port}")
    destinations = (_destination(settings, each, senders) for each in settings.destinations)
    return (first, *destinations, *(_peer(settings, each, senders) for each in settings.peer))


def examined(desk: Desk, request: Request, visitor: Visitor, name: str) -> tuple[Examination, ...]:
    """Try whoever has a name, step by step: a destination, the AE title of a peer, or this node.

    Raises:
        NotThereError: Nobody has that name.
        ConflictError: Another examination is under way.
    """
    settings = desk.settings
    if name not in names_of(settings):
        raise NotThereError(f"there is no destination and no peer {name!r}")
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise ConflictError("another examination is under way: try again when it is done")
    try:
        version = desk.watched.version()
        told = Told(desk.settings_file, str(version) if version else "")
        with desk.noting(request, visitor, Act.EXAMINE, name):
            return diagnosis(settings, (name,), told).examinations
    finally:
        _ONE_AT_A_TIME.release()


def _destination(settings: Settings, each: AnyDestination, senders: Mapping[str, Sends]) -> PeerShown:
    profile, state = each.profile or settings.results.profile, _state(senders.get(each.name))
    if isinstance(each, WebDestination):
        return PeerShown(each.name, Subject.WEB_DESTINATION, web_host(each), profile, *state)
    place = f"{each.ae_title} at {each.host}:{each.port}{', TLS' if each.tls else ''}"
    return PeerShown(each.name, Subject.DESTINATION, place, profile, *state)


def _peer(settings: Settings, peer: Peer, senders: Mapping[str, Sends]) -> PeerShown:
    place = f"{peer.ae_title} at {peer.host}:{peer.port}{', TLS' if peer.tls else ''}"
    profile = settings.results.profile if settings.returns else ""
    state = _state(senders.get(f"{RETURN_PREFIX}{peer.ae_title}"))
    return PeerShown(peer.ae_title, Subject.PEER, place, profile, *state)


def _state(sender: Sends | None) -> tuple[str, Failures]:
    return ("", NO_FAILURES) if sender is None else (sender.breaker.value, sender.failures)
