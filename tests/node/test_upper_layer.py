"""Data comes in however it is cut, nonsense ends the association, and who has nothing to do rests."""

import threading
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from node.ps38 import FRAGMENT_HEADER
from node.turn import RungTurn
from node.upper_layer import PDU_HEADER, UpperLayer
from tests.node.test_listener_peers import fragments, wait_until

WATCHED_S = 0.5
MOST_LOOKS = 20
"""Of each thread in that time; one that polled would look 500 times."""


def _pdus(primitives: list[P_DATA]) -> list[bytes]:
    return [P_DATA_TF(primitive).encode() for primitive in primitives]


def _in_one(pdus: list[bytes]) -> bytes:
    """Return all their fragments in one PDU."""
    content = b"".join(pdu[PDU_HEADER.size :] for pdu in pdus)
    return PDU_HEADER.pack(4, len(content)) + content


def _cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[begin : begin + size] for begin in range(0, len(content), size))


@pytest.mark.parametrize("cut", ["as they are", "in small pieces", "all at once", "all in one PDU"])
def test_image_is_kept_however_its_bytes_come(cut: str, run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx(64, 64)
    association = node.associate()
    pdus = _pdus(fragments(node, association, dataset))
    pieces = {
        "as they are": pdus,
        "in small pieces": list(chain.from_iterable(_cut(pdu, 11) for pdu in pdus)),
        "all at once": [b"".join(pdus)],
        "all in one PDU": [_in_one(pdus)],
    }[cut]

    for piece in pieces:
        association.dul.socket.socket.sendall(piece)

    wait_until(lambda: node.listener.traffic.counts.answers != {})
    [job] = node.store.jobs()
    assert node.spool.path(job.path).read_bytes().endswith(node.explicit(dataset))
    association.release()


FRAGMENT = FRAGMENT_HEADER.pack(102, 1, 0) + bytes(100)


@pytest.mark.parametrize(
    "content",
    [
        FRAGMENT + bytes(3),
        FRAGMENT[:-1],
        FRAGMENT_HEADER.pack(1, 1, 0) + bytes(100_000),
        FRAGMENT_HEADER.pack(0xFFFFFFFF, 1, 0) + bytes(100_000),
        FRAGMENT_HEADER.pack(102, 1, 3) + bytes(100),
    ],
    ids=["short rest", "one byte is missing", "no control header", "endless", "a command within"],
)
def test_nonsense_within_a_data_set_ends_the_association(content: bytes, run: Any, make_dx: Any) -> None:
    node = run()
    association = node.associate()
    pdus = _pdus(fragments(node, association, make_dx()))
    assert len(pdus) > 3  # so that two are the command and not all of the data set
    for pdu in pdus[:2]:
        association.dul.socket.socket.sendall(pdu)
    association.dul.socket.socket.sendall(PDU_HEADER.pack(4, len(content)) + content)

    wait_until(lambda: not association.is_established)
    wait_until(lambda: node.files() == [])
    assert node.store.jobs() == []
    assert node.answers_echo()


def test_who_has_nothing_to_do_rests(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    wait, rest = UpperLayer._wait, RungTurn.wait

    def watched_wait(self: UpperLayer, *inflow: Any) -> None:
        looks.append("upper layer")
        wait(self, *inflow)

    def watched_rest(self: RungTurn, timeout: float | None = None) -> bool:
        looks.append("association")
        return rest(self, timeout)

    monkeypatch.setattr(UpperLayer, "_wait", watched_wait)
    monkeypatch.setattr(RungTurn, "wait", watched_rest)
    with run().association() as association:
        assert association.send_c_echo().Status == 0x0000
        looks.clear()
        time.sleep(WATCHED_S)
        found = {each: looks.count(each) for each in ("upper layer", "association")}
        assert association.send_c_echo().Status == 0x0000
    assert all(0 < count < MOST_LOOKS for count in found.values())


def test_memory_of_a_connection_goes_when_nothing_comes(run: Any, make_dx: Any) -> None:
    node = run()
    with node.association() as association:
        assert association.send_c_store(make_dx()).Status == 0x0000
        [accepted] = node.listener._associations
        wait_until(lambda: len(accepted.dul.socket._buffer) == 0)
        assert association.send_c_store(make_dx()).Status == 0x0000


def test_thread_that_was_rung_for_passes_at_once_and_another_time_waits() -> None:
    turn, passed = RungTurn(threading.Thread()), threading.Event()  # type: ignore[arg-type]

    def pass_by() -> None:
        turn.wait()
        passed.set()

    turn.wait()  # to look once
    turn.clear()
    turn.ring()
    thread = threading.Thread(target=pass_by)
    thread.start()
    assert not passed.wait(0.05)  # it may not pass
    turn.set()
    assert passed.wait(20)
    thread.join()
