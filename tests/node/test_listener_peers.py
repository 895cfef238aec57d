"""Peers that vanish, peers that may not, and how the listener starts and stops under them."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import (
    generate_uid,
)
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from node.errors import NodeError
from node.listener import Listener
from node.reception import MAX_UNANSWERED
from node.states import State

DEADLINE_S = 20.0


def wait_until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.005)


def fragments(node: Any, association: Any, dataset: Dataset, most: int = 16_384) -> list[Any]:
    """Return the P-DATA primitives of a C-STORE request; with PDUs of so many bytes at most."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    request.DataSet = io.BytesIO(node.explicit(dataset))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    context = next(c for c in association.accepted_contexts if c.abstract_syntax == dataset.SOPClassUID)
    return list(message.encode_msg(context.context_id or 0, most))


def begin(node: Any, association: Any, dataset: Dataset) -> list[Any]:
    """Send the first half of a C-STORE request, wait until it has come, and return the second half."""
    pieces = fragments(node, association, dataset)
    half = len(pieces) // 2
    assert half > 5
    for piece in pieces[:half]:
        association.dul.send_pdu(piece)
    wait_until(lambda: any((node.folder / name).stat().st_size > 20_000 for name in node.files()))
    return pieces[half:]


# ---- peers that vanish, or never were any


def test_sender_that_dies_halfway_leaves_nothing(run: Any, make_dx: Any) -> None:
    node = run()
    association = node.associate()
    begin(node, association, make_dx(1024, 1024))

    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)

    wait_until(lambda: node.files() == [])
    assert node.store.jobs() == []
    assert node.answers_echo()


def test_sender_that_falls_silent_halfway_is_dropped(run: Any, make_dx: Any) -> None:
    node, dataset = run(network_timeout_s=2.0), make_dx(1024, 1024)  # made before the clock runs
    association = node.associate()
    begin(node, association, dataset)

    wait_until(lambda: node.files() == [])

    assert node.store.jobs() == []
    assert node.answers_echo()
    association.abort()


