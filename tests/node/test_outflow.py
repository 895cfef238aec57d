"""Data sets go out as they lie in their files, in units that a peer takes, never whole in memory."""

import errno
import gc
import os
import socket
import struct
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pynetdicom import build_context
from pynetdicom.dsutils import split_dataset
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from config.settings import Destination
from node.archive import Archive
from node.implementation import application_entity
from node.outcome import Outcome, Verdict
from node.outflow import BATCH_BYTES, LONGEST_UNIT, DataSetStream
from node.transport import DimseTransport, Outgoing
from tests.faults.peers import BadPeer, Manner, Order, written_object

# as in test_bad_peers: what pynetdicom's archive leaves open of an object that broke off
pytestmark = [
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

CONTEXT_ID = 5
START = 100
"""Bytes before the data set, in files of the first tests."""

PATIENCE_S = (1.0, 4.0, 16.0)
"""Timeouts to try one after the other: on a busy machine even a willing peer takes longer than the first."""


@pytest.fixture
def _halves_are_thrown_away() -> Iterator[None]:
    yield
    gc.collect()


LENGTHS = (0, 2, 1000, 16_376, 16_378, 16_380, BATCH_BYTES - 2, BATCH_BYTES, 3 * BATCH_BYTES + 6)
TAKEN = (0, 8, 128, 16_384, 16_385, 131_072, 1 << 28)
"""Lengths of units that peers take."""


def _units(batch: memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield length and content of each unit, which has one fragment of the context."""
    while batch:
        kind, length, item_length, context_id, control = struct.unpack_from(">BxLLBB", batch)
        assert (kind, context_id, item_length) == (4, CONTEXT_ID, length - 4)
        yield length, bytes([control]) + batch[12 : 6 + length]
        batch = batch[6 + length :]


@pytest.mark.parametrize("taken", TAKEN)
def test_units_hold_the_data_set_in_lengths_that_the_peer_takes(tmp_path: Path, taken: int) -> None:
    for length in LENGTHS if taken > 8 or not taken else LENGTHS[:3]:
        content = os.urandom(length)
        path = tmp_path / f"{length}"
        path.write_bytes(bytes(START) + content)
        file = path.open("rb", buffering=0)
        file.seek(START)
        stream = DataSetStream(file, CONTEXT_ID, taken)
        units: list[tuple[int, bytes]] = []
        while not stream.is_done:
            units += _units(stream.rest())
            stream.sent(len(stream.rest()))
        stream.close()
        assert b"".join(fragment[1:] for _, fragment in units) == content
        assert max(length for length, _ in units) <= min(taken or LONGEST_UNIT, LONGEST_UNIT)
        assert [fragment[0] for _, fragment in units] == [0] * (len(units) - 1) + [2]
        assert all(len(fragment) % 2 == 1 for _, fragment in units), "a fragment is even, its header apart"


def test_file_that_became_shorter_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.dcm"
    path.write_bytes(bytes(3 * BATCH_BYTES))
    stream = DataSetStream(path.open("rb", buffering=0), CONTEXT_ID, 16_384)
    stream.sent(len(stream.rest()))
    os.truncate(path, 2 * BATCH_BYTES)
    stream.sent(len(stream.rest()))
    with pytest.raises(OSError, match="not be read to its end"):
        stream.rest()
    assert stream.failure is not None
    stream.close()


def _written(folder: Path, size: int) -> Outgoing:
    return written_object(folder, os.urandom(size))


def _sent(port: int, objects: Sequence[Outgoing], timeout_s: float = 20) -> list[Outcome]:
    place = Destination(name="archive", ae_title="ARCHIVE", host="127.0.0.1", port=port, timeout_s=timeout_s)
    return list(DimseTransport("PAXNODE").send(place, objects))


def test_large_object_arrives_whole_and_small_ones_after_it(tmp_path: Path) -> None:
    objects = [_written(tmp_path, size) for size in (5_000_000, 10, 2_000_000)]
    with Archive(tmp_path / "archive") as archive:
        outcomes = _sent(archive.port, objects)
        arrived = {uid: archive.path(uid) for uid in archive.counts}
    assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 3
    for each in objects:
        _, start = split_dataset(each.path)
        _, begin = split_dataset(arrived[each.sop_instance_uid])
        assert arrived[each.sop_instance_uid].read_bytes()[begin:] == each.path.read_bytes()[start:]


@pytest.mark.usefixtures("_halves_are_thrown_away")
def test_disk_that_fails_in_the_middle_is_no_fault_of_the_peers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [_written(tmp_path, 4 * BATCH_BYTES), _written(tmp_path, 10)]
    readv, calls = os.readv, iter(range(100))

    def failing(descriptor: int, pieces: Sequence[memoryview]) -> int:
        if next(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return readv(descriptor, pieces)

    monkeypatch.setattr(os, "readv", failing)
    with Archive(tmp_path / "archive") as archive:
        begun = time.monotonic()
        outcomes = _sent(archive.port, objects)
        assert time.monotonic() - begun < 10, "nobody waits for an answer to half an object"
        again = _sent(archive.port, objects)
        kept = archive.counts
    assert [(o.verdict, o.ours, o.unanswered) for o in outcomes] == [
        (Verdict.TRANSIENT, True, False), (Verdict.UNSENT, True, False),
    ]  # fmt: skip
    assert "cannot be read or encoded (Input/output error)" in outcomes[0].reason
    assert [o.verdict for o in again] == [Verdict.STORED] * 2
    assert set(kept.values()) == {1}, "half an object is not kept"


@pytest.mark.usefixtures("_halves_are_thrown_away")
def test_large_object_for_a_peer_that_does_not_read_is_not_held_in_memory(tmp_path: Path) -> None:
    outgoing = _written(tmp_path, 20_000_000)
    with BadPeer(tmp_path / "archive", Order(Manner.STALL)) as peer:
        for timeout_s in PATIENCE_S:
            tracemalloc.start()
            [outcome] = _sent(peer.port, [outgoing], timeout_s)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            if outcome.verdict is Verdict.TRANSIENT:
                break
    assert outcome.verdict is Verdict.TRANSIENT
    assert most < 5_000_000


def test_neither_side_waits_for_a_delayed_acknowledgement(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        association = application_entity("PAXNODE").associate(
            "127.0.0.1", archive.port, contexts=[build_context(Verification)], ae_title="ARCHIVE"
        )
        assert association.send_c_echo().Status == 0
        assert association.dul.socket is not None
        connection = association.dul.socket.socket
        assert isinstance(connection, socket.socket)
        options = [
            connection.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_NODELAY, socket.TCP_QUICKACK)
        ]
        association.release()
    assert options == [1, 1]
