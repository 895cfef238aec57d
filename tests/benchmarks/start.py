"""From nothing to the first answered C-ECHO and the first result in an archive, beside other archives."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from node.archive import Archive
from node.implementation import Entity
from tests.benchmarks.figure import Figure, Spread, taken_in_turns
from tests.faults.parts import HOST, LONGEST_WAIT_S, free_port
from tests.viewers.orthanc import found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.run_bench import Bench

SAMPLE = Path(__file__).parents[2] / "node" / "sample" / "radiograph.dcm"
VERIFICATION = "1.2.840.10008.1.1"
LOOK_EVERY_S = 0.01
LIBRARIES = "import pynetdicom, pydicom, sqlalchemy"
COMMANDS = {
    "paxnode --help": ("node.cli", "--help"),
    "paxnode jobs list": ("node.cli", "jobs", "list"),
    "paxnode check": ("node.cli", "check"),
    "paxnode-health": ("node.probe",),
}


def measure(bench: "Bench") -> list[Figure]:
    """Return how long the node, its commands and other archives need to start."""
    repeats = bench.of(7, 2)
    with tempfile.TemporaryDirectory() as name, Archive(Path(name) / "archive") as archive:
        folder = Path(name)
        return [*_starts(folder, archive, repeats), *_commands(folder, repeats)]


# ---- the node beside other archives


@dataclass(frozen=True)
class _Beginning:
    """What a process took from its start until something was seen.

    Attributes:
        echo_s: Until the first answered C-ECHO.
        processor_s: Likewise, of a processor.
        result_s: Until the first result was in the archive; of a node alone.
        result_processor_s: Likewise, of a processor.
    """

    echo_s: float
    processor_s: float
    result_s: float = 0.0
    result_processor_s: float = 0.0


def _starts(folder: Path, archive: Archive, repeats: int) -> list[Figure]:
    begun: dict[str, list[_Beginning]] = {}
    for turn in range(repeats + 1):
        new = folder / f"new-{turn}"
        for name, start in {
            "empty": partial(_node, new, archive),
            "existing": partial(_node, new, archive),
            "Orthanc": partial(_orthanc, folder / f"orthanc-{turn}"),
            "storescp": partial(_storescp, folder / f"storescp-{turn}"),
        }.items():
            took = start()
            if turn:  # the first one reads the programs off the disk
                begun.setdefault(name, []).append(took)
    [libraries] = taken_in_turns(repeats, lambda: _python("-c", LIBRARIES))
    echo = {name: Spread.of([each.echo_s for each in all_]) for name, all_ in begun.items()}
    first = {name: Spread.of([each.result_s for each in begun[name]]) for name in ("empty", "existing")}
    of_processor = {name: _words(each.processor_s for each in begun[name]) for name in first}
    of_all = {name: _words(each.result_processor_s for each in begun[name]) for name in first}
    what, size = "start to the first answered C-ECHO", {"empty": "empty folder", "existing": "a queue there"}
    figures = [
        Figure("start", what, size[name], "s", echo[name], peer, theirs, of_processor[name])
        for name in size
        for peer, theirs in (
            ("Orthanc", echo["Orthanc"]),
            ("storescp", echo["storescp"]),
            (f"python -c '{LIBRARIES}'", libraries),
        )
    ]
    results = "start to the first result in an archive"
    return [
        *figures,
        *(
            Figure("start", results, size[name], "s", first[name], "its C-ECHO", echo[name], of_all[name])
            for name in size
        ),
    ]


def _words(processor_s: Iterable[float]) -> str:
    return f"{median(processor_s):.2f} s of a processor"


def _node(folder: Path, archive: Archive) -> _Beginning:
    folder.mkdir(exist_ok=True)
    port, config = free_port(), folder / "node.toml"
    config.write_text(
        f'[node]\nhost = "{HOST}"\nport = {port}\ndata_dir = "{folder / "data"}"\ndisk_reserve_mb = 0\n'
        f'[web]\nport = {free_port()}\n[logging]\nformat = "console"\n'
        f'[[destination]]\nname = "archive"\nae_title = "ARCHIVE"\nhost = "{HOST}"\nport = {archive.port}\n',
        encoding="utf-8",
    )
    image = dcmread(SAMPLE)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    seen = len(archive.counts)
    command = [sys.executable, "-m", "node.cli", "serve", "--config", str(config)]
    with _running(command, folder / "log.txt") as run:
        echo_s = _echoed(port, run.begun)
        processor_s = run.processor_s()
        _send(image, port)
        assert archive.wait_for(seen + 1, LONGEST_WAIT_S), "the node delivered nothing"
        result_s = time.perf_counter() - run.begun
        result_processor_s = run.processor_s()
        assert archive.wait_for(seen + 3, LONGEST_WAIT_S), "the node delivered not everything"
    return _Beginning(echo_s, processor_s, result_s, result_processor_s)


def _orthanc(folder: Path) -> _Beginning:
    folder.mkdir()
    port = free_port()
    config = folder / "orthanc.json"
    config.write_text(
        f'{{"DicomPort": {port}, "HttpPort": {free_port()}, "StorageDirectory": "{folder}", '
        f'"IndexDirectory": "{folder}", "DicomCheckCalledAet": false, "DicomAlwaysAllowEcho": true}}',
        encoding="utf-8",
    )
    with _running([found("Orthanc"), str(config)], folder / "log.txt") as run:
        return _Beginning(_echoed(port, run.begun), run.processor_s())


def _storescp(folder: Path) -> _Beginning:
    folder.mkdir()
    port = free_port()
    command = [found("storescp"), "--output-directory", str(folder), str(port)]
    with _running(command, folder / "log.txt") as run:
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


def _commands(folder: Path, repeats: int) -> list[Figure]:
    config = folder / "commands.toml"
    config.write_text(
        f'[node]\nport = {free_port()}\ndata_dir = "{folder / "commands"}"\ndisk_reserve_mb = 0\n'
        f"[web]\nport = {free_port()}\n",
        encoding="utf-8",
    )

    def call(words: Sequence[str]) -> Callable[[], None]:
        more = () if "--help" in words else ("--config", str(config))
        return lambda: _python("-m", *words, *more)

    bare, libraries, *ours = taken_in_turns(
        repeats,
        lambda: _python("-c", "pass"),
        lambda: _python("-c", LIBRARIES),
        *(call(words) for words in COMMANDS.values()),
    )
    figures = [Figure("start", f"python -c '{LIBRARIES}'", "", "s", libraries, "python -c pass", bare)]
    return figures + [
        Figure("start", name, "", "s", took, f"python -c '{LIBRARIES}'", libraries)
        for name, took in zip(COMMANDS, ours, strict=True)
    ]


def _python(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=False, capture_output=True, timeout=LONGEST_WAIT_S)
