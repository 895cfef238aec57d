"""A worker ends every job it begins, whatever happens to it."""

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, SegmentationStorage, generate_uid
from sqlalchemy import Engine

from ai.errors import ConstantImageError, NotAChestError
from node.bell import Bell
from node.claiming import RETRY_BACKOFF
from node.database import engine_for, upgrade
from node.errors import (
    IgnoredImageError,
    OutOfSpaceError,
    RefusedImageError,
    ResultError,
    StorageError,
    UndecodableError,
    UnmatchedImageError,
)
from node.job_store import JobStore
from node.jobs import AddressedResult, Job, ReceivedObject
from node.pipeline import ResultObject
from node.spool import Spool
from node.states import State
from node.work import Keep, Made
from node.worker import FAILED_PAUSE_S, STORAGE_RETRY_S, Worker

Process = Callable[[Path], Sequence[ResultObject]]


class Bench:
    """A database and a spool with images that wait for a worker."""

    def __init__(self, folder: Path) -> None:
        self.engine: Engine = engine_for("", folder)
        upgrade(self.engine)
        self.ahead = timedelta()
        self.store = JobStore(self.engine, max_attempts=2, clock=lambda: datetime.now(UTC) + self.ahead)
        self.spool = Spool(folder).prepare()
        self.received, self.finished = Bell(), Bell()

    def receive(self) -> Job:
        """Add an image and return its job."""
        uid = generate_uid()
        incoming = self.spool.begin()
        incoming.write(uid.encode())
        kept = incoming.keep()
        received = ReceivedObject(
            uid, uid, uid, uid, ExplicitVRLittleEndian, kept.digest, kept.path, incoming.size, "TEST"
        )
        self.store.add_received(received)
        return self.store.jobs(limit=1)[0]

    def worker(
        self, process: Process, name: str = "worker", lease_s: float = 30, destinations: tuple[str, ...] = ()
    ) -> Worker:
        def work(job: Job, keep: Keep, tell: Callable[[str], None]) -> Made:
            tell("segmenting")
            made = process(self.spool.path(job.path))
            return Made(tuple(AddressedResult(keep(result), destinations) for result in made))

        return Worker(name, self.store, self.spool, work, lease_s, self.received, self.finished)

    def fail(self, worker: Worker, times: int, pass_s: float = RETRY_BACKOFF.longest_s) -> None:
        """Let a worker fail, and time pass after each failure."""
        for _ in range(times):
            assert worker.step() == FAILED_PAUSE_S, "who comes next waits for no longer"
            self.ahead += timedelta(seconds=pass_s)

    def job(self, job: Job) -> Job:
        found = self.store.job(job.id)
        assert found is not None
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data")
    yield made
    made.engine.dispose()


def _results(_path: Path) -> list[ResultObject]:
    return [
        ResultObject("SEG", _object(SegmentationStorage)),
        ResultObject("SR", _object(ComprehensiveSRStorage)),
    ]


def _object(sop_class: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _raising(error: Exception) -> Process:
    def process(_path: Path) -> Sequence[ResultObject]:
        raise error

    return process


def _until(condition: Callable[[], bool], timeout_s: float = 15) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_worker_keeps_results_and_plans_their_deliveries_in_one_go(bench: Bench) -> None:
    job = bench.receive()
    heard = bench.finished.rings
    worker = bench.worker(_results, destinations=("archive", "viewer"))
    assert worker.step() == 0.0
    assert bench.job(job).state is State.STORED
    kept = bench.store.results(job.id)
    assert [result.kind for result in kept] == ["SEG", "SR"]
    for result in kept:
        dataset = dcmread(bench.spool.path(result.path))
        assert dataset.SOPInstanceUID == result.sop_instance_uid
        assert dataset.SOPClassUID == result.sop_class_uid
    assert len(bench.store.deliveries(job.id)) == 4
    assert bench.finished.rings > heard


def test_worker_gives_the_process_the_bytes_that_were_received(bench: Bench) -> None:
    job = bench.receive()
    seen: list[bytes] = []

    def process(path: Path) -> Sequence[ResultObject]:
        seen.append(path.read_bytes())
        return []

    bench.worker(process).step()
    assert seen == [job.sop_instance_uid.encode()]
    assert bench.job(job).state is State.DONE


def test_worker_waits_when_there_is_nothing_to_do(bench: Bench) -> None:
    assert bench.worker(_results).step() > 0


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RefusedImageError("Modality is CT"), State.REFUSED),
        (NotAChestError("this looks like a hand"), State.REFUSED),
        (IgnoredImageError("rule trial: a trial"), State.IGNORED),
        (UnmatchedImageError("no rule holds for it"), State.UNMATCHED),
        (UndecodableError("the data set ends early"), State.QUARANTINED),
        (ConstantImageError("every pixel is 0"), State.QUARANTINED),
        (ResultError("a segment is empty"), State.QUARANTINED),
    ],
)
def test_image_that_cannot_become_a_result_is_put_aside_with_its_reason(
    bench: Bench, error: Exception, state: State
) -> None:
    job = bench.receive()
    bench.worker(_raising(error)).step()
    assert bench.job(job).state is state
    assert bench.job(job).reason == str(error)


