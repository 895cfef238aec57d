"""The main job: a radiograph in by C-STORE, a SEG and a report out at an archive; and the same from files."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian, SegmentationStorage

from ai.measurement import Measurement
from config.settings import load_settings
from node.archive import Archive
from node.assembly import build_node
from node.implementation import Entity
from node.job_store import JobStore
from node.model import STAND_IN
from node.read_results import read_results
from node.service import Node
from node.states import State
from node.statuses import SUCCESS

MakeDx = Callable[..., Dataset]
DEADLINE_S = 60.0
RESULTS = 3
"""A SEG and two SR."""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as running:
        yield running


@pytest.fixture
def node(tmp_path: Path, archive: Archive) -> Iterator[Node]:
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\nhost = "127.0.0.1"\nport = 0\ndata_dir = "{tmp_path / "data"}"\ndisk_reserve_mb = 0\n'
        f'[model]\nbundle = "{STAND_IN}"\n'
        f'[[destination]]\nname = "archive"\nae_title = "ARCHIVE"\n'
        f'host = "127.0.0.1"\nport = {archive.port}\n'
    )
    running = build_node(load_settings(file))
    running.start()
    yield running
    running.stop()


def store(node: Node, dataset: Dataset) -> int:
    ae = Entity("MODALITY")
    ae.add_requested_context(dataset.SOPClassUID, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.port)
    assert association.is_established
    status = association.send_c_store(dataset).Status
    association.release()
    return int(status)


def wait_for_state(node: Node, state: State) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while node.engine and JobStore(node.engine).jobs()[0].state is not state:
        assert time.monotonic() < deadline, JobStore(node.engine).jobs()[0]
        time.sleep(0.02)


def test_seg_and_report_of_a_sent_radiograph_reach_the_archive(
    node: Node, archive: Archive, make_dx: MakeDx
) -> None:
    dataset = make_dx()

    assert store(node, dataset) == SUCCESS
    assert archive.wait_for(RESULTS, DEADLINE_S)
    received = [dcmread(archive.path(uid)) for uid in archive.counts]
    assert {each.SOPClassUID for each in received} == {SegmentationStorage, Comprehensive3DSRStorage}
    assert {each.StudyInstanceUID for each in received} == {dataset.StudyInstanceUID}
    assert {each.PatientID for each in received} == {dataset.PatientID}
    assert dataset.SeriesInstanceUID not in {each.SeriesInstanceUID for each in received}


def test_received_segments_decode_to_shapes_on_the_radiograph(
    node: Node, archive: Archive, make_dx: MakeDx
) -> None:
    store(node, make_dx())
    assert archive.wait_for(RESULTS, DEADLINE_S)
    received = read_results(sorted(archive.folder.glob("*.dcm")))
    masks = {segment.label: segment.mask for segment in received.segments}

    assert [segment.number for segment in received.segments] == list(range(1, len(masks) + 1))
    assert masks["visible lung right"].centroid[0] < 112 < masks["visible lung left"].centroid[0]
    assert masks["heart"].dense((256, 224))[159, 123]


def test_received_report_holds_the_cardiothoracic_ratio(
    node: Node, archive: Archive, make_dx: MakeDx
) -> None:
    store(node, make_dx())
    assert archive.wait_for(RESULTS, DEADLINE_S)
    measured = read_results(sorted(archive.folder.glob("*.dcm"))).measurements["cardiothoracic ratio"]

    assert isinstance(measured, Measurement)
    assert 0.3 < measured.value < 0.6


def test_job_is_done_and_the_same_image_again_sends_nothing(
    node: Node, archive: Archive, make_dx: MakeDx
) -> None:
    dataset = make_dx()
    store(node, dataset)
    wait_for_state(node, State.DONE)

    assert store(node, dataset) == SUCCESS
    assert len(JobStore(node.engine).jobs()) == 1
    assert set(archive.counts.values()) == {1}


def test_lateral_view_is_acknowledged_and_refused_by_name(
    node: Node, archive: Archive, make_dx: MakeDx
) -> None:
    status = store(node, make_dx(ViewPosition="LL", PatientOrientation=["A", "F"]))

    assert status == SUCCESS
    wait_for_state(node, State.REFUSED)
    assert "lateral" in JobStore(node.engine).jobs()[0].reason
    assert not archive.counts


def paxnode(*words: str | Path, before: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; `before` is Python that runs first."""
    code = f"{before}\nimport sys\nfrom node.cli import main\nsys.argv[0] = 'paxnode'\nmain()"
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])


def test_command_writes_the_same_results_from_files_and_needs_no_torch(tmp_path: Path, dx_file: Path) -> None:
    blocked = "import sys\nfor name in ('torch', 'nibabel', 'onnx'): sys.modules[name] = None"
    done = paxnode("segment", dx_file, "--out", tmp_path / "out", "--bundle", STAND_IN, before=blocked)

    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "chest"
    received = read_results([folder / "seg.dcm", folder / "sr.dcm"])
    content = json.loads((folder / "measurements.json").read_text())
    in_json = {each["name"]: each["value"] for each in content["measurements"]}
    in_report = {each.name: each.value for each in received.measurements.computed}
    assert in_report == pytest.approx(in_json, abs=0.05)  # the report rounds, the file does not
    found = {each["name"]: each["pixels"] for each in content["structures"]["found"]}
    assert {segment.label: segment.mask.area for segment in received.segments} == found
