"""What a slow, a hasty or an unlucky peer meets in the upper layer."""

import socket
import threading
import time
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_ECHO_RQ, N_EVENT_REPORT_RQ
from pynetdicom.dimse_primitives import C_ECHO, N_EVENT_REPORT
from pynetdicom.pdu import P_DATA_TF

from node import inflow
from node.commitment_statuses import PUSH_MODEL
from node.ps38 import FRAGMENT_HEADER, IS_COMMAND
from node.ps38 import P_DATA_TF as P_DATA
from node.reception import MAX_UNANSWERED
from node.turn import RungTurn
from node.upper_layer import PDU_HEADER, UpperLayer
from tests.node.test_listener_peers import DEADLINE_S, fragments, wait_until

PIECE, PAUSE_S = 1000, 0.01
VERIFICATION = "1.2.840.10008.1.1"


def test_image_that_comes_slowly_and_steadily_is_kept(run: Any, make_dx: Any) -> None:
    """Each of its PDUs takes longer than a peer may be silent; pieces never end where a PDU does."""
    node, dataset = run(network_timeout_s=1), make_dx(512, 300)
    association = node.associate()
    content = b"".join(P_DATA_TF(each).encode() for each in fragments(node, association, dataset, 131_072))
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
    request.MessageID, request.AffectedSOPClassUID = 1, VERIFICATION
    message.primitive_to_message(request)
    [piece] = message.encode_msg(association.accepted_contexts[0].context_id, 16_382)
    association.dul.socket.socket.sendall(P_DATA_TF(piece).encode() * 500)
    wait_until(lambda: not association.is_established)
    assert node.answers_echo()


def test_reports_that_nobody_answers_yet_make_few_threads(run: Any) -> None:
    """Pynetdicom gives each of them a thread of its own."""
    node, go_on, most = run(), threading.Event(), 0

    def slowly(_event: evt.Event) -> tuple[int, None]:
        go_on.wait(DEADLINE_S)
        return 0x0000, None

    node.listener._ae.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
    node.listener._handlers.append((evt.EVT_N_EVENT_REPORT, slowly))
    association = node.associate((PUSH_MODEL, ExplicitVRLittleEndian))
    [context] = [each for each in association.accepted_contexts if each.abstract_syntax == PUSH_MODEL]
    report, message = N_EVENT_REPORT(), N_EVENT_REPORT_RQ()
    report.MessageID, report.EventTypeID = 1, 1
    report.AffectedSOPClassUID, report.AffectedSOPInstanceUID = PUSH_MODEL, f"{PUSH_MODEL}.1"
    message.primitive_to_message(report)
    before = threading.active_count()
    content = b"".join(P_DATA_TF(each).encode() for each in message.encode_msg(context.context_id, 16_382))
    association.dul.socket.socket.sendall(content * 200)
    until = time.monotonic() + DEADLINE_S
    while association.is_established and time.monotonic() < until:
        most = max(most, threading.active_count())
    assert not association.is_established
    assert most - before <= MAX_UNANSWERED
    go_on.set()
    assert node.answers_echo()


def test_fragment_of_another_context_is_no_part_of_an_image(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx(128, 128)
    association = node.associate()
    pieces = fragments(node, association, dataset)
    [other] = [each for each in association.accepted_contexts if each.abstract_syntax == VERIFICATION]
    pieces[2].presentation_data_value_list = [
        [other.context_id, content] for _own, content in pieces[2].presentation_data_value_list
    ]
    for piece in pieces:
        association.dul.send_pdu(piece)
    wait_until(lambda: not association.is_established)
    assert node.store.jobs() == []
    wait_until(lambda: node.files() == [])


def test_our_own_slowness_is_no_silence_of_the_peer(
    run: Any, make_dx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = run(network_timeout_s=1)
    add = node.store.add_received

    def slowly(received: Any) -> Any:
        time.sleep(1.2)
        return add(received)

    monkeypatch.setattr(node.store, "add_received", slowly)
    with node.association() as association:
        assert association.send_c_store(make_dx()).Status == 0x0000
        assert association.send_c_echo().get("Status") == 0x0000


def _close(layer: UpperLayer) -> None:
    layer._waker.close()
    layer._woken.close()


def test_clock_that_is_set_ends_no_association(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = UpperLayer(Association(AE(), "acceptor"))
    for timer in (layer._idle_timer, layer.artim_timer):
        timer.timeout = 60
        timer.start()
        monkeypatch.setattr(time, "time", lambda: 1e12)
        assert not timer.expired
        assert 59 < timer.remaining <= 60
        timer.timeout = 0.0
        monkeypatch.setattr(time, "time", lambda: 0.0)
        wait_until(partial(getattr, timer, "expired"))
    _close(layer)


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
    _close(layer)


def test_message_that_waits_is_told_of_while_a_data_set_comes() -> None:
    association = Association(AE(), "acceptor")
    layer, turn = UpperLayer(association), RungTurn(association)
    association._reactor_checkpoint = turn
    stream: Any = SimpleNamespace(has_buffered=True)
    provider: Any = SimpleNamespace(is_streaming=True)
    turn.wait()  # to look once
    assert layer._goes_on(stream, provider)
    rung = [turn._is_rung]
    association.dimse.msg_queue.put((1, C_ECHO()))
    assert layer._goes_on(stream, provider)
    assert [*rung, turn._is_rung] == [False, True]
    _close(layer)


def test_empty_fragment_is_a_sign_of_life() -> None:
    layer = UpperLayer(Association(AE(), "acceptor"))
    layer._idle_timer.timeout, layer._idle_timer._start_time = 60, -100.0
    layer._left = FRAGMENT_HEADER.size
    stream: Any = SimpleNamespace(exactly=lambda _count: FRAGMENT_HEADER.pack(2, 1, 0))
    provider: Any = SimpleNamespace(is_streaming=True)
    assert layer._idle_timer.remaining < 0
    layer._read_fragment(stream, provider)
    assert layer._idle_timer.remaining > 50
    _close(layer)
