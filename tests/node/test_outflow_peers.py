"""Whatever a peer does in the middle of an object: nothing counts as stored that is not, and nobody hangs."""

import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, SegmentationStorage
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from config.network import TlsSettings
from config.settings import Destination
from node.archive import Archive
from node.implementation import application_entity
from node.outcome import Outcome, Verdict
from node.outlet import Outlet
from node.transport import DimseTransport, Outgoing
from tests.faults.authority import Authority
from tests.faults.peers import written_object
from tests.faults.raw_peer import RELEASE_REQUEST, RELEASE_RESPONSE, RawPeer, raw_peer, response

LARGE, SMALL = 12_000_000, 10
PATIENCE_S = (1.0, 4.0, 16.0)
"""Timeouts to try one after the other: on a busy machine even a willing peer takes longer than the first."""

Play = Callable[[RawPeer], None]


def _written(folder: Path, size: int) -> Outgoing:
    return written_object(folder, bytes(size))


@pytest.fixture
def objects(tmp_path: Path) -> list[Outgoing]:
    """A large object, and a small one after it."""
    return [_written(tmp_path, LARGE), _written(tmp_path, SMALL)]


def _sent(
    port: int, objects: Sequence[Outgoing], timeout_s: float = 20, authority: Authority | None = None
) -> list[Outcome]:
    place = Destination(
        name="a", ae_title="A", host="127.0.0.1", port=port, timeout_s=timeout_s, tls=authority is not None
    )
    tls = TlsSettings(authorities=str(authority.path)) if authority else None
    return list(DimseTransport("PAXNODE", tls).send(place, objects))


def _assert_given_up(play: Play, outgoing: Outgoing, authority: Authority | None = None) -> None:
    """Send to a peer that plays so, over TLS where there is an authority; it is given up in time."""
    for timeout_s in PATIENCE_S:
        with raw_peer(play, _server_side(authority) if authority else None) as port:
            begun = time.monotonic()
            [outcome] = _sent(port, [outgoing], timeout_s, authority)
            took_s = time.monotonic() - begun
        if outcome.verdict is Verdict.TRANSIENT:
            break
    assert outcome.verdict is Verdict.TRANSIENT
    assert took_s < 2 * timeout_s + 5


def _played(play: Play, objects: Sequence[Outgoing]) -> tuple[list[Outcome], float]:
    """Send to a peer that plays so; return the outcomes, and the seconds that it took."""
    with raw_peer(play) as port:
        begun = time.monotonic()
        outcomes = _sent(port, objects)
        took_s = time.monotonic() - begun
    assert not _open_files(objects), "no result's file is left open"
    return outcomes, took_s


def _open_files(objects: Sequence[Outgoing]) -> set[Path]:
    links = [Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return {link.readlink() for link in links if link.is_symlink()} & {each.path for each in objects}


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [(0x0000, Verdict.TRANSIENT, "answered with success before it had the object"),
     (0xA700, Verdict.TRANSIENT, "out of resources"), (0xC000, Verdict.PERMANENT, "cannot understand")],
)  # fmt: skip
def test_answer_in_the_middle_of_an_object_is_no_success_and_ends_the_association(
    objects: list[Outgoing], status: int, verdict: Verdict, words: str
) -> None:
    def play(peer: RawPeer) -> None:
        peer.accept()
        peer.command()
        peer.data(100_000)
        peer.answer(1, status)

    [first, second], took_s = _played(play, objects)
    assert (first.verdict, second.verdict) == (verdict, Verdict.UNSENT)
    assert words in first.reason
    assert "this one was not sent" in second.reason
    assert took_s < 10


def test_answer_to_one_object_is_none_to_the_next(objects: list[Outgoing]) -> None:
    def play(peer: RawPeer) -> None:
        peer.accept()
        peer.command()
        peer.data()
        peer.connection.sendall(2 * response(1, 0x0000))
        peer.command()
        peer.data()
        peer.answer(2, 0xC000)
        peer.pdu()
        peer.connection.sendall(RELEASE_RESPONSE)

    outcomes, _ = _played(play, objects)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED, Verdict.PERMANENT]


