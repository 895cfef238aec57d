"""The whole node, built from settings: images in, results out, and a stop that loses nothing."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import Comprehensive3DSRStorage, ImplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AllStoragePresentationContexts, build_context

from ai.bundle import DEFAULT_BUNDLE, Bundle, bundle_digest
from ai.errors import BundleError
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from config.settings import Settings, load_settings
from node import service
from node.archive import Archive
from node.assembly import build_node
from node.database import FILE_NAME, engine_for
from node.errors import DatabaseUnavailableError, StorageError
from node.housekeeping import Housekeeper
from node.implementation import Entity
from node.job_store import JobStore
from node.part import Part
from node.service import Node
from node.states import State

RESULTS = 3
"""That the profile "standard" makes of one radiograph: a SEG and two SR."""

MakeDx = Callable[..., Dataset]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as running:
        yield running


def _settings(folder: Path, archive: Archive, **changes: str) -> Settings:
    config = folder / "node.toml"
    config.write_text(
        f"""
[node]
host = "127.0.0.1"
port = {changes.get("port", "0")}
data_dir = "{folder / "data"}"
disk_reserve_mb = 0
[model]
bundle = "{changes.get("bundle", "")}"
[delivery]
first_retry_s = 0.1
longest_retry_s = 0.5
[[destination]]
name = "archive"
ae_title = "{archive.ae_title}"
host = "{archive.host}"
port = {archive.port}
"""
    )
    return load_settings(config)


def _send(port: int, dataset: Dataset) -> int:
    ae = Entity("MODALITY")
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", port, ae_title="PAXNODE")
    assert association.is_established
    status = association.send_c_store(dataset)
    association.release()
    return int(status.Status)


def _states(settings: Settings) -> list[State]:
    engine = engine_for("", Path(settings.node.data_dir))
    states = [job.state for job in JobStore(engine).jobs()]
    engine.dispose()
    return states


def _until(condition: Callable[[], bool], timeout_s: float = 30) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


class Gate:
    """A segmenter that waits until it may go on."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()
        self._segmenter = StandInSegmenter()
        self.model = self._segmenter.model

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        self.inside.set()
        self.go_on.wait(30)
        return self._segmenter.segment(radiographs)


def test_radiograph_goes_in_and_segmentation_and_report_come_out(
    tmp_path: Path, archive: Archive, make_dx: MakeDx
) -> None:
    settings = _settings(tmp_path, archive, bundle="stand-in")
    node = build_node(settings)
    node.start()
    sent = make_dx()
    assert _send(node.port, sent) == 0x0000
    assert archive.wait_for(RESULTS, timeout_s=30)
    assert _until(lambda: _states(settings) == [State.DONE])
    node.stop()
    results = [dcmread(archive.path(arrival.sop_instance_uid)) for arrival in archive.arrivals]
    assert {result.SOPClassUID for result in results} == {SegmentationStorage, Comprehensive3DSRStorage}
    assert {result.StudyInstanceUID for result in results} == {sent.StudyInstanceUID}
    assert {result.PatientID for result in results} == {sent.PatientID}
    assert set(archive.counts.values()) == {1}


def test_each_destination_gets_what_its_profile_says_in_a_syntax_that_it_accepts(
    tmp_path: Path, archive: Archive, make_dx: MakeDx
) -> None:
    settings = _settings(tmp_path, archive, bundle="stand-in")
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    plain = [build_context(sop_class, [ImplicitVRLittleEndian]) for sop_class in classes]
    with Archive(tmp_path / "legacy", contexts=plain) as legacy:
        config = tmp_path / "node.toml"
        place = f'ae_title = "LEGACY"\nhost = "{legacy.host}"\nport = {legacy.port}\nprofile = "legacy"\n'
        config.write_text(f'{config.read_text()}[[destination]]\nname = "legacy"\n{place}')
        node = build_node(load_settings(config))
        node.start()
        assert _send(node.port, make_dx()) == 0x0000
        assert _until(lambda: _states(settings) == [State.DONE])
        node.stop()
        found = [dcmread(legacy.path(arrival.sop_instance_uid)) for arrival in legacy.arrivals]
    assert sorted(result.Modality for result in found) == ["OT", "PR", "SR"]
    assert {result.file_meta.TransferSyntaxUID for result in found} == {ImplicitVRLittleEndian}
    there = [dcmread(archive.path(arrival.sop_instance_uid)) for arrival in archive.arrivals]
    assert sorted(result.Modality for result in there) == ["SEG", "SR", "SR"]
    assert not {result.SOPInstanceUID for result in found} & {result.SOPInstanceUID for result in there}


