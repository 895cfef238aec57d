"""What a slow, a hasty or an unlucky peer meets in the upper layer."""

import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_ECHO_RQ
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.pdu import P_DATA_TF

from node.upper_layer import UpperLayer
from tests.node.test_listener_peers import fragments, wait_until

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
    inflow: Any = SimpleNamespace(let_go=lambda: None, wait=lambda _other, seconds: waits.append(seconds))
    layer._wait(inflow)
    layer.event_queue.put("Evt6")
    layer._wait(inflow)
    assert waits[0] > 0
    assert waits[1] == 0
    layer._waker.close()
    layer._woken.close()
