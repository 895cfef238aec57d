"""What a slow, a hasty or an unlucky peer meets in the upper layer."""

import socket
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_ECHO_RQ
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.pdu import P_DATA_TF

from node import inflow
from node.reception import IS_COMMAND
from node.upper_layer import FRAGMENT_HEADER, PDU_HEADER, UpperLayer
from node.upper_layer import P_DATA_TF as P_DATA
from tests.node.test_listener_peers import DEADLINE_S, fragments, wait_until

PIECE, PAUSE_S = 1500, 0.01


def test_image_that_comes_slowly_and_steadily_is_kept(run: Any, make_dx: Any) -> None:
    """It takes twice as long as a peer may be silent, in pieces that never end where a PDU does."""
    node, dataset = run(network_timeout_s=1), make_dx(512, 300)
    association = node.associate()
    content = b"".join(P_DATA_TF(each).encode() for each in fragments(node, association, dataset))
    begun = time.monotonic()
    for at in range(0, len(content), PIECE):
        association.dul.socket.socket.sendall(content[at : at + PIECE])
        time.sleep(PAUSE_S)
    assert time.monotonic() - begun > 2
    wait_until(lambda: node.listener.traffic.counts.answers != {})
    [job] = node.store.jobs()
    assert node.spool.path(job.path).read_bytes().endswith(node.explicit(dataset))
    association.release()


def test_peer_that_waits_for_no_answer_is_hung_up_on(run: Any) -> None:
    node = run()
    association = node.associate()
    request, message = C_ECHO(), C_ECHO_RQ()
    request.MessageID, request.AffectedSOPClassUID = 1, "1.2.840.10008.1.1"
    message.primitive_to_message(request)
    [piece] = message.encode_msg(association.accepted_contexts[0].context_id, 16_382)
    association.dul.socket.socket.sendall(P_DATA_TF(piece).encode() * 500)
    wait_until(lambda: not association.is_established)
    assert node.answers_echo()


def begun_pdu(association: Any, length: int) -> socket.socket:
    """Send the header of a data PDU, and return the connection."""
    connection: socket.socket = association.dul.socket.socket
    connection.sendall(PDU_HEADER.pack(P_DATA, length))
    return connection


def test_peer_that_drips_is_hung_up_on(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never silent for as long as it may be, and would need minutes for a PDU."""
    monkeypatch.setattr(inflow, "SLOWEST_BYTES_PER_S", 1_000_000)
    node = run(network_timeout_s=1)
    association = node.associate()
    connection = begun_pdu(association, 60_000)
    connection.sendall(FRAGMENT_HEADER.pack(59_996, association.accepted_contexts[0].context_id, IS_COMMAND))

    def is_hung_up_on() -> bool:
        connection.sendall(b"\0")
        return not association.is_established

    with suppress(OSError):  # it may be met in the middle of a byte
        wait_until(is_hung_up_on, 10.0)
    wait_until(lambda: not association.is_established)
    assert node.answers_echo()


def test_stop_waits_for_no_peer_in_the_middle_of_a_pdu(run: Any) -> None:
    node = run(network_timeout_s=60)
    begun_pdu(node.associate(), 600)
    [association] = node.listener._associations
    wait_until(lambda: association.dul._left > 0)
    begun = time.monotonic()
    node.listener.stop(grace_s=0.0)
    assert time.monotonic() - begun < DEADLINE_S
    assert not association.is_alive()
    assert not association.dul.is_alive()


def test_connection_for_which_no_descriptor_is_left_is_closed(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = run()
    pair = socket.socketpair

    def none_left(*_: Any) -> Any:
        monkeypatch.setattr(socket, "socketpair", pair)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", none_left)
    assert not node.associate().is_established
    assert node.listener._associations == []
    assert node.answers_echo()


def test_what_is_to_be_done_is_not_waited_for() -> None:
    layer = UpperLayer(Association(AE(), "acceptor"))
    waits: list[float] = []
    stream: Any = SimpleNamespace(let_go=lambda: None, wait=lambda _other, seconds: waits.append(seconds))
    layer._wait(stream)
    layer.event_queue.put("Evt6")
    layer._wait(stream)
    assert waits[0] > 0
    assert waits[1] == 0
    layer._waker.close()
    layer._woken.close()
