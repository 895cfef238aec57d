"""While the disk is at its reserve, who would store is told to come again later, and nobody else is."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from node.implementation import Entity
from node.spool import MEGABYTE


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


DISK_BYTES, RESERVE_BYTES = 12_000_000, 2 * MEGABYTE
SENDERS, EACH, SHAPE = 4, 16, (1024, 512)
IMAGE_BYTES = 2 * SHAPE[0] * SHAPE[1]
BESIDE_BYTES = 32 * IMAGE_BYTES
"""What the test's own senders hold, and the node on the way to its disk: a part of what is offered."""


def test_crowd_at_the_reserve_is_put_off_and_neither_disk_nor_memory_takes_more(
    run: Any, monkeypatch: pytest.MonkeyPatch, make_dx: Any
) -> None:
    """Four senders push 67 MB at a disk of 12 MB: what is acknowledged is there, the rest is told to wait."""
    node = run(disk_reserve_mb=RESERVE_BYTES // MEGABYTE)
    root, image = node.spool.root, make_dx(*SHAPE)
    monkeypatch.setattr(node.spool, "free_bytes", lambda: DISK_BYTES - _bytes_in(root / "objects"))

    def push(association: Association) -> list[int]:
        statuses = []
        for _ in range(EACH):
            again, again.file_meta = copy(image), copy(image.file_meta)
            again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            statuses.append(association.send_c_store(again).Status)
        return statuses

    with ExitStack() as stack:
        associations = [stack.enter_context(node.association()) for _ in range(SENDERS)]
        before = _peak_bytes_from_now()
        with ThreadPoolExecutor(SENDERS) as senders:
            statuses = Counter(status for told in senders.map(push, associations) for status in told)
        grown = _peak_bytes() - before

    assert set(statuses) == {0x0000, 0xA700}
    assert statuses.total() == SENDERS * EACH
    assert statuses[0x0000] == len(node.store.jobs()) == len(node.files())
    assert _bytes_in(root) <= DISK_BYTES - RESERVE_BYTES + SENDERS * (IMAGE_BYTES + 4096)
    assert grown < BESIDE_BYTES <= SENDERS * EACH * IMAGE_BYTES / 2


def _bytes_in(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*.dcm"):
        with suppress(FileNotFoundError):  # it was incoming a moment ago
            sizes += path.stat().st_size
    return sizes


def _peak_bytes_from_now() -> int:
    """Let the most resident memory of this process be counted anew (proc(5): clear_refs); return it."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak_bytes()


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
