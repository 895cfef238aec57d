"""What threads write at once is written together, and nobody goes on before its own part is."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select

from node.database import engine_for, identities, job_events, jobs, upgrade
from node.group_commit import GroupCommit
from node.job_store import JobStore
from node.jobs import Admission, Identifiers
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


def _added(
    group: GroupCommit[int, int], disk: Disk, threads: ThreadPoolExecutor
) -> tuple[Future[int], list[Future[int]]]:
    """Let one part be written while five others wait; return the futures of the callers."""
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
    group = GroupCommit(disk.write)
    first, others = _added(group, disk, threads)
    assert not any(future.done() for future in (first, *others))  # nothing is durable yet
    disk.may_end.set()
    assert first.result(PATIENCE_S) == 0
    assert [future.result(PATIENCE_S) for future in others] == [10, 20, 30, 40, 50]
    assert [sorted(parts) for parts in disk.groups] == [[0], [1, 2, 3, 4, 5]]


def test_all_of_a_group_that_fails_are_told(disk: Disk, threads: ThreadPoolExecutor) -> None:
    group = GroupCommit(disk.write)
    disk.fails = True
    first, others = _added(group, disk, threads)
    disk.may_end.set()
    for future in (first, *others):
        with pytest.raises(OSError, match="full"):
            future.result(PATIENCE_S)
    disk.fails = False
    assert group.add(7) == 70


def test_whoever_is_written_waits_for_no_later_group(threads: ThreadPoolExecutor) -> None:
    gates, groups = [threading.Event() for _ in range(3)], list[list[int]]()

    def write(parts: Sequence[int]) -> Sequence[int]:
        groups.append(list(parts))
        assert gates[len(groups) - 1].wait(PATIENCE_S)
        return parts

    group = GroupCommit(write)
    first = threads.submit(group.add, 0)
    _until(lambda: len(groups) == 1)
    second = [threads.submit(group.add, part) for part in (1, 2)]
    _until(lambda: len(group._waiting) == 2)
    gates[0].set()
    _until(lambda: len(groups) == 2)
    third = threads.submit(group.add, 3)
    _until(lambda: len(group._waiting) == 1)
    gates[1].set()
    _until(lambda: len(groups) == 3)
    assert [future.result(PATIENCE_S) for future in (first, *second)] == [0, 1, 2]
    assert not third.done()
    gates[2].set()
    assert third.result(PATIENCE_S) == 3


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
        _until(lambda: store._group._is_writing and not store._group._waiting)  # it has begun
        others = [threads.submit(store.add_received, each) for each in received]
        _until(lambda: len(store._group._waiting) == len(received))
    assert first.result(PATIENCE_S) is Admission.NEW
    found = sorted(future.result(PATIENCE_S) for future in others)
    assert found == sorted([Admission.NEW] * 5 + [Admission.DUPLICATE, Admission.CONFLICT])
    assert len(commits) == 2


def test_what_belongs_to_an_image_of_a_group_stays_with_it(
    store: JobStore, engine: Engine, make_received: MakeReceived
) -> None:
    patients, reasons = ["P-1", "P-2", "P-3"], ["the SOP Instance UID is no UID", "", ""]
    received = [
        replace(make_received(), identifiers=Identifiers(patient_id=patient), quarantine_reason=reason)
        for patient, reason in zip(patients, reasons, strict=True)
    ]
    found = store._add_all([*received, replace(received[2], path="objects/again.dcm")])
    assert found == [Admission.QUARANTINED, Admission.NEW, Admission.NEW, Admission.DUPLICATE]
    columns = (
        jobs.c.sop_instance_uid,
        jobs.c.path,
        jobs.c.reason,
        job_events.c.reason,
        identities.c.patient_id,
    )
    query = select(*columns).select_from(jobs).join(job_events).join(identities)
    with engine.connect() as connection:
        rows = sorted(tuple(row) for row in connection.execute(query))
    assert rows == [
        (each.sop_instance_uid, each.path, reason, reason, patient)
        for each, reason, patient in zip(received, reasons, patients, strict=True)
    ]
