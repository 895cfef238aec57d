"""While the disk is at its reserve, who would store is told to come again later, and nobody else is."""

from typing import Any

import pytest
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from node.implementation import Entity


def _asks_for(port: int, *classes: str) -> Association:
    ae = Entity("MODALITY")
    for sop_class in classes:
        ae.add_requested_context(sop_class)
    return ae.associate("127.0.0.1", port, ae_title="PAXNODE")


def test_sender_is_rejected_as_transient_until_there_is_room(
    run: Any, monkeypatch: pytest.MonkeyPatch, make_dx: Any
) -> None:
    node = run(disk_reserve_mb=1)
    with monkeypatch.context() as patch:
        patch.setattr(node.spool, "free_bytes", lambda: 0)
        rejected = node.associate()

    assert rejected.is_rejected
    answer = rejected.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (0x02, 0x03, 0x02)
    with node.association() as association:
        assert association.send_c_store(make_dx()).Status == 0x0000


@pytest.mark.parametrize("asked", [Verification, StorageCommitmentPushModel])
def test_probes_and_proofs_are_let_in(run: Any, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    node = run(disk_reserve_mb=1)
    monkeypatch.setattr(node.spool, "free_bytes", lambda: 0)

    association = _asks_for(node.listener.port, asked)
    rejected = association.is_rejected
    if association.is_established:
        association.release()

    assert not rejected
