"""Sends every file of some folders to a node and tells what became of each: `make files DICOM=folder`.

One line a file: the answer to its C-STORE, the end of its job with the reason, and what came to an archive.
With --own-uids each file gets a SOP Instance UID of its own before it is sent: public collections repeat
them, and the node quarantines other content under a UID that it knows.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid
from rich.console import Console
from rich.table import Table

from config.settings import Settings, load_settings
from node.archive import Archive
from node.assembly import build_node
from node.database import engine_for
from node.implementation import Entity
from node.job_store import JobStore
from node.jobs import Job
from node.logs import configure_logs
from node.states import PUT_ASIDE, State

LONGEST_WAIT_S = 300.0
SETTINGS = """
[web]
enabled = false

[node]
host = "127.0.0.1"
port = 0
data_dir = "{data}"
disk_reserve_mb = 0
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {port}
"""
ENDS = {State.DONE, *PUT_ASIDE}


@dataclass(frozen=True)
class Sent:
    """A file and the answer to its C-STORE: a status, or why there was none."""

    file: Path
    uid: str
    answer: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--own-uids", action="store_true")
    chosen = parser.parse_args(arguments)
    configure_logs("CRITICAL", "console")
    with tempfile.TemporaryDirectory() as scratch, Archive(Path(scratch) / "archive") as archive:
        config = Path(scratch) / "node.toml"
        config.write_text(SETTINGS.format(data=f"{scratch}/data", port=archive.port))
        settings = load_settings(config)
        node = build_node(settings)
        node.start()
        try:
            sent = [send(file, node.port, chosen.own_uids) for file in files(chosen.folders)]
            jobs = wait(settings)
        finally:
            node.stop()
        show(sent, jobs, archive, JobStore(engine_for("", Path(f"{scratch}/data"))))
    return 0 if all(job.state is not State.FAILED for job in jobs) else 1


def files(folders: Sequence[Path]) -> Iterator[Path]:
    for each in folders:
        yield from sorted(path for path in each.rglob("*") if path.is_file()) if each.is_dir() else [each]


def send(file: Path, port: int, own_uid: bool) -> Sent:
    """Send a file in its own transfer syntax; without file meta information as Implicit VR Little Endian."""
    try:
        dataset = dcmread(file, force=True)
    except (InvalidDicomError, OSError, ValueError) as error:
        return Sent(file, "", f"not sent: {type(error).__name__}")
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    if "SOPClassUID" not in dataset or "SOPInstanceUID" not in dataset:
        return Sent(file, "", "not sent: no SOP Class or Instance UID")
    if own_uid:
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[file.name])
    ae = Entity("MODALITY")
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", port)
    if not association.is_established:
        refused = f"{UID(dataset.SOPClassUID).name}, {UID(dataset.file_meta.TransferSyntaxUID).name}"
        return Sent(file, str(dataset.SOPInstanceUID), f"context refused: {refused}")
    try:
        response: Dataset = association.send_c_store(dataset)
        answer = f"0x{response.Status:04X}" if "Status" in response else "no answer"
    except ValueError as error:
        answer = f"not sent: {error}"
    finally:
        association.release()
    return Sent(file, str(dataset.SOPInstanceUID), answer)


def wait(settings: Settings) -> list[Job]:
    store = JobStore(engine_for("", Path(settings.node.data_dir)))
    until = time.monotonic() + LONGEST_WAIT_S
    while any(job.state not in ENDS for job in store.jobs(limit=10_000)) and time.monotonic() < until:
        time.sleep(0.2)
    return store.jobs(limit=10_000)


def show(sent: Sequence[Sent], jobs: Sequence[Job], archive: Archive, store: JobStore) -> None:
    by_uid = {job.sop_instance_uid: job for job in reversed(jobs)}
    arrived = archive.counts
    table = Table("file", "C-STORE", "outcome", "at the archive")
    for each in sent:
        job = by_uid.get(each.uid)
        outcome = "" if job is None else f"{job.state}{': ' if job.reason else ''}{job.reason}"
        results = [] if job is None else store.results(job.id)
        there = ", ".join(f"{r.kind} x{arrived.get(r.sop_instance_uid, 0)}" for r in results)
        table.add_row(f"{each.file.parent.name}/{each.file.name}", each.answer, outcome, there)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


if __name__ == "__main__":
    sys.exit(main())
