"""A rejection is read, also when the connection was closed before pynetdicom looked."""

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from node.implementation import Entity
from node.rejection import rejection
from tests.faults.peers import BadPeer, Manner, Order

PATIENCE_S = 20.0

pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _halves_are_thrown_away() -> Iterator[None]:
    """What pynetdicom leaves open of a rejected association is closed here, and warns in no other test."""
    yield
    gc.collect()


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[Manner], Association]:
    def ask(manner: Manner) -> Association:
        ae = Entity("PAXNODE")
        ae.add_requested_context(Verification)
        with BadPeer(tmp_path / "archive", Order(manner)) as peer:
            association = ae.associate("127.0.0.1", peer.port, ae_title="BAD")
            if association.is_established:
                association.release()
        return association

    return ask


def _wait_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the peer's answer, and the end of the connection, come before pynetdicom looks at either."""
    send = ACSE.send_request

    def send_and_wait(self: ACSE) -> None:
        send(self)
        socket, deadline = self.dul.socket, time.monotonic() + PATIENCE_S
        assert socket is not None
        socket._ready.wait(PATIENCE_S)
        while socket._is_connected and time.monotonic() < deadline:
            time.sleep(0.01)

    monkeypatch.setattr(ACSE, "send_request", send_and_wait)


@pytest.mark.parametrize(("manner", "result"), [(Manner.REJECT_TRANSIENT, 2), (Manner.REJECT_PERMANENT, 1)])
@pytest.mark.parametrize("is_late", [False, True])
def test_rejection_is_found(
    asked: Callable[[Manner], Association],
    monkeypatch: pytest.MonkeyPatch,
    manner: Manner,
    result: int,
    is_late: bool,
) -> None:
    if is_late:
        _wait_for_the_end(monkeypatch)
    association = asked(manner)
    found = rejection(association)
    assert found is not None
    assert found.result == result
    if is_late:
        assert not association.is_rejected, "pynetdicom reads it by itself now: this module is not needed"


@pytest.mark.parametrize("manner", [Manner.GOOD, Manner.CLOSE, Manner.NONSENSE])
def test_other_answers_are_no_rejection(asked: Callable[[Manner], Association], manner: Manner) -> None:
    assert rejection(asked(manner)) is None
