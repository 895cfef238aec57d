"""Sustained load: how fast images are taken in beside other archives, and whether a long queue drains evenly.

DCMTK's storescu sends the same files to each archive, one after the other, all on this machine and on one
disk; what counts is the ratio. Then many small images are queued, with nobody working, and worked off: the
processor time per image and the memory of the last tenth are compared with those of the second (the first
warms up). Each image gets one small Segmentation: the queue is what costs, and not the writing of reports.
"""

import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import psutil
from rich.console import Console

from node.archive import Archive
from tests.faults.command import run_proof
from tests.faults.count import Count
from tests.faults.parts import NodeProcess, until_it_listens
from tests.faults.receivers import LONGEST_SEND_S, RECEIVERS, send, until_idle, written_images
from tests.faults.rig import Rig

SENDERS = (1, 4)
"""Associations at the same time."""

INGESTED_SHARE = 25
"""One of so many of the queue's images is sent to each archive, per association."""

LARGE, SMALL = (2048, 1536), (96, 80)
"""Rows and columns of an image for taking in (6 MB), and of one for the queue."""

WARMING_UP = 20
SEGMENTS = 10
EVENNESS = 1.3
"""An image of the last tenth may take so much more processor time than one of the second."""

MEMORY_GROWTH_MB = 64.0
PROFILE = """profile = "one-result"
[[profile]]
name = "one-result"
structures = ["heart"]
report = "none"
structure_report = false
"""
RESULTS_PER_IMAGE = 1


def prove(size: int, seed: int, console: Console) -> list[Count]:
    """Take in images beside others, then queue `size` small ones and work them off."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = _prove_ingest(folder, max(8, size // INGESTED_SHARE), console)
        return [*counts, *_prove_queue(folder, size, console)]


# ---- taking in


def _prove_ingest(folder: Path, images: int, console: Console) -> list[Count]:
    sources = [
        written_images(folder / f"ingest-{n}", images // SENDERS[-1], LARGE) for n in range(SENDERS[-1])
    ]
    counts = []
    for senders in SENDERS:
        rates = {}
        for name, opened in RECEIVERS.items():
            with opened(folder / f"{name}-{senders}") as receiver:
                until_idle(receiver)
                rates[name] = _rate(receiver.port, sources[:senders])
            console.print(f"{name}, {senders} associations: {rates[name]:.1f} images/s")
        what = f"images of 6 MB per second in {senders} association{'s' if senders > 1 else ''}"
        counts += [Count(f"{what}: {name}", round(rate, 1)) for name, rate in rates.items()]
        for other in ("Orthanc", "storescp"):
            counts.append(Count(f"{what}: paxnode / {other}", round(rates["paxnode"] / rates[other], 2)))
    return counts


def _rate(port: int, sources: Sequence[Path]) -> float:
    """Return images per second, sent from each folder in an association of its own."""
    count = sum(1 for source in sources for _file in source.iterdir())
    begun = time.monotonic()
    send(port, sources)
    return count / (time.monotonic() - begun)


# ---- a long queue


def _prove_queue(folder: Path, size: int, console: Console) -> list[Count]:
    images = written_images(folder / "queue", size, SMALL)
    home = folder / "long"
    home.mkdir()
    with Archive(home / "archive") as archive:
        rig = Rig(home, (), archive, more=PROFILE)
        node = NodeProcess(rig.config, home / "node.log", options=("--only", "listen"))
        until_it_listens(rig.modality.port)
        process = psutil.Process(node.pid)
        send(rig.modality.port, [written_images(folder / "warming-up", WARMING_UP, SMALL)])
        before = _megabytes(process)
        begun = time.monotonic()
        send(rig.modality.port, [images])
        received_s, after = time.monotonic() - begun, _megabytes(process)
        queued = len(rig.jobs())
        node.stop()
        console.print(f"{queued} queued in {received_s:.0f} s")
        return [
            Count.equal("images queued", queued, size + WARMING_UP),
            Count("images received per second", round(size / received_s, 1)),
            _memory("of the receiving node, MB", before, after),
            *_drained(rig, size + WARMING_UP, console),
        ]


def _drained(rig: Rig, size: int, console: Console) -> list[Count]:
    """Let a node work on the queue and send its results; count by tenths."""
    node = NodeProcess(rig.config, rig.folder / "node.log", options=("--only", "work", "--only", "deliver"))
    process = psutil.Process(node.pid)
    begun, marks, memories = time.monotonic(), [0.0], [0.0]
    for tenth in range(1, SEGMENTS + 1):
        rig.archive.wait_for(size * tenth // SEGMENTS * RESULTS_PER_IMAGE, LONGEST_SEND_S)
        marks.append(_processor_s(process))
        memories.append(_megabytes(process))
        passed = time.monotonic() - begun
        console.print(
            f"{tenth * 10} %: {passed:.0f} s, {marks[-1]:.0f} s of processors, {memories[-1]:.0f} MB"
        )
    rate = size / (time.monotonic() - begun)
    status = node.stop()
    tenths = [after - before for before, after in pairwise(marks)]
    ratio = tenths[-1] / tenths[1]
    counts = rig.archive.counts
    return [
        Count.equal("results at the archive", len(counts), size * RESULTS_PER_IMAGE),
        Count.none("results that came more than once", sum(count > 1 for count in counts.values())),
        Count("images done per second", round(rate, 2)),
        Count("processor time of an image, s", round((marks[-1] - marks[1]) / (size * 0.9), 3)),
        Count(
            "processor time of an image, last tenth / second tenth",
            round(ratio, 2),
            f"at most {EVENNESS}",
            ratio <= EVENNESS,
        ),
        _memory("of the working node, MB", memories[2], memories[-1]),
        Count.equal("exit status when it was asked to stop", status, 0),
    ]


def _memory(what: str, before: float, after: float) -> Count:
    grown = after - before
    found = f"{before:.0f} to {after:.0f}"
    return Count(f"memory {what}", found, f"at most {MEMORY_GROWTH_MB:.0f} more", grown <= MEMORY_GROWTH_MB)


def _megabytes(process: psutil.Process) -> float:
    """Return the resident memory of a process and its children."""
    family = [process, *process.children(recursive=True)]
    return float(sum(member.memory_info().rss for member in family) / 1e6)


def _processor_s(process: psutil.Process) -> float:
    """Return the seconds of processors that a process and its children have used so far."""
    used = process.cpu_times()
    return float(used.user + used.system + used.children_user + used.children_system)


if __name__ == "__main__":
    run_proof(__doc__, prove, size=10_000, size_means="images in the queue")
