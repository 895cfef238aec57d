"""A backup is taken from a running node as docs/installation.md says, and another one starts from it."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset

from ai.stand_in import StandInSegmenter
from config.settings import Destination, NodeSettings, Settings
from node.archive import Archive
from node.assembly import build_node
from node.database import engine_for
from node.job_store import JobStore
from node.jobs import Job
from node.service import Node
from node.states import State
from node.transport import DimseTransport, Outgoing

PAGE = (Path(__file__).parents[2] / "docs" / "installation.md").read_text(encoding="utf-8")
RESULTS = 3
"""That the profile "standard" makes of one radiograph."""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as running:
        yield running


@contextmanager
def running(data: Path, archive: Archive) -> Iterator[Node]:
    """A node with its data folder there."""
    to_archive = Destination(name="archive", ae_title="ARCHIVE", host="127.0.0.1", port=archive.port)
    own = NodeSettings(host="127.0.0.1", port=0, data_dir=data, disk_reserve_mb=0)
    node = build_node(Settings(node=own, destination=(to_archive,)), segmenter=StandInSegmenter())
    node.start()
    try:
        yield node
    finally:
        node.stop()


def sent(node: Node, image: Path) -> None:
    """Send an image to a node."""
    place = Destination(name="node", ae_title="PAXNODE", host="127.0.0.1", port=node.port)
    assert [each.verdict.value for each in DimseTransport("CR").send(place, [Outgoing("", image)])] == [
        "stored"
    ]


def jobs(data: Path) -> list[Job]:
    engine = engine_for("", data)
    try:
        return JobStore(engine).jobs()
    finally:
        engine.dispose()


def until_done(data: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while [job.state for job in jobs(data)] != [State.DONE] * count:
        assert time.monotonic() < deadline, "it was not worked off"
        time.sleep(0.2)


def backup(data: Path, folder: Path) -> None:
    """Carry out the commands of the page."""
    [commands] = re.findall(r"```sh\n  (cd /var/lib/paxnode\n.*?)```", PAGE, re.DOTALL)
    folder.mkdir()
    script = commands.replace("/var/lib/paxnode", str(data)).replace("/backup/", f"{folder}/")
    subprocess.run(["/bin/sh", "-ec", script], check=True)


def test_node_goes_on_from_a_backup(tmp_path: Path, archive: Archive, make_dx: Callable[[], Dataset]) -> None:
    before, after = tmp_path / "before.dcm", tmp_path / "after.dcm"
    make_dx().save_as(before, enforce_file_format=True)
    make_dx().save_as(after, enforce_file_format=True)
    data, copy = tmp_path / "data", tmp_path / "copy"
    with running(data, archive) as node:
        sent(node, before)
        until_done(data, 1)
        backup(data, copy)
        sent(node, after)
        until_done(data, 2)
    shutil.rmtree(data)

    with running(copy, archive) as node:
        sent(node, before)
        sent(node, after)
        until_done(copy, 2)

    assert archive.wait_for(2 * RESULTS, 30)
    assert sorted(archive.counts.values()) == [1] * RESULTS + [2] * RESULTS
    assert all((copy / job.path).is_file() for job in jobs(copy))