def test_peer_that_asks_for_release_in_the_middle_is_not_waited_for(objects: list[Outgoing]) -> None:
    def play(peer: RawPeer) -> None:
        peer.accept()
        peer.command()
        peer.data(100_000)
        peer.connection.sendall(RELEASE_REQUEST)

    outcomes, took_s = _played(play, objects)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.TRANSIENT, Verdict.UNSENT]
    assert took_s < 10


@pytest.mark.parametrize("most", [100_000, None])
def test_peer_that_stops_within_an_answer_is_given_up_in_time(tmp_path: Path, most: int | None) -> None:

    def play(peer: RawPeer) -> None:
        peer.accept()
        peer.command()
        peer.data(most)
        peer.connection.sendall(response(1, 0x0000)[:3])

    _assert_given_up(play, _written(tmp_path, LARGE))


@pytest.mark.parametrize("longest_unit", [1, 6, 7])
def test_peer_that_takes_units_of_nothing_is_told_by_name(objects: list[Outgoing], longest_unit: int) -> None:
    def play(peer: RawPeer) -> None:
        peer.accept(longest_unit)
        peer.pdu()
        peer.connection.sendall(RELEASE_RESPONSE)

    outcomes, _ = _played(play, objects[1:])
    assert [outcome.verdict for outcome in outcomes] == [Verdict.PERMANENT]


def test_object_for_an_association_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    outgoing = _written(tmp_path, SMALL)
    with Archive(tmp_path / "archive") as archive:
        association = application_entity("PAXNODE").associate(
            "127.0.0.1", archive.port, contexts=[build_context(SegmentationStorage)], ae_title="ARCHIVE"
        )
        association.dimse_timeout = 60
        association.release()
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = SegmentationStorage, "1.2.3"
        request._dataset_path = (outgoing.path, 132)
        begun = time.monotonic()
        association.dimse.send_msg(request, 1)
        assert association.dimse.get_msg(block=True) == (None, None)
    assert time.monotonic() - begun < 30
    assert not _open_files([outgoing])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_peer_that_drips_is_given_up_whatever_syntax_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str
) -> None:
    """It takes a little every moment, so that no single write fails; in its own syntax or made anew."""
    monkeypatch.setattr("node.transport.SLOWEST_BYTES_PER_S", 1e9)

    def play(peer: RawPeer) -> None:
        peer.accept(syntax=syntax)
        while not peer.ended.wait(0.01):
            peer.connection.recv(2000)

    _assert_given_up(play, _written(tmp_path, LARGE))


# ---- over TLS, where what can be read need not be data


def _server_side(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("pacs"))
    return context


def test_peer_that_stops_reading_over_tls_is_given_up_in_time(tmp_path: Path) -> None:
    def play(peer: RawPeer) -> None:
        peer.accept()
        peer.command()

    _assert_given_up(play, _written(tmp_path, LARGE), Authority(tmp_path))


def test_what_tls_says_for_itself_is_not_waited_for_as_data(tmp_path: Path) -> None:
    """A server sends tickets when the handshake is over; a client can read them, though it is no data."""
    authority = Authority(tmp_path)
    client = ssl.create_default_context(cafile=authority.path)
    may_speak = threading.Event()

    def play(peer: RawPeer) -> None:
        may_speak.wait(60)
        peer.connection.sendall(b"data")

    with raw_peer(play, _server_side(authority)) as port:
        connection = socket.create_connection(("127.0.0.1", port), 30)
        with client.wrap_socket(connection, server_hostname="127.0.0.1") as secured:
            association = Association(application_entity("PAXNODE"), "requestor")
            outlet = Outlet(association, client_socket=secured)
            outlet._is_connected = True
            assert select.select([secured], [], [], 30)[0], "the tickets have come"
            found = [outlet.ready]
            may_speak.set()
            while not found[-1]:
                select.select([secured], [], [], 30)
                found.append(outlet.ready)
            assert not found[0]
            assert (bytes(outlet.recv(2)), bytes(outlet.recv(2))) == (b"da", b"ta")
            assert secured.gettimeout() == 30
