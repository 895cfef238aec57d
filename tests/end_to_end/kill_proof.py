"""Kills a node again and again under a stream of images and proves that nothing was lost: `make kill`.

A modality sends every image until it is acknowledged. The node, a process of its own, is killed with
SIGKILL at random moments and started again. In the end the archive must hold exactly the results that were
computed here, apart from the node, from the same images: each image's SEG and SR under their deterministic
UIDs, and nothing else.
"""

import argparse
import importlib.util
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pynetdicom import AE
from rich.console import Console
from rich.table import Table

from ai.stand_in import StandInSegmenter
from config.settings import load_settings
from node.archive import Archive
from node.database import engine_for
from node.job_store import JobStore
from node.logs import configure_logs
from node.options import options_of
from node.pipeline import process
from node.states import State

HOST = "127.0.0.1"
RESULTS_PER_IMAGE = 3  # SEG and two reports
LONGEST_WAIT_S = 600.0
STARTING_SHARE = 0.2  # of the kills come at any moment after the start, the others once it listens
SETTINGS = """
[node]
host = "{host}"
port = {port}
data_dir = "{data}"
disk_reserve_mb = 0
[model]
bundle = "stand-in"
[worker]
lease_s = 5.0
[delivery]
first_retry_s = 0.2
longest_retry_s = 2.0
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "{host}"
port = {archive_port}
timeout_s = 10.0
"""


@dataclass
class Modality:
    """Sends images one after the other, each until it is acknowledged.

    Attributes:
        port: The node's.
        images: Files.
        released: How many of them may be sent by now.
        acknowledged: SOP Instance UIDs answered with success.
        attempts: C-STOREs begun, also those that were not answered.
    """

    port: int
    images: Sequence[Path]
    released: int = 0
    acknowledged: list[str] = field(default_factory=list)
    attempts: int = 0

    def run(self) -> None:
        """Send everything."""
        for number, path in enumerate(self.images):
            dataset = dcmread(path)
            while number >= self.released or not self._sent(dataset):
                time.sleep(0.1)
            self.acknowledged.append(dataset.SOPInstanceUID)

    def _sent(self, dataset: Dataset) -> bool:
        ae = AE("MODALITY")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 10
        ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = ae.associate(HOST, self.port, ae_title="PAXNODE")
        if not association.is_established:
            return False
        self.attempts += 1
        try:
            answer = association.send_c_store(dataset)
        except (OSError, RuntimeError, ValueError):
            return False
        finally:
            association.release()
        return getattr(answer, "Status", None) == 0x0000


class NodeProcess:
    """The node as an admin runs it."""

    def __init__(self, config: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "node.cli", "serve", "--config", str(config)]
        self._log = log
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start it; it needs some seconds before it listens."""
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log, stdout=log)

    def kill(self) -> None:
        """End it without warning, wherever it is."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


@dataclass(frozen=True)
class Findings:
    """What the proof compares."""

    expected: frozenset[str]
    arrived: frozenset[str]
    changed: tuple[str, ...]  # came twice with different bytes
    resent: int
    unacknowledged: int
    unfinished: int
    repeated_by_modality: int

    @property
    def holds(self) -> bool:
        """Whether every acknowledged image has its results at the archive, and nothing else is there."""
        whole = self.expected == self.arrived and not self.changed
        return whole and not self.unacknowledged and not self.unfinished


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
    return port


