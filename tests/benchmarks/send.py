"""Sending results: this program, pynetdicom itself and DCMTK's storescu, in turns, to the same receiver.

The receiver is DCMTK's storescp, which throws away what it gets (`--ignore`) and takes units of 16 KiB, as
many archives do. Each sending is an association of its own; what storescu needs counts its start.
"""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_context

from config.network import Destination
from node.transport import DimseTransport, Outgoing
from node.turn import TAKES_TURNS
from tests.benchmarks.figure import Figure, Spread
from tests.benchmarks.memory import forget_peak, peak_mb
from tests.benchmarks.run_bench import Bench
from tests.faults.parts import HOST, free_port, until_it_listens
from tests.viewers.orthanc import found

SOP_CLASS = DigitalXRayImageStorageForPresentation
"""One that storescu proposes without being told."""

REPEATS = 9
OURS, PYNETDICOM, STORESCU = "paxnode", "pynetdicom", "storescu"


@dataclass(frozen=True)
class Load:
    """What is sent in one association.

    Attributes:
        name: In words.
        count: How many objects.
        size: Bytes of Pixel Data of each.
    """

    name: str
    count: int
    size: int


LOADS = (
    Load("1 object of 102 MB", 1, 102_000_000),
    Load("8 objects of 6 MB", 8, 6_000_000),
    Load("16 objects of 0.1 MB", 16, 100_000),
)


@dataclass(frozen=True)
class Turn:
    """One sending.

    Attributes:
        ms: On the clock.
        processor_ms: Of the sender.
        memory_mb: How much the sender's process grew at most; 0 where it is another process.
    """

    ms: float
    processor_ms: float
    memory_mb: float = 0.0


def measure(bench: Bench) -> list[Figure]:
    """Return how long sending takes, and what it needs, for each load."""
    with tempfile.TemporaryDirectory() as name, throwing_away() as port:
        senders = {
            OURS: lambda objects: _here(lambda: _ours(port, objects)),
            PYNETDICOM: lambda objects: _here(lambda: _pynetdicom(port, objects)),
            STORESCU: lambda objects: _storescu(port, objects),
        }
        return [
            figure
            for load in LOADS
            for figure in _figures(load, _turns(_written(Path(name), load, bench), senders, bench))
        ]


def _turns(
    objects: Sequence[Outgoing], senders: dict[str, Callable[[Sequence[Outgoing]], Turn]], bench: Bench
) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {name: [] for name in senders}
    for number in range(bench.of(REPEATS) + 1):
        for name, send in senders.items():
            turn = send(objects)
            if number:  # the first warms up
                turns[name].append(turn)
    return turns


def _figures(load: Load, turns: dict[str, list[Turn]]) -> list[Figure]:
    values: tuple[tuple[str, str, Callable[[Turn], float], Sequence[str]], ...] = (
        ("send", "ms", lambda turn: turn.ms, (PYNETDICOM, STORESCU)),
        ("processors", "ms", lambda turn: turn.processor_ms, (PYNETDICOM, STORESCU)),
        ("memory", "MB", lambda turn: turn.memory_mb, (PYNETDICOM,)),
    )
    remarks = {PYNETDICOM: "in the same process", STORESCU: "a process of its own, its start counts"}
    return [
        Figure("send", what, load.name, unit, _spread(turns[OURS], value), peer, _spread(turns[peer], value),
               remarks[peer])
        for what, unit, value, peers in values
        for peer in peers
    ]  # fmt: skip


def _spread(turns: Sequence[Turn], value: Callable[[Turn], float]) -> Spread:
    return Spread.of([value(turn) for turn in turns])


def _written(folder: Path, load: Load, bench: Bench) -> list[Outgoing]:
    objects = []
    for _ in range(load.count):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = SOP_CLASS, generate_uid()
        dataset.add_new(0x7FE00010, "OB", os.urandom(bench.of(load.size // 2) * 2))
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        objects.append(Outgoing(dataset.SOPInstanceUID, path))
    return objects


@contextmanager
def throwing_away() -> Iterator[int]:
    """Yield the port of a storescp that keeps nothing; NotInstalledError where there is none."""
    port = free_port()
    command = [found("storescp"), "--fork", "--ignore", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_it_listens(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _here(send: Callable[[], None]) -> Turn:
    """Measure a sender in this process."""
    before = forget_peak()
    begun, used = time.perf_counter(), time.process_time()
    send()
    taken = time.perf_counter() - begun, time.process_time() - used
    return Turn(1000 * taken[0], 1000 * taken[1], peak_mb() - before)


def _ours(port: int, objects: Sequence[Outgoing]) -> None:
    place = Destination(name="archive", ae_title="ANY", host=HOST, port=port)
    outcomes = list(DimseTransport("PAXNODE").send(place, objects))
    if any(outcome.status for outcome in outcomes):
        raise RuntimeError("not every object was taken")


def _pynetdicom(port: int, objects: Sequence[Outgoing]) -> None:
    contexts = [build_context(SOP_CLASS, ExplicitVRLittleEndian)]
    association = AE("PAXNODE").associate(HOST, port, contexts=contexts, evt_handlers=[TAKES_TURNS])
    answers = [association.send_c_store(each.path) for each in objects]
    association.release()
    if any(answer.Status for answer in answers):
        raise RuntimeError("not every object was taken")


def _storescu(port: int, objects: Sequence[Outgoing]) -> Turn:
    command = [found("storescu"), "-R", HOST, str(port), *(str(each.path) for each in objects)]
    begun, used = time.perf_counter(), _children_s()
    subprocess.run(command, check=True)
    return Turn(1000 * (time.perf_counter() - begun), 1000 * (_children_s() - used))


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
