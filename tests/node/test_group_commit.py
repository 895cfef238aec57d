"""What threads write at once is written together, and nobody goes on before its own part is."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from node.database import engine_for, upgrade
from node.group_commit import GroupCommit
from node.job_store import JobStore
from node.jobs import Admission
from tests.node.conftest import MakeReceived

PATIENCE_S = 20.0


class Disk:
    """Writes parts, but not before it may; fails on order."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.fails = False

    def write(self, parts: Sequence[int]) -> list[int]:
        self.groups.append(list(parts))
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)
        if self.fails:
            raise OSError("full")
        return [10 * part for part in parts]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _added(disk: Disk, threads: ThreadPoolExecutor) -> tuple[Future[int], list[Future[int]]]:
    """Let one part be written while five others wait; return the futures of the callers."""
    group = GroupCommit(disk.write)
    first = threads.submit(group.add, 0)
    assert disk.begun.wait(PATIENCE_S)
    others = [threads.submit(group.add, number) for number in range(1, 6)]
    _until(lambda: len(group._waiting) == len(others))
    return first, others


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = engine_for("", tmp_path)
    upgrade(engine)
    yield engine
    engine.dispose()


def test_one_who_comes_alone_is_written_alone(disk: Disk) -> None:
    disk.may_end.set()
    group = GroupCommit(disk.write)
    assert [group.add(1), group.add(2)] == [10, 20]
    assert disk.groups == [[1], [2]]


def test_those_who_wait_are_written_together(disk: Disk, threads: ThreadPoolExecutor) -> None:
    first, others = _added(disk, threads)
    assert not any(future.done() for future in (first, *others))  # nothing is durable yet
    disk.may_end.set()
    assert first.result(PATIENCE_S) == 0
    assert [future.result(PATIENCE_S) for future in others] == [10, 20, 30, 40, 50]
    assert [sorted(group) for group in disk.groups] == [[0], [1, 2, 3, 4, 5]]


def test_all_of_a_group_that_fails_are_told(disk: Disk, threads: ThreadPoolExecutor) -> None:
    disk.fails = True
    first, others = _added(disk, threads)
    disk.may_end.set()
    for future in (first, *others):
        with pytest.raises(OSError, match="full"):
            future.result(PATIENCE_S)
    disk.fails = False
    assert GroupCommit(disk.write).add(7) == 70


def test_images_that_come_together_share_a_commit(
    sqlite: Engine, make_received: MakeReceived, threads: ThreadPoolExecutor
) -> None:
    store, commits = JobStore(sqlite), list[object]()
    event.listen(sqlite, "commit", commits.append)
    received = [make_received() for _ in range(5)]
    received.append(replace(received[0], path="objects/again.dcm"))  # sent twice at once
    received.append(replace(received[0], digest="other", path="objects/ot/other.dcm"))
    with sqlite.get_execution_options()["turn"]:
        first = threads.submit(store.add_received, make_received())
        _until(lambda: store._group._turn.locked() and not store._group._waiting)  # it has begun
        others = [threads.submit(store.add_received, each) for each in received]
        _until(lambda: len(store._group._waiting) == len(received))
    assert first.result(PATIENCE_S) is Admission.NEW
    found = sorted(future.result(PATIENCE_S) for future in others)
    assert found == sorted([Admission.NEW] * 5 + [Admission.DUPLICATE, Admission.CONFLICT])
    assert len(commits) == 2