def until_it_listens(port: int) -> bool:
    """Wait until something listens there; tell whether it does."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.05)
    return False


def write_images(folder: Path, count: int) -> list[Path]:
    """Write synthetic DX images of chests, each with its own pixels and identity."""
    conftest = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("shared_conftest", conftest)
    assert spec is not None
    assert spec.loader is not None
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    folder.mkdir()
    paths = []
    for number in range(count):
        path = folder / f"{number:03}.dcm"
        dataset = shared._dx(rows=256 + 8 * (number % 5), columns=224 + number)
        dataset.PatientID = f"SYNTHETIC-{number}"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def expected_uids(images: Sequence[Path], config: Path) -> frozenset[str]:
    """Return the UIDs that the results must have, computed without the node."""
    settings = load_settings(config)
    options = options_of(settings.profile_named(""), settings.results)
    segmenter = StandInSegmenter()
    results = [result for path in images for result in process(path, segmenter, options).results]
    return frozenset(str(result.dataset.SOPInstanceUID) for result in results)


def unfinished_jobs(config: Path) -> int:
    """Return how many jobs of the node are not done."""
    settings = load_settings(config)
    engine = engine_for(settings.database.url.get_secret_value(), settings.node.data_dir)
    jobs = JobStore(engine).jobs(limit=10_000)
    engine.dispose()
    return sum(job.state is not State.DONE for job in jobs)


@dataclass
class Proof:
    """One run of the proof in a folder of its own."""

    folder: Path
    images: int
    kills: int
    seed: int
    console: Console
    longest_life_s: float

    def run(self) -> Findings:
        """Stream, kill, wait, compare."""
        paths = write_images(self.folder / "images", self.images)
        with Archive(self.folder / "archive") as archive:
            config = self._write_config(free_port(), archive.port)
            port = load_settings(config).node.port
            modality = Modality(port, paths)
            stream = threading.Thread(target=modality.run, daemon=True)
            node = NodeProcess(config, self.folder / "node.log")
            stream.start()
            self._kill_often(node, modality, archive)
            modality.released = self.images
            self._wait_for_the_end(stream, archive, config)
            status = node.stop()
            self.console.print(f"node asked to stop: exit status {status}, {node.starts} starts in all")
            return self._findings(modality, archive, paths, config)

    def _write_config(self, port: int, archive_port: int) -> Path:
        config = self.folder / "node.toml"
        data = self.folder / "data"
        config.write_text(SETTINGS.format(host=HOST, port=port, data=data, archive_port=archive_port))
        return config

    def _kill_often(self, node: NodeProcess, modality: Modality, archive: Archive) -> None:
        draw = random.Random(self.seed)
        table = Table("kill", "when", "acknowledged", "at the archive", title=f"seed {self.seed}")
        for kill in range(1, self.kills + 1):
            modality.released = self.images * kill // self.kills
            life_s, while_starting = draw.uniform(0.0, self.longest_life_s), draw.random() < STARTING_SHARE
            listens = not while_starting and until_it_listens(modality.port)
            time.sleep(life_s)  # the random moment itself
            node.kill()
            when = f"{life_s:.2f} s after it {'listened' if listens else 'was started'}"
            table.add_row(str(kill), when, str(len(modality.acknowledged)), str(len(archive.counts)))
            node.start()
        self.console.print(table)

    def _wait_for_the_end(self, stream: threading.Thread, archive: Archive, config: Path) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_S
        stream.join(LONGEST_WAIT_S)
        archive.wait_for(self.images * RESULTS_PER_IMAGE, deadline - time.monotonic())
        while unfinished_jobs(config) and time.monotonic() < deadline:
            time.sleep(0.2)

    def _findings(
        self, modality: Modality, archive: Archive, paths: Sequence[Path], config: Path
    ) -> Findings:
        digests: dict[str, set[str]] = {}
        for arrival in archive.arrivals:
            digests.setdefault(arrival.sop_instance_uid, set()).add(arrival.digest)
        return Findings(
            expected=expected_uids(paths, config),
            arrived=frozenset(digests),
            changed=tuple(uid for uid, seen in digests.items() if len(seen) > 1),
            resent=len(archive.arrivals) - len(digests),
            unacknowledged=self.images - len(modality.acknowledged),
            unfinished=unfinished_jobs(config),
            repeated_by_modality=modality.attempts - len(modality.acknowledged),
        )


def report(findings: Findings, console: Console) -> None:
    """Print the figures."""
    table = Table("what", "count")
    for what, figure in {
        "results expected": len(findings.expected),
        "results at the archive": len(findings.arrived),
        "missing": len(findings.expected - findings.arrived),
        "under another identity": len(findings.arrived - findings.expected),
        "came again with other bytes": len(findings.changed),
        "came again, the same bytes": findings.resent,
        "images that the modality sent again": findings.repeated_by_modality,
        "images never acknowledged": findings.unacknowledged,
        "jobs not done": findings.unfinished,
    }.items():
        table.add_row(what, str(figure))
    console.print(table)
    console.print("[green]holds[/]" if findings.holds else "[bold red]does not hold[/]")


def main() -> int:
    """Run the proof from the command line; the exit status is 0 when it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--longest-life", type=float, default=5.0, help="seconds to a kill, at most")
    parser.add_argument("--folder", type=Path, default=None, help="kept; a temporary one otherwise")
    wanted = parser.parse_args()
    configure_logs("ERROR")
    console = Console()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = wanted.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        findings = Proof(folder, wanted.images, wanted.kills, wanted.seed, console, wanted.longest_life).run()
    report(findings, console)
    console.print(f"{time.monotonic() - start:.0f} s")
    return 0 if findings.holds else 1


if __name__ == "__main__":
    sys.exit(main())