def test_full_disk_gives_the_job_back_and_is_never_held_against_it(bench: Bench) -> None:
    job = bench.receive()
    worker = bench.worker(_raising(OutOfSpaceError("the disk is full")))
    for _ in range(5):
        with pytest.raises(OutOfSpaceError):
            worker.step()
        bench.ahead += timedelta(seconds=STORAGE_RETRY_S)
    assert bench.job(job).state is State.QUEUED
    assert bench.job(job).reason == "the disk is full"


def test_job_that_meets_a_full_disk_lets_others_go_first(bench: Bench) -> None:
    unlucky, next_one = bench.receive(), bench.receive()
    with pytest.raises(OutOfSpaceError):
        bench.worker(_raising(OutOfSpaceError("the disk is full"))).step()
    bench.worker(_results).step()
    assert bench.job(unlucky).state is State.QUEUED
    assert bench.job(next_one).state is State.DONE


def test_data_folder_that_is_away_costs_no_job(bench: Bench) -> None:
    job = bench.receive()
    bench.spool.set_owner("ours", 0)
    bench.spool.expect("ours")
    away = bench.spool.root.rename(bench.spool.root.with_name("away"))
    bench.spool.root.mkdir()
    worker = bench.worker(lambda path: [ResultObject("SEG", _object(str(path.stat())))])
    for _ in range(5):
        with pytest.raises(StorageError):
            worker.step()
        bench.ahead += timedelta(seconds=RETRY_BACKOFF.longest_s)
    bench.spool.root.rmdir()
    away.rename(bench.spool.root)

    assert (bench.job(job).state, bench.job(job).attempts) == (State.QUEUED, 0)


def test_job_that_fails_again_and_again_ends_as_failed_and_tells_where(bench: Bench) -> None:
    job = bench.receive()
    worker = bench.worker(_raising(ZeroDivisionError("of a patient")))
    bench.fail(worker, times=2)
    assert bench.job(job).state is State.FAILED
    assert bench.job(job).reason.startswith("ZeroDivisionError in node/test_worker.py:")
    frames = bench.job(job).trace.splitlines()
    assert re.fullmatch(r"node/test_worker\.py:\d+ process", frames[-1])
    assert re.fullmatch(r"node/worker\.py:\d+ _end", frames[0])
    assert "patient" not in bench.job(job).trace


def test_images_that_cannot_be_read_do_not_hold_up_the_one_behind_them(bench: Bench) -> None:
    bad = [bench.receive() for _ in range(8)]
    good = bench.receive()
    unreadable = {bench.spool.path(job.path) for job in bad}

    def process(path: Path) -> Sequence[ResultObject]:
        if path in unreadable:
            raise OSError(5, "Input/output error")
        return _results(path)

    worker = bench.worker(process)
    for _ in range(2 * len(bad) + 1):  # the first of them may come again before it
        bench.ahead += timedelta(seconds=worker.step())
    assert bench.job(good).state is State.DONE
    assert min(bench.job(job).attempts for job in bad) >= 1, "it is held against them, not against the disk"


def test_job_that_failed_lets_others_go_first_and_waits_longer_each_time(bench: Bench) -> None:
    bad, good = bench.receive(), bench.receive()
    bench.fail(bench.worker(_raising(ZeroDivisionError())), times=1, pass_s=RETRY_BACKOFF.first_s / 2 - 1)
    bench.worker(_results).step()
    assert bench.job(bad).state is State.QUEUED
    assert bench.job(good).state is State.DONE
    assert bench.worker(_results).step() > 0  # it still waits


def test_stage_is_noted_while_the_work_goes_on_and_forgotten_at_its_end(bench: Bench) -> None:
    job = bench.receive()

    def noted(path: Path) -> Sequence[ResultObject]:
        assert _until(lambda: bench.job(job).trace == "while segmenting")
        return _results(path)

    bench.worker(noted).step()
    assert (bench.job(job).state, bench.job(job).trace) == (State.DONE, "")