def test_same_image_again_is_acknowledged_and_makes_nothing_new(
    tmp_path: Path, archive: Archive, make_dx: MakeDx
) -> None:
    settings = _settings(tmp_path, archive)
    node = build_node(settings, StandInSegmenter())
    node.start()
    sent, other = make_dx(), make_dx()
    assert [_send(node.port, sent) for _ in range(2)] == [0x0000, 0x0000]
    assert _send(node.port, other) == 0x0000
    assert archive.wait_for(2 * RESULTS, timeout_s=30)
    assert _until(lambda: _states(settings) == [State.DONE] * 2)
    node.stop()
    assert sorted(archive.counts.values()) == [1] * 2 * RESULTS


def test_two_nodes_share_their_work_and_do_nothing_twice(
    tmp_path: Path, archive: Archive, make_dx: MakeDx
) -> None:
    settings = _settings(tmp_path, archive)
    nodes: list[Node] = [build_node(settings, StandInSegmenter()) for _ in range(2)]
    for node in nodes:
        node.start()
    for number in range(6):
        assert _send(nodes[number % 2].port, make_dx()) == 0x0000
    assert archive.wait_for(6 * RESULTS, timeout_s=60)
    assert _until(lambda: _states(settings) == [State.DONE] * 6)
    for node in nodes:
        node.stop()
    assert sorted(archive.counts.values()) == [1] * 6 * RESULTS


def test_parts_in_processes_of_their_own_do_together_what_one_node_does(
    tmp_path: Path, archive: Archive, make_dx: MakeDx
) -> None:
    settings = _settings(tmp_path, archive)
    nodes = {part: build_node(settings, StandInSegmenter(), parts={part}) for part in Part}
    listens = {part: node.listener is not None for part, node in nodes.items()}
    assert listens == {Part.LISTEN: True, Part.WORK: False, Part.DELIVER: False}
    for node in nodes.values():
        node.start()
    assert _send(nodes[Part.LISTEN].port, make_dx()) == 0x0000
    assert archive.wait_for(RESULTS, timeout_s=30)
    assert _until(lambda: _states(settings) == [State.DONE])
    assert nodes[Part.WORK].port == 0
    for node in nodes.values():
        node.stop()
    assert sorted(archive.counts.values()) == [1] * RESULTS


def test_process_that_does_not_work_needs_no_model(tmp_path: Path, archive: Archive) -> None:
    settings = _settings(tmp_path, archive, bundle=str(tmp_path / "no-such-bundle"))
    node = build_node(settings, parts={Part.LISTEN, Part.DELIVER})
    node.start()
    assert (node.workers, len(node.senders)) == ((), 1)
    node.stop()


def test_job_in_hand_ends_before_the_node_has_stopped(
    tmp_path: Path, archive: Archive, make_dx: MakeDx
) -> None:
    settings, gate = _settings(tmp_path, archive), Gate()
    node = build_node(settings, gate)
    node.start()
    assert _send(node.port, make_dx()) == 0x0000
    assert gate.inside.wait(20)
    stopping = threading.Thread(target=node.stop)
    stopping.start()
    gate.go_on.set()
    stopping.join(30)
    assert not stopping.is_alive()
    assert _states(settings)[0] in {State.STORED, State.DELIVERING, State.DONE}