def test_sender_that_falls_silent_within_a_pdu_is_dropped(run: Any) -> None:
    node, before = run(network_timeout_s=0.5), threading.active_count()
    association = node.associate()

    association.dul.socket.socket.sendall(b"\x04\x00\x00\x00\x40\x00" + bytes(100))

    wait_until(lambda: threading.active_count() <= before)
    assert not association.is_established


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        bytes(range(256)) * 40,
        b"\x04\x00\xff\xff\xff\xff" + bytes(10_000),
        b"\x01\x00\x00\x00\x00\x10" + b"\xff" * 16,
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x03",
        b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",
    ],
    ids=["http", "tls", "bytes", "endless PDU", "bad request", "data first", "abort first"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_stream_that_is_no_dicom_is_dropped(noise: bytes, run: Any) -> None:
    node = run(network_timeout_s=1.0)
    with socket.create_connection(("127.0.0.1", node.listener.port), DEADLINE_S) as peer:
        peer.sendall(noise)
        try:
            while peer.recv(4096):
                pass
        except ConnectionResetError:
            pass

    assert node.answers_echo()


def test_peer_that_does_not_wait_for_answers_is_hung_up_on(
    run: Any, make_dx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, go_on = run(), threading.Event()
    begun: list[None] = []
    add, begin_file = node.store.add_received, node.spool.begin

    def slowly(received: Any) -> Any:
        go_on.wait(DEADLINE_S)
        return add(received)

    def counted(*header: Any) -> Any:
        begun.append(None)
        return begin_file(*header)

    monkeypatch.setattr(node.store, "add_received", slowly)
    monkeypatch.setattr(node.spool, "begin", counted)
    association = node.associate()
    for piece in fragments(node, association, make_dx(64, 64)) * 20:
        association.dul.send_pdu(piece)

    wait_until(lambda: not association.is_established)
    go_on.set()

    assert len(begun) <= MAX_UNANSWERED
    assert node.answers_echo()


def test_silent_connections_are_hung_up_on_and_hold_nobody_up(run: Any, make_dx: Any) -> None:
    node = run(network_timeout_s=1.0)
    address = ("127.0.0.1", node.listener.port)
    silent = [socket.create_connection(address, DEADLINE_S) for _ in range(10)]

    with node.association() as association:
        assert association.send_c_store(make_dx()).Status == 0x0000

    for peer in silent:
        assert peer.recv(1) == b""
        peer.close()


def test_probes_leave_nothing_and_do_not_count_as_associations(run: Any) -> None:
    node, before = run(max_associations=1, network_timeout_s=60.0), threading.active_count()
    for _ in range(20):
        socket.create_connection(("127.0.0.1", node.listener.port), DEADLINE_S).close()

    # the last probe may be accepted only now: it holds the one place for a moment, and not until its time-out
    wait_until(node.answers_echo_now)
    wait_until(lambda: threading.active_count() <= before)
    assert node.answers_echo()


# ---- who may


def test_only_listed_callers_are_taken(run: Any) -> None:
    node = run(calling_ae_titles=("CR1", "CR2"))

    assert node.associate(ae_title="OTHER").is_rejected
    association = node.associate(ae_title="CR2")
    assert association.is_established
    association.release()


def test_log_tells_why_an_association_was_rejected(run: Any, lines: io.StringIO) -> None:
    node = run(calling_ae_titles=("CR1",))
    assert node.associate(ae_title="OTHER").is_rejected
    wait_until(lambda: "association rejected" in lines.getvalue())
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    [rejected] = [line for line in told if line["event"] == "association rejected"]
    assert rejected["calling_ae_title"] == "OTHER"
    assert rejected["reason"] == "Rejected Permanent: Calling AE title not recognised"


def test_every_title_that_was_rejected_is_told_by_its_own_name(run: Any, lines: io.StringIO) -> None:
    node = run(calling_ae_titles=("CR1",))
    for title in ("OTHER", "THIRD", "OTHER", "OTHER"):
        assert node.associate(ae_title=title).is_rejected
    wait_until(lambda: sum(node.listener.refusals.values()) == 4)
    node.listener.stop()

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    rejected = [line for line in told if line["event"] == "association rejected"]
    assert [(line["calling_ae_title"], line["count"]) for line in rejected] == [
        ("OTHER", 1),
        ("THIRD", 1),
        ("OTHER", 2),
    ]


def test_only_listed_titles_may_be_called(run: Any) -> None:
    node = run(called_ae_titles=("PAXNODE", "SECOND"))

    assert node.associate(called="OTHER").is_rejected
    for title in ("PAXNODE", "SECOND"):
        association = node.associate(called=title)
        assert association.is_established
        association.release()


def test_association_over_the_limit_is_rejected_for_now(run: Any) -> None:
    node = run(max_associations=2)
    first, second = node.associate(), node.associate()

    third = node.associate()

    assert third.is_rejected
    rejection: Any = third.acceptor.primitive
    assert (rejection.result, rejection.result_source, rejection.diagnostic) == (
        2,
        3,
        2,
    )  # transient, PS3.8 9.3.4
    first.release()
    wait_until(node.answers_echo_now)
    second.release()


# ---- starting, stopping, logging


def test_port_in_use_is_told(run: Any) -> None:
    node = run()
    other = Listener(node.settings.model_copy(update={"port": node.listener.port}), node.spool, node.store)

    place = f"127.0.0.1:{node.listener.port}"
    with pytest.raises(NodeError, match=f"cannot listen on {place}: Address already.*`paxnode check` tells"):
        other.start()


def test_stop_lets_an_object_on_its_way_end_and_takes_no_new_connection(run: Any, make_dx: Any) -> None:
    node = run()
    port = node.listener.port
    association = node.associate()
    rest = begin(node, association, make_dx(1024, 1024))
    stopping = threading.Thread(target=node.listener.stop)
    stopping.start()
    wait_until(lambda: not _is_open(port))

    for piece in rest:
        association.dul.send_pdu(piece)
    stopping.join(DEADLINE_S)

    assert not stopping.is_alive()
    assert node.job().state is State.QUEUED


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def test_stop_lets_an_answer_that_is_worked_out_go_out(
    run: Any, make_dx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, begun, go_on = run(), threading.Event(), threading.Event()
    add = node.store.add_received

    def slowly(received: Any) -> Any:
        begun.set()
        go_on.wait(DEADLINE_S)
        return add(received)

    monkeypatch.setattr(node.store, "add_received", slowly)
    association, answers = node.associate(), list[Any]()
    sending = threading.Thread(target=lambda: answers.append(association.send_c_store(make_dx())))
    sending.start()
    assert begun.wait(DEADLINE_S)
    stopping = threading.Thread(target=node.listener.stop)
    stopping.start()
    wait_until(lambda: not _is_open(node.listener.port) if node.listener.port else True)
    go_on.set()
    sending.join(DEADLINE_S)
    stopping.join(DEADLINE_S)
    assert [answer.get("Status") for answer in answers] == [0x0000]
    assert node.job().state is State.QUEUED


def test_stop_does_not_wait_for_an_idle_association(run: Any) -> None:
    node = run()
    association = node.associate()
    begun = time.monotonic()

    node.listener.stop()

    assert time.monotonic() - begun < 5
    wait_until(lambda: not association.is_established)


def test_log_tells_uids_and_statuses_and_nothing_of_the_patient(
    run: Any, make_dx: Any, lines: io.StringIO
) -> None:
    node, dataset = run(), make_dx(PatientName="Canary^Yellow", SOPInstanceUID=generate_uid())
    with node.association() as association:
        association.send_c_store(dataset)

    assert dataset.SOPInstanceUID in lines.getvalue()
    assert "0x0000" in lines.getvalue()
    assert "Canary" not in lines.getvalue()