def test_worker_goes_on_after_a_job_that_failed(bench: Bench) -> None:
    bad, good = bench.receive(), bench.receive()

    def process(path: Path) -> Sequence[ResultObject]:
        if path.read_bytes() == bad.sop_instance_uid.encode():
            raise ZeroDivisionError
        return _results(path)

    worker = bench.worker(process)
    worker.loop.start()
    assert _until(lambda: bench.job(good).state is State.DONE)
    worker.loop.ask_to_stop()
    assert worker.loop.join(5)
    assert bench.job(bad).state is State.QUEUED


def test_worker_wakes_when_an_image_was_received(bench: Bench) -> None:
    worker = bench.worker(_results)
    worker.loop.start()
    job = bench.receive()
    bench.received.ring()
    assert _until(lambda: bench.job(job).state is State.DONE)
    worker.loop.ask_to_stop()
    assert worker.loop.join(5)


def test_lease_is_renewed_as_long_as_a_job_takes(bench: Bench) -> None:
    job = bench.receive()
    lease_s = 0.6

    def slow(path: Path) -> Sequence[ResultObject]:
        first = bench.job(job).lease_until
        assert first is not None
        assert _until(lambda: (bench.job(job).lease_until or first) > first)
        assert _until(lambda: time.monotonic() > begun + 2 * lease_s)
        assert bench.store.claim("another", lease_s) is None
        return _results(path)

    begun = time.monotonic()
    bench.worker(slow, lease_s=lease_s).step()
    assert bench.job(job).state is State.DONE


def test_job_of_a_worker_that_died_is_taken_over(bench: Bench) -> None:
    job = bench.receive()
    assert bench.store.claim("died", 0.2) is not None
    worker = bench.worker(_results)
    assert worker.step() > 0
    assert _until(lambda: worker.step() >= 0 and bench.job(job).state is State.DONE)


def test_worker_that_lost_its_lease_changes_nothing(bench: Bench) -> None:
    job = bench.receive()

    def lose_it(path: Path) -> Sequence[ResultObject]:
        held = bench.job(job)
        bench.store.give_back(held.id, str(held.lease_owner), "taken away")
        bench.store.claim("another", 30)
        return _results(path)

    assert bench.worker(lose_it).step() == 0.0
    assert bench.job(job).lease_owner == "another"
    assert bench.store.results(job.id) == []


def test_stopping_worker_ends_its_job(bench: Bench) -> None:
    job, inside, go_on = bench.receive(), threading.Event(), threading.Event()

    def slow(path: Path) -> Sequence[ResultObject]:
        inside.set()
        go_on.wait(10)
        return _results(path)

    worker = bench.worker(slow)
    worker.loop.start()
    assert inside.wait(5)
    worker.loop.ask_to_stop()
    go_on.set()
    assert worker.loop.join(5)
    assert bench.job(job).state is State.DONE


def test_job_that_takes_too_long_to_end_is_given_back_and_its_late_end_changes_nothing(bench: Bench) -> None:
    job, inside, go_on = bench.receive(), threading.Event(), threading.Event()

    def endless(path: Path) -> Sequence[ResultObject]:
        inside.set()
        go_on.wait(10)
        return _results(path)

    worker = bench.worker(endless)
    worker.loop.start()
    assert inside.wait(5)
    worker.loop.ask_to_stop()
    assert not worker.loop.join(0.05)
    worker.give_back()
    assert bench.job(job).state is State.QUEUED
    assert bench.job(job).attempts == 0
    go_on.set()
    assert worker.loop.join(5)
    assert bench.job(job).state is State.QUEUED
    worker.give_back()  # nothing is in hand now


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RefusedImageError("Modality 'CT': not a radiograph"), "Modality '...': not a radiograph"),
        (UndecodableError("the pixels (RLE Lossless) cannot be decoded: CANARY"), None),
    ],
)
def test_log_tells_why_a_job_ended_without_what_the_image_says(
    bench: Bench, lines: io.StringIO, error: Exception, reason: str | None
) -> None:
    job = bench.receive()
    bench.worker(_raising(error)).step()
    [told] = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert told["reason"] == (reason or "the pixels (RLE Lossless) cannot be decoded")
    assert (told["event"], told["sop_instance_uid"]) == ("job ended", job.sop_instance_uid)
