"""Kills a node again and again under a stream of images and proves that nothing was lost: `make kill`.

A modality sends every image until it is acknowledged. The node, a process of its own, is killed with
SIGKILL at random moments and started again. In the end the archive must hold exactly the results that were
computed here, apart from the node, from the same images: each image's SEG and SR under their deterministic
UIDs, and nothing else.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from tests.faults.parts import (
    HOST,
    LONGEST_WAIT_S,
    Modality,
    NodeProcess,
    free_port,
    until_it_listens,
    write_images,
)

RESULTS_PER_IMAGE = 3  # SEG and two reports
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
