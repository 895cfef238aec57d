"""Connections that wait: who may, how many, and what happens when there is no room for them."""

import errno
import io
import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from config.network import NodeSettings, TlsSettings
from node.caller import MAX_REQUEST_BYTES, Arrival
from node.connections import mend_sockets
from node.doors import Door, HouseRules, house_rules, listening_socket
from node.implementation import Entity
from node.porch import Porch
from node.refusals import Refusals

DEADLINE_S = 20.0
REQUEST = b"\x01\x00\x00\x00\x00\x04ABCD"
ABORT = bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0])


class FullDoor(socket.socket):
    """A listening socket of a process that has no descriptor left."""

    tries = 0

    def accept(self) -> Any:
        self.tries += 1
        raise OSError(errno.EMFILE, "Too many open files")


class Running:
    """A porch that keeps what arrives."""

    def __init__(self, rules: HouseRules, listening: socket.socket) -> None:
        self.arrivals: list[Arrival] = []
        self.refusals = Refusals()
        listening.setblocking(False)
        self.door = Door(listening)
        self.porch = Porch([self.door], rules, self.arrivals.append, self.refusals)
        self.porch.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.door.port), DEADLINE_S)


@pytest.fixture
def run_porch() -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(listening: socket.socket | None = None, **rules: Any) -> Running:
        running.append(Running(HouseRules(**rules), listening or listening_socket("127.0.0.1", 0)))
        return running[-1]

    yield start
    for one in running:
        one.porch.stop()
        for arrival in one.arrivals:
            arrival.connection.close()


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.005)


def test_request_is_handed_on_whole_and_what_follows_stays_in_the_socket(run_porch: Any) -> None:
    running = run_porch()
    with running.connect() as peer:
        peer.sendall(REQUEST + b"more")
        wait_until(lambda: len(running.arrivals) == 1)
        [arrival] = running.arrivals
        arrival.connection.settimeout(DEADLINE_S)

        assert arrival.request == REQUEST
        assert arrival.connection.recv(10) == b"more"
        assert running.porch.waiting == 0


def test_address_that_is_not_on_the_list_is_hung_up_on_and_told_once(
    run_porch: Any, lines: io.StringIO
) -> None:
    running = run_porch(addresses=("192.0.2.0/24", "198.51.100.7/32"))
    for _ in range(5):
        with running.connect() as peer:
            assert peer.recv(1) == b""

    assert running.refusals.counts == {"its address is not on the list": 5}
    [line] = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert (line["event"], line["address"]) == ("connection refused", "127.0.0.1")


def test_address_on_the_list_is_let_in(run_porch: Any) -> None:
    running = run_porch(addresses=("192.0.2.0/24", "127.0.0.0/8"))
    with running.connect() as peer:
        peer.sendall(REQUEST)
        wait_until(lambda: len(running.arrivals) == 1)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_address_of_ipv4_at_a_door_for_both_is_found_on_the_list(run_porch: Any) -> None:
    running = run_porch(listening_socket("::", 0), addresses=("127.0.0.1/32",))
    with running.connect() as peer:
        peer.sendall(REQUEST)
        wait_until(lambda: len(running.arrivals) == 1)


def test_oldest_goes_when_too_many_wait(run_porch: Any) -> None:
    running = run_porch(max_waiting=3)
    first = running.connect()
    wait_until(lambda: running.porch.waiting == 1)
    others = [running.connect() for _ in range(3)]

    assert first.recv(1) == b""
    others[-1].sendall(REQUEST)
    wait_until(lambda: len(running.arrivals) == 1)
    assert running.refusals.counts == {"too many connections wait: it was the oldest": 1}
    for peer in (first, *others):
        peer.close()


def test_silent_peer_is_hung_up_on_in_time_however_it_drips(run_porch: Any) -> None:
    running = run_porch(patience_s=0.5)
    begun = time.monotonic()
    with running.connect() as peer:
        peer.sendall(REQUEST[:3])
        assert peer.recv(1) == b""

    assert 0.4 < time.monotonic() - begun < DEADLINE_S / 2
    assert running.refusals.counts == {"it did not ask for an association in time": 1}


def test_request_that_is_too_long_is_refused_before_it_comes(run_porch: Any) -> None:
    running = run_porch()
    with running.connect() as peer:
        peer.sendall(b"\x01\x00" + (MAX_REQUEST_BYTES + 1).to_bytes(4, "big"))
        assert peer.recv(1) == b""

    assert running.refusals.counts == {"its association request is too long": 1}


def test_anything_but_a_request_is_answered_with_an_abort(run_porch: Any) -> None:
    with run_porch().connect() as peer:
        peer.sendall(b"\x04")
        assert peer.recv(100) == ABORT


def test_door_that_has_no_room_is_tried_again_without_haste(run_porch: Any, lines: io.StringIO) -> None:
    usual = listening_socket("127.0.0.1", 0)
    full = FullDoor(fileno=usual.detach())
    running = run_porch(full)
    with running.connect():
        wait_until(lambda: full.tries == 2)

    assert lines.getvalue().count("Too many open files") == 1


def test_oldest_goes_when_there_is_no_descriptor_left(run_porch: Any) -> None:
    running = run_porch()
    first = running.connect()
    wait_until(lambda: running.porch.waiting == 1)
    last = resource.getrlimit(resource.RLIMIT_NOFILE)
    second = socket.socket()  # made before there is no room
    free = socket.socket()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free.fileno() + 1, last[1]))
    try:
        second.connect(("127.0.0.1", running.door.port))
        assert first.recv(1) == b""
        wait_until(lambda: running.porch.waiting == 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, last)
        for peer in (first, second, free):
            peer.close()


def test_association_works_on_a_descriptor_beyond_those_that_select_knows(run: Any) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most[1] >= 1300, "the machine allows too few descriptors: this cannot be seen here"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most[0], 1300), most[1]))
    mend_sockets()
    node = run()
    low = [socket.socket() for _ in range(1050)]
    try:
        ae = Entity("MODALITY")
        ae.add_requested_context(Verification)
        association = ae.associate("127.0.0.1", node.listener.port)
        assert association.send_c_echo().get("Status") == 0x0000
        association.release()
    finally:
        for unused in low:
            unused.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, most)


def test_patience_is_that_of_the_handshake_and_no_longer_than_of_the_network() -> None:
    tls = TlsSettings(handshake_timeout_s=7.0)

    assert house_rules(NodeSettings(), tls, 1024).patience_s == 7.0
    assert house_rules(NodeSettings(network_timeout_s=2.0), tls, 1024).patience_s == 2.0
    assert house_rules(NodeSettings(max_associations=16), tls, 1024).max_waiting == 480
    assert house_rules(NodeSettings(max_associations=300), tls, 1024).max_waiting == 1


def test_what_was_held_back_of_refusals_is_told_though_nobody_comes(
    run_porch: Any, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.refusals.EVERY_S", 0.3)
    running = run_porch(patience_s=DEADLINE_S)
    for _ in range(3):
        with running.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            connection.settimeout(DEADLINE_S)
            while connection.recv(4096):
                pass
    wait_until(lambda: sum(json.loads(line)["count"] for line in lines.getvalue().splitlines()) == 3)