def test_node_stops_whole_though_a_job_cannot_be_given_back(
    tmp_path: Path, archive: Archive, make_dx: MakeDx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may be shut down together with the node; the lease of the job ends by itself."""
    gate = Gate()
    node = build_node(_settings(tmp_path, archive), gate)
    node.start()
    assert _send(node.port, make_dx()) == 0x0000
    assert gate.inside.wait(20)
    monkeypatch.setattr(service, "GRACE_S", 0.2)
    (worker,) = node.workers

    def give_back() -> None:
        raise DatabaseUnavailableError("the database was shut down")

    monkeypatch.setattr(worker, "give_back", give_back)
    node.stop()
    assert all(sender.loop.stopping for sender in node.senders)
    gate.go_on.set()
    assert worker.loop.join(20)


def test_what_a_stopped_node_left_is_done_by_the_next(
    tmp_path: Path, archive: Archive, make_dx: MakeDx
) -> None:
    settings, gate = _settings(tmp_path, archive), Gate()
    node = build_node(settings, gate)
    node.start()
    for _ in range(3):
        assert _send(node.port, make_dx()) == 0x0000
    assert gate.inside.wait(20)
    worker = node.workers[0].loop

    def open_when_it_stops() -> None:
        _until(lambda: worker.stopping)
        gate.go_on.set()

    opened = threading.Thread(target=open_when_it_stops)
    opened.start()
    node.stop()
    opened.join()
    assert State.QUEUED in _states(settings)
    successor = build_node(settings, StandInSegmenter())
    successor.start()
    assert archive.wait_for(3 * RESULTS, timeout_s=30)
    assert _until(lambda: _states(settings) == [State.DONE] * 3)
    successor.stop()
    assert sorted(archive.counts.values()) == [1] * 3 * RESULTS


def test_stopped_node_takes_no_connection(tmp_path: Path, archive: Archive) -> None:
    node = build_node(_settings(tmp_path, archive), StandInSegmenter())
    node.start()
    port = node.port
    node.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_bundle_that_cannot_be_trusted_stops_the_node_before_it_touches_anything(
    tmp_path: Path, archive: Archive
) -> None:
    settings = _settings(tmp_path, archive, bundle=str(tmp_path / "no-such-bundle"))
    with pytest.raises(BundleError):
        build_node(settings)
    assert not (tmp_path / "data" / FILE_NAME).exists()


def test_network_that_does_not_load_closes_the_port_again(tmp_path: Path, archive: Archive) -> None:
    shipped, junk = Bundle.load(DEFAULT_BUNDLE), b"not a network"
    manifest = replace(shipped.manifest, sha256=bundle_digest(junk))
    Bundle(manifest, junk, shipped.judge_bytes).save(tmp_path / "bundle")
    node = build_node(_settings(tmp_path, archive, bundle=str(tmp_path / "bundle")))
    with pytest.raises(BundleError, match="does not load"):
        node.start()
    assert node.listener is not None
    assert node.listener.porch is None
    node.engine.dispose()


def test_images_are_taken_while_the_network_is_loaded(
    tmp_path: Path, archive: Archive, make_dx: MakeDx, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    node = build_node(_settings(tmp_path, archive))

    def load_segmenter(*_settings: object, **_more: object) -> StandInSegmenter:
        sent.append(_send(node.port, make_dx()))
        assert node.web is None, "nobody is told yet that the node is ready"
        return StandInSegmenter()

    monkeypatch.setattr("node.office.load_segmenter", load_segmenter)
    node.start()
    assert sent == [0x0000]
    assert archive.wait_for(RESULTS, timeout_s=30)
    node.stop()


def test_data_folder_that_cannot_be_used_is_named(tmp_path: Path, archive: Archive) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(StorageError, match="data"):
        build_node(_settings(tmp_path, archive), StandInSegmenter())


def test_results_that_wait_for_a_removed_destination_are_told_at_the_start(
    tmp_path: Path, archive: Archive, make_dx: MakeDx, lines: io.StringIO
) -> None:
    settings = _settings(tmp_path, archive)
    archive.stop()
    node = build_node(settings, StandInSegmenter())
    node.start()
    assert _send(node.port, make_dx()) == 0x0000
    assert _until(lambda: State.STORED in _states(settings) or State.DELIVERING in _states(settings))
    node.stop()
    later = build_node(settings.model_copy(update={"destination": ()}), StandInSegmenter())
    later.start()
    later.stop()
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    [told] = [line for line in logged if "destination that is not set" in line["event"]]
    assert (told["destination"], told["count"]) == ("archive", RESULTS)


def test_destinations_that_are_asked_for_proofs_have_provers(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    place = 'ae_title = "PACS"\nhost = "127.0.0.1"\nport = 104\n'
    web = '[[web_destination]]\nname = "web"\nurl = "http://127.0.0.1/web"\nquery = true\n'
    plain = f'[[destination]]\nname = "plain"\n{place}'
    asked = f'[[destination]]\nname = "asked"\n{place}commitment = true\n'
    own = f'[node]\nhost = "127.0.0.1"\nport = 0\ndata_dir = "{tmp_path / "data"}"\n'
    node = f"{own}[commitment]\nanswer = true\n"
    config.write_text(node + plain + asked + web)
    built = build_node(load_settings(config), StandInSegmenter())
    built.start()
    built.stop()

    names = [part._name.split(":")[0] for part in built.others if not isinstance(part, Housekeeper)]
    assert names == ["prover-asked", "prover-web", "committer"]
