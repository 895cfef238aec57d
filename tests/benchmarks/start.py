"""From nothing to the first answered C-ECHO and the first result in an archive, beside other archives."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from config.settings import load_settings
from node.archive import Archive
from node.implementation import Entity
from node.probe import LIVE, told_by_node
from tests.benchmarks.figure import Figure, Spread, taken_in_turns
from tests.faults.parts import HOST, LONGEST_WAIT_S, free_port
from tests.viewers.orthanc import NotInstalledError, found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.run_bench import Bench

SAMPLE = Path(__file__).parents[2] / "node" / "sample" / "radiograph.dcm"
VERIFICATION = "1.2.840.10008.1.1"
LOOK_EVERY_S = 0.01
LIBRARIES = "import pynetdicom, pydicom, sqlalchemy"
IMPORTED = f"python -c '{LIBRARIES}'"
SIZES = {"empty": "empty folder", "existing": "a queue there"}
RESULTS = 3
"""Of the sample, with the settings of `_place`."""

COMMANDS = {
    "paxnode --help": ("node.cli", "--help"),
    "paxnode jobs list": ("node.cli", "jobs", "list"),
    "paxnode check": ("node.cli", "check"),
    "paxnode-health": ("node.probe",),
}
"""All of them end well beside a node that runs."""


def measure(bench: "Bench") -> list[Figure]:
    """Return how long the node, its commands and other archives need to start."""
    repeats = bench.of(7, 2)
    with tempfile.TemporaryDirectory() as name, Archive(Path(name) / "archive") as archive:
        folder = Path(name)
        return [*_starts(folder, archive, repeats), *_commands(folder / "commands", archive, repeats)]


# ---- the node beside other archives


@dataclass(frozen=True)
class _Beginning:
    """What a process took from its start until something was seen.

    Attributes:
        echo_s: Until the first answered C-ECHO; of a Python that imports, until it has ended.
        processor_s: Likewise, of a processor.
        result_s: Until the first result was in the archive; of a node alone.
        result_processor_s: Likewise, of a processor.
    """

    echo_s: float
    processor_s: float = 0.0
    result_s: float = 0.0
    result_processor_s: float = 0.0


def _starts(folder: Path, archive: Archive, repeats: int) -> list[Figure]:
    begun: dict[str, list[_Beginning]] = {}
    missing: dict[str, str] = {}
    for turn in range(repeats + 1):
        new = folder / f"new-{turn}"
        starts: dict[str, Callable[[], _Beginning]] = {
            "empty": partial(_node, new, archive),
            "existing": partial(_node, new, archive),
            "Orthanc": partial(_orthanc, folder / f"orthanc-{turn}"),
            "storescp": partial(_storescp, folder / f"storescp-{turn}"),
            IMPORTED: _libraries,
        }
        for name, start in starts.items():
            try:
                took = start()
            except NotInstalledError as error:
                missing[name] = str(error)
                continue
            if turn:  # the first one reads the programs off the disk
                begun.setdefault(name, []).append(took)
    return _start_figures(begun, missing)


def _start_figures(begun: Mapping[str, Sequence[_Beginning]], missing: Mapping[str, str]) -> list[Figure]:
    """Return the lines of the starts of a node, and why peers are not there."""
    echo = {name: Spread.of([each.echo_s for each in all_]) for name, all_ in begun.items()}
    first = {name: Spread.of([each.result_s for each in begun[name]]) for name in SIZES}
    of_processor = {name: _words(each.processor_s for each in begun[name]) for name in SIZES}
    of_all = {name: _words(each.result_processor_s for each in begun[name]) for name in SIZES}
    what, results = "start to the first answered C-ECHO", "start to the first result in an archive"
    return [
        *(
            Figure(
                "start",
                what,
                size,
                "s",
                echo[name],
                peer,
                echo.get(peer),
                missing.get(peer, of_processor[name]),
            )
            for name, size in SIZES.items()
            for peer in ("Orthanc", "storescp", IMPORTED)
        ),
        *(
            Figure("start", results, size, "s", first[name], "its C-ECHO", echo[name], of_all[name])
            for name, size in SIZES.items()
        ),
    ]


def _words(processor_s: Iterable[float]) -> str:
    return f"{median(processor_s):.2f} s of a processor"


@dataclass(frozen=True)
class _Place:
    """Where a node is: its folder, its settings, and the port at which it listens."""

    folder: Path
    config: Path
    port: int


def _place(folder: Path, archive: Archive) -> _Place:
    folder.mkdir(exist_ok=True)
    place = _Place(folder, folder / "node.toml", free_port())
    place.config.write_text(
        f'[node]\nhost = "{HOST}"\nport = {place.port}\ndata_dir = "{folder / "data"}"\ndisk_reserve_mb = 0\n'
        f'[web]\nport = {free_port()}\n[logging]\nformat = "console"\n'
        f'[[destination]]\nname = "archive"\nae_title = "ARCHIVE"\nhost = "{HOST}"\nport = {archive.port}\n',
        encoding="utf-8",
    )
    return place


def _serving(place: _Place) -> "AbstractContextManager[_Run]":
    command = [sys.executable, "-m", "node.cli", "serve", "--config", str(place.config)]
    return _running(command, place.folder / "log.txt")


def _node(folder: Path, archive: Archive) -> _Beginning:
    place = _place(folder, archive)
    with _serving(place) as run:
        echo_s, processor_s = _echoed(place.port, run.begun), run.processor_s()
        with _sent(place, archive):
            result_s, result_processor_s = time.perf_counter() - run.begun, run.processor_s()
    return _Beginning(echo_s, processor_s, result_s, result_processor_s)


@contextmanager
def _sent(place: _Place, archive: Archive) -> "Iterator[None]":
    """Send the sample; enter the block with its first result, and leave it with its last one."""
    image = dcmread(SAMPLE)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    seen = len(archive.counts)
    _send(image, place.port)
    assert archive.wait_for(seen + 1, LONGEST_WAIT_S), "the node delivered nothing"
    yield
    assert archive.wait_for(seen + RESULTS, LONGEST_WAIT_S), "the node delivered not everything"


def _libraries() -> _Beginning:
    begun = time.perf_counter()
    _python("-c", LIBRARIES)
    return _Beginning(time.perf_counter() - begun)


def _orthanc(folder: Path) -> _Beginning:
    program = found("Orthanc")
    folder.mkdir()
    port = free_port()
    config = folder / "orthanc.json"
    config.write_text(
        f'{{"DicomPort": {port}, "HttpPort": {free_port()}, "StorageDirectory": "{folder}", '
        f'"IndexDirectory": "{folder}", "DicomCheckCalledAet": false, "DicomAlwaysAllowEcho": true}}',
        encoding="utf-8",
    )
    with _running([program, str(config)], folder / "log.txt") as run:
        return _Beginning(_echoed(port, run.begun), run.processor_s())


def _storescp(folder: Path) -> _Beginning:
    program = found("storescp")
    folder.mkdir()
    port = free_port()
    with _running([program, "--output-directory", str(folder), str(port)], folder / "log.txt") as run:
        return _Beginning(_echoed(port, run.begun), run.processor_s())


@dataclass(frozen=True)
class _Run:
    """A program that runs, and when it was started, on the performance counter."""

    pid: int
    begun: float

    def processor_s(self) -> float:
        """Return the seconds that it had of a processor until now."""
        had = psutil.Process(self.pid).cpu_times()
        return float(had.user + had.system)


@contextmanager
def _running(command: Sequence[str], log: Path) -> "Iterator[_Run]":
    """Run a program while the block lasts."""
    with log.open("ab") as lines:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=lines, stderr=lines)
        try:
            yield _Run(process.pid, begun)
        finally:
            process.terminate()
            process.wait(60)


def _entity() -> Entity:
    entity = Entity("MODALITY")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = 10
    return entity


def _echoed(port: int, begun: float) -> float:
    """Return the seconds since then when a C-ECHO is answered, asking again and again."""
    while time.perf_counter() < begun + LONGEST_WAIT_S:
        with suppress(OSError):
            socket.create_connection((HOST, port), 1).close()
            entity = _entity()
            entity.add_requested_context(VERIFICATION)
            association = entity.associate(HOST, port, ae_title="ANY-SCP")
            if association.is_established:
                status = association.send_c_echo()
                took = time.perf_counter() - begun
                association.release()
                if "Status" in status and status.Status == 0:
                    return took
        time.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"nobody answers at port {port}")


def _send(image: Dataset, port: int) -> None:
    entity = _entity()
    entity.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
    association = entity.associate(HOST, port, ae_title="PAXNODE")
    assert association.is_established, "the node takes no images"
    assert association.send_c_store(image).Status == 0x0000
    association.release()


# ---- commands


def _commands(folder: Path, archive: Archive, repeats: int) -> list[Figure]:
    """Time commands while a node runs, and is idle, with an image in its queue."""
    place = _place(folder, archive)
    with _serving(place) as run:
        _echoed(place.port, run.begun)
        with _sent(place, archive):
            pass
        _until_it_lives(place)

        def call(words: Sequence[str]) -> Callable[[], None]:
            more = () if "--help" in words else ("--config", str(place.config))
            return partial(_python, "-m", *words, *more)

        bare, libraries, *ours = taken_in_turns(
            repeats,
            lambda: _python("-c", "pass"),
            lambda: _python("-c", LIBRARIES),
            *(call(words) for words in COMMANDS.values()),
        )
    figures = [Figure("start", IMPORTED, "", "s", libraries, "python -c pass", bare)]
    return figures + [
        Figure("start", name, "", "s", took, IMPORTED, libraries)
        for name, took in zip(COMMANDS, ours, strict=True)
    ]


def _until_it_lives(place: _Place) -> None:
    """Wait until a node answers over HTTP, too."""
    web, deadline = load_settings(place.config).web, time.monotonic() + LONGEST_WAIT_S
    while told_by_node(web, LIVE) != ():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody answers at port {web.port}")
        time.sleep(LOOK_EVERY_S)


def _python(*words: str) -> None:
    """Let a Python do something.

    Raises:
        RuntimeError: It did not end well: what it took would be the time of a failure.
    """
    command = [sys.executable, *words]
    done = subprocess.run(command, check=False, capture_output=True, timeout=LONGEST_WAIT_S, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr)[-500:]
        raise RuntimeError(f"{' '.join(words)} ended with exit status {done.returncode}: {said}")
