"""No answer is lost to pynetdicom's own thread, however late that thread is."""

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from node.implementation import Entity
from node.turn import RungTurn, Turn

PATIENCE_S = 20.0


@pytest.fixture
def association() -> Any:
    return SimpleNamespace(_is_paused=True)


@pytest.fixture
def turn(association: Any) -> Turn:
    return Turn(cast("Association", association))


def test_who_passes_rests_no_longer(turn: Turn, association: Any) -> None:
    turn.set()
    assert turn.is_set()
    assert turn.wait()
    assert not association._is_paused


def test_who_waits_rests_until_it_may_pass(turn: Turn, association: Any) -> None:
    turn.clear()
    assert not turn.is_set()
    assert not turn.wait(timeout=0.01)
    assert association._is_paused
    passed: list[bool] = []
    thread = threading.Thread(target=lambda: passed.append(turn.wait()))
    thread.start()
    turn.set()
    thread.join(PATIENCE_S)
    assert passed == [True]
    assert not association._is_paused


@pytest.mark.parametrize("kind", [Turn, RungTurn])
def test_word_of_one_who_rests_cannot_be_taken_back_by_others(kind: type[Turn], association: Any) -> None:
    """As pynetdicom does when it has served an N-EVENT-REPORT: whoever waits for the word hung for ever."""
    turn = kind(cast("Association", association))
    turn.clear()
    thread = threading.Thread(target=turn.wait)
    thread.start()
    for _ in range(2):
        association._is_paused = False
        turn.set()
        turn.clear()
        until = time.monotonic() + PATIENCE_S
        while thread.is_alive() and not association._is_paused:
            assert time.monotonic() < until
            time.sleep(0.001)
    turn.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_answer_is_heard_though_the_thread_was_on_its_way(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread stands still after the checkpoint, and we after sending: the answer is there before."""
    wait = Turn.wait

    def pass_slowly(self: Turn, timeout: float | None = None) -> bool:
        passes = wait(self, timeout)
        if cast("Association", threading.current_thread()).is_requestor:
            time.sleep(0.05)
        return passes

    send = DIMSEServiceProvider.send_msg

    def send_and_rest(self: DIMSEServiceProvider, *message: Any) -> None:
        send(self, *message)
        time.sleep(0.1)

    monkeypatch.setattr(Turn, "wait", pass_slowly)
    monkeypatch.setattr(DIMSEServiceProvider, "send_msg", send_and_rest)
    ae = Entity("MODALITY")
    ae.dimse_timeout = 5
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", run().listener.port, ae_title="PAXNODE")
    try:
        assert [association.send_c_echo().get("Status") for _ in range(10)] == [0x0000] * 10
    finally:
        association.release()
