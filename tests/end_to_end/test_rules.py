"""Rules from the settings file to the wire: ignored, unmatched, back to who sent, with fewer structures."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

from config.settings import load_settings
from node.archive import Archive
from node.assembly import build_node
from node.implementation import Entity
from node.job_store import JobStore
from node.jobs import Job
from node.service import Node
from node.states import State
from node.statuses import SUCCESS

MakeDx = Callable[..., Dataset]
DEADLINE_S = 120.0
SETTINGS = """
[node]
host = "127.0.0.1"
port = 0
data_dir = "{folder}/data"
disk_reserve_mb = 0
[model]
bundle = "stand-in"
[[peer]]
ae_title = "ER"
host = "127.0.0.1"
port = {port}
[[destination]]
name = "away"
ae_title = "AWAY"
host = "127.0.0.1"
port = 1
[[rule]]
name = "laterals"
when = [{{ attribute = "view", is = "LL" }}]
ignore = "frontal views only"
[[rule]]
name = "emergency"
when = [{{ attribute = "called_ae_title", is = "AI" }}, {{ attribute = "Modality", is = "dx" }}]
destinations = ["sender"]
structures = ["heart"]
priority = "urgent"
"""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as running:
        yield running


@pytest.fixture
def node(tmp_path: Path, archive: Archive) -> Iterator[Node]:
    file = tmp_path / "node.toml"
    file.write_text(SETTINGS.format(folder=tmp_path, port=archive.port))
    running = build_node(load_settings(file))
    running.start()
    yield running
    running.stop()


def sent(node: Node, dataset: Dataset, calling: str, called: str) -> int:
    ae = Entity(calling)
    ae.add_requested_context(dataset.SOPClassUID, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.port, ae_title=called)
    assert association.is_established
    status = association.send_c_store(dataset).Status
    association.release()
    return int(status)


def ended(node: Node, state: State) -> Job:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        job = JobStore(node.engine).jobs()[0]
        if job.state is state:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def test_results_go_back_to_who_sent_with_what_the_rule_says(
    node: Node, archive: Archive, make_dx: MakeDx
) -> None:
    assert sent(node, make_dx(), "ER", "AI") == SUCCESS
    job = ended(node, State.DONE)

    assert (job.rule, job.called_ae_title, job.priority.name) == ("emergency", "AI", "URGENT")
    received = [dcmread(archive.path(uid)) for uid in archive.counts]
    (seg,) = [each for each in received if each.SOPClassUID == SegmentationStorage]
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == ["heart"]
    assert {d.destination for d in JobStore(node.engine).deliveries()} == {"peer:ER"}


def test_an_ignored_image_is_acknowledged_kept_and_shown(
    node: Node, archive: Archive, make_dx: MakeDx
) -> None:
    assert sent(node, make_dx(ViewPosition="LL", PatientOrientation=["A", "F"]), "ER", "AI") == SUCCESS
    job = ended(node, State.IGNORED)

    assert (job.rule, job.reason) == ("laterals", "rule laterals: frontal views only")
    assert not archive.counts


@pytest.mark.parametrize(
    ("calling", "called", "rule", "reason"),
    [
        ("ER", "OTHER", "", "no rule holds for it"),
        ("CR9", "AI", "emergency", "nothing for the sender: no [[peer]] says where 'CR9' is reached"),
    ],
)
def test_what_no_rule_can_send_anywhere_is_unmatched_and_can_be_retried(
    node: Node, make_dx: MakeDx, calling: str, called: str, rule: str, reason: str
) -> None:
    assert sent(node, make_dx(), calling, called) == SUCCESS
    job = ended(node, State.UNMATCHED)

    assert (job.rule, job.reason) == (rule, reason)
    assert JobStore(node.engine).retry(job.id).state is State.QUEUED
