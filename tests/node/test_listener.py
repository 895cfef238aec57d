import hashlib
import io
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import create_file_meta, encode
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from config.settings import NodeSettings
from node.contexts import STORAGE_CLASSES, transfer_syntaxes
from node.database import engine_for, upgrade
from node.errors import NodeError
from node.job_store import JobStore
from node.jobs import Job
from node.listener import ARTIM_S, Listener
from node.logs import configure_logs
from node.spool import Spool
from node.states import State

DX = DigitalXRayImageStorageForPresentation
DEADLINE_S = 20.0
MEGABYTE = 1_000_000


class Running:
    """A listener on a free port, with its spool and its jobs."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.rings = 0
        self.folder = folder / "data"
        chosen: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 0,
            "data_dir": self.folder,
            "disk_reserve_mb": 0,
        }
        self.settings = NodeSettings(**(chosen | settings))
        self.engine = engine_for("", self.folder)
        upgrade(self.engine)
        self.spool = Spool(self.folder, self.settings.disk_reserve_mb)
        self.store = JobStore(self.engine)
        self.listener = Listener(self.settings, self.spool, self.store, self.ring)

    def ring(self) -> None:
        self.rings += 1

    def files(self) -> list[str]:
        folders = (self.folder / name for name in ("incoming", "objects"))
        return [p.relative_to(self.folder).as_posix() for f in folders for p in f.rglob("*.dcm")]

    def job(self) -> Job:
        [job] = self.store.jobs()
        return job

    def associate(
        self, *contexts: tuple[UID, UID], ae_title: str = "MODALITY", called: str = "PAXNODE"
    ) -> Association:
        ae = AE(ae_title)
        ae.add_requested_context(Verification)
        for sop_class, syntax in contexts or [(DX, ExplicitVRLittleEndian)]:
            ae.add_requested_context(sop_class, syntax)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
        return ae.associate("127.0.0.1", self.listener.port, ae_title=called)

    @contextmanager
    def association(self, *contexts: tuple[UID, UID]) -> Iterator[Association]:
        association = self.associate(*contexts)
        assert association.is_established
        yield association
        association.release()

    def answers_echo_now(self) -> bool:
        association = self.associate()
        if association.is_established:
            association.release()
            return True
        return False

    def answers_echo(self) -> bool:
        with self.association() as association:
            return bool(association.send_c_echo().get("Status") == 0x0000)


Run = Callable[..., Running]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    running: list[Running] = []

    def start(**settings: Any) -> Running:
        node = Running(tmp_path, **settings)
        node.listener.start()
        running.append(node)
        return node

    yield start
    for node in running:
        node.listener.stop()
        node.engine.dispose()


@pytest.fixture
def _files_are_sent_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


@pytest.fixture
def _files_of_at_most_a_megabyte() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wait_until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.005)


def status_of(response: Dataset) -> int:
    return int(response.Status)


def raw_file(folder: Path, content: bytes, sop_class: UID = DX, uid: str = "2.25.7") -> Path:
    """Write a DICOM file whose data set is any bytes; its meta information becomes the C-STORE command."""
    path = folder / "raw.dcm"
    meta = create_file_meta(
        sop_class_uid=sop_class, sop_instance_uid=UID(uid), transfer_syntax=ExplicitVRLittleEndian
    )
    header = DicomBytesIO()
    write_file_meta_info(header, meta)
    path.write_bytes(bytes(128) + b"DICM" + header.getvalue() + content)
    return path


def explicit(dataset: Dataset) -> bytes:
    content = encode(dataset, False, True)
    assert content is not None
    return content


def fragments(association: Association, dataset: Dataset) -> list[Any]:
    """Return the P-DATA primitives of a C-STORE request."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    request.DataSet = io.BytesIO(explicit(dataset))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    context = next(c for c in association.accepted_contexts if c.abstract_syntax == dataset.SOPClassUID)
    return list(message.encode_msg(context.context_id or 0, 16_384))


def begin(node: Running, association: Association, dataset: Dataset) -> list[Any]:
    """Send the first half of a C-STORE request, wait until it has come, and return the second half."""
    pieces = fragments(association, dataset)
    half = len(pieces) // 2
    assert half > 5
    for piece in pieces[:half]:
        association.dul.send_pdu(piece)
    wait_until(lambda: any((node.folder / name).stat().st_size > 20_000 for name in node.files()))
    return pieces[half:]


# ---- what is taken


def test_echo_is_answered(run: Run) -> None:
    assert run().answers_echo()


@pytest.mark.parametrize("sop_class", STORAGE_CLASSES, ids=lambda sop_class: sop_class.name)
def test_object_of_every_class_is_on_disk_and_in_the_database_when_it_is_acknowledged(
    sop_class: UID, run: Run, make_dx: Any
) -> None:
    node, dataset = run(), make_dx(SOPClassUID=sop_class)
    with node.association((sop_class, ExplicitVRLittleEndian)) as association:
        assert status_of(association.send_c_store(dataset)) == 0x0000
        job = node.job()
        stored = dcmread(node.spool.path(job.path))

    assert stored == dataset
    assert stored.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert stored.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert (job.state, job.calling_ae_title, job.sop_class_uid) == (State.QUEUED, "MODALITY", sop_class)
    assert (job.sop_instance_uid, job.study_instance_uid, job.series_instance_uid) == (
        dataset.SOPInstanceUID,
        dataset.StudyInstanceUID,
        dataset.SeriesInstanceUID,
    )
    assert (job.digest, job.size) == (hashlib.sha256(explicit(dataset)).hexdigest(), len(explicit(dataset)))
    assert node.files() == [job.path]
    assert node.rings == 1


@pytest.mark.parametrize("syntax", transfer_syntaxes(), ids=lambda syntax: syntax.name)
def test_every_transfer_syntax_that_can_be_decoded_is_taken_as_it_is(
    syntax: UID, run: Run, make_dx: Any
) -> None:
    node, dataset = run(), make_dx()
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax.is_encapsulated:
        dataset.PixelData = encapsulate([b"\xff\xd8 not looked at \xff\xd9"])
        dataset["PixelData"].is_undefined_length = True
    if syntax == ExplicitVRBigEndian:
        dataset.set_original_encoding(False, False)
    elif syntax == ImplicitVRLittleEndian:
        dataset.set_original_encoding(True, True)

    with node.association((DX, syntax)) as association:
        assert status_of(association.send_c_store(dataset)) == 0x0000

    stored = dcmread(node.spool.path(node.job().path))
    assert node.job().transfer_syntax_uid == stored.file_meta.TransferSyntaxUID == syntax
    assert (stored.PatientID, stored.PixelData) == (dataset.PatientID, dataset.PixelData)


def test_decoders_for_the_usual_compressions_are_installed() -> None:
    names = " ".join(syntax.name for syntax in transfer_syntaxes())

    for name in (
        "Baseline",
        "Extended",
        "Selection Value 1",
        "JPEG-LS Lossless",
        "JPEG 2000",
        "RLE",
        "Deflated",
    ):
        assert name in names


def test_class_that_is_no_radiograph_is_not_negotiated(run: Run) -> None:
    with run().association((CTImageStorage, ExplicitVRLittleEndian)) as association:
        assert [context.abstract_syntax for context in association.rejected_contexts] == [CTImageStorage]


def test_several_objects_come_in_one_association(run: Run, make_dx: Any) -> None:
    node = run()
    with node.association() as association:
        assert {status_of(association.send_c_store(make_dx())) for _ in range(5)} == {0x0000}

    assert node.store.counts()[State.QUEUED] == node.rings == 5


@pytest.mark.filterwarnings("ignore:Unknown encoding")  # pydicom's, which the node's log leaves out
@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_odd_character_set_and_odd_values_are_no_reason_to_refuse(
    run: Run, make_dx: Any, tmp_path: Path
) -> None:
    node, dataset = run(), make_dx(SpecificCharacterSet="ISO_IR 6")
    content = (
        explicit(dataset)
        .replace(b"ISO_IR 6", b"NONSENSE")
        .replace(b"Synthetic^Chest", b"S\xfc\xff\x00^Chest....")
    )
    with node.association() as association:
        sent = association.send_c_store(raw_file(tmp_path, content, uid=dataset.SOPInstanceUID))

    assert status_of(sent) == 0x0000
    assert node.job().state is State.QUEUED


def test_eight_senders_at_once_lose_nothing(run: Run, make_dx: Any) -> None:
    node = run()
    sent = [[make_dx(InstanceNumber=10 * sender + number) for number in range(5)] for sender in range(8)]

    def send(datasets: list[Dataset]) -> set[int]:
        with node.association() as association:
            return {status_of(association.send_c_store(dataset)) for dataset in datasets}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, sent)) == [{0x0000}] * 8

    jobs = {job.sop_instance_uid: job for job in node.store.jobs()}
    for dataset in (dataset for datasets in sent for dataset in datasets):
        job = jobs.pop(dataset.SOPInstanceUID)
        assert job.state is State.QUEUED
        assert dcmread(node.spool.path(job.path)) == dataset
    assert not jobs


# ---- the same again


def test_same_object_again_is_acknowledged_and_kept_once(run: Run, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    with node.association() as association:
        assert [status_of(association.send_c_store(dataset)) for _ in range(3)] == [0x0000] * 3

    assert node.files() == [node.job().path]
    assert node.rings == 1


def test_other_content_under_the_same_uid_is_kept_and_quarantined(run: Run, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    with node.association() as association:
        association.send_c_store(dataset)
        dataset.PatientID = "SYNTHETIC-2"
        assert status_of(association.send_c_store(dataset)) == 0x0000

    second, first = node.store.jobs()
    assert (first.state, second.state) == (State.QUEUED, State.QUARANTINED)
    assert dcmread(node.spool.path(first.path)).PatientID == "SYNTHETIC-1"
    assert dcmread(node.spool.path(second.path)).PatientID == "SYNTHETIC-2"


# ---- what is not taken


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
@pytest.mark.parametrize(
    "content",
    [bytes((7 * i * i + 3 * i) % 251 for i in range(5000)), b"", b"GET / HTTP/1.1\r\n\r\n" * 50],
    ids=["noise", "nothing", "text"],
)
def test_bytes_that_are_no_data_set_are_answered_with_a_failure_and_not_kept(
    content: bytes, run: Run, tmp_path: Path
) -> None:
    node = run()
    with node.association() as association:
        response = association.send_c_store(raw_file(tmp_path, content))
        assert status_of(response) == 0xC000
        assert status_of(association.send_c_echo()) == 0x0000

    assert (node.files(), node.store.jobs(), node.rings) == ([], [], 0)


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_data_set_of_another_class_does_not_match(run: Run, make_dx: Any, tmp_path: Path) -> None:
    node, dataset = run(), make_dx(SOPClassUID=CTImageStorage)
    path = raw_file(tmp_path, explicit(dataset), uid=dataset.SOPInstanceUID)
    with node.association() as association:
        response = association.send_c_store(path)

    assert (status_of(response), response.ErrorComment) == (
        0xA900,
        "SOP Class UID differs from the data set's",
    )
    assert (node.files(), node.store.jobs()) == ([], [])


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_data_set_sent_under_another_uid_is_what_it_says_it_is(
    run: Run, make_dx: Any, tmp_path: Path
) -> None:
    node, content = run(), explicit(make_dx(SOPInstanceUID="2.25.8"))
    with node.association() as association:
        sent = [
            association.send_c_store(raw_file(tmp_path, content, uid=uid)) for uid in ("2.25.7", "2.25.8")
        ]

    assert [status_of(response) for response in sent] == [0x0000, 0x0000]
    assert (node.job().state, node.job().sop_instance_uid) == (State.QUEUED, "2.25.8")


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
@pytest.mark.parametrize(
    ("uid", "words"), [(None, "has no SOP Instance UID"), ("no uid", "SOP Instance UID is no UID")]
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_data_set_without_a_usable_uid_is_kept_and_quarantined(
    uid: str | None, words: str, run: Run, make_dx: Any, tmp_path: Path
) -> None:
    node, dataset = run(), make_dx()
    if uid is None:
        del dataset.SOPInstanceUID
    else:
        dataset.SOPInstanceUID = uid
    with node.association() as association:
        assert status_of(association.send_c_store(raw_file(tmp_path, explicit(dataset)))) == 0x0000

    assert node.job().state is State.QUARANTINED
    assert words in node.job().reason
    assert node.files() == [node.job().path]


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_data_set_cut_short_in_its_pixels_is_kept(run: Run, make_dx: Any, tmp_path: Path) -> None:
    node, dataset = run(), make_dx()
    path = raw_file(tmp_path, explicit(dataset)[:-1000], uid=dataset.SOPInstanceUID)
    with node.association() as association:
        assert status_of(association.send_c_store(path)) == 0x0000

    assert node.job().state is State.QUEUED


def test_object_over_the_limit_is_refused_with_the_limit(run: Run, make_dx: Any) -> None:
    node = run(max_object_bytes=1_048_576)
    with node.association() as association:
        response = association.send_c_store(make_dx(1024, 1024))
        assert (status_of(response), response.ErrorComment) == (0xC000, "more than 1048576 bytes")
        assert status_of(association.send_c_store(make_dx())) == 0x0000

    assert node.files() == [node.job().path]


# ---- when the node cannot keep anything


def test_disk_below_its_reserve_means_try_again_later(run: Run, make_dx: Any) -> None:
    node = run(disk_reserve_mb=10**9)
    with node.association() as association:
        response = association.send_c_store(make_dx(1024, 1024))
        assert status_of(response) == 0xA700
        assert "disk is full" in response.ErrorComment
        assert status_of(association.send_c_echo()) == 0x0000

    assert (node.files(), node.store.jobs()) == ([], [])


@pytest.mark.usefixtures("_files_of_at_most_a_megabyte")
def test_disk_that_fills_up_on_the_way_means_try_again_later(run: Run, make_dx: Any) -> None:
    node = run()
    with node.association() as association:
        assert status_of(association.send_c_store(make_dx(1024, 1024))) == 0xA700
        assert status_of(association.send_c_store(make_dx())) == 0x0000

    assert node.files() == [node.job().path]


def test_database_that_is_gone_means_try_again_later(tmp_path: Path, run: Run, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    gone = JobStore(engine_for("postgresql://nobody@127.0.0.1:1/gone", tmp_path))
    deaf = Listener(node.settings, node.spool, gone)
    deaf.start()
    node.listener, works = deaf, node.listener
    with node.association() as association:
        assert status_of(association.send_c_store(dataset)) == 0xA700
    deaf.stop()

    node.listener = works
    with node.association() as association:
        assert status_of(association.send_c_store(dataset)) == 0x0000
    assert node.files() == [node.job().path]


def test_mistake_of_ours_is_answered_and_sending_again_helps(tmp_path: Path, make_dx: Any) -> None:
    node, dataset = Running(tmp_path), make_dx()
    node.listener = Listener(node.settings, node.spool, node.store, lambda: 1 / 0)
    node.listener.start()
    with node.association() as association:
        assert [status_of(association.send_c_store(dataset)) for _ in range(2)] == [0xA700, 0x0000]
    node.listener.stop()
    node.engine.dispose()

    assert node.job().state is State.QUEUED


# ---- peers that vanish, or never were any


def test_sender_that_dies_halfway_leaves_nothing(run: Run, make_dx: Any) -> None:
    node = run()
    association = node.associate()
    begin(node, association, make_dx(1024, 1024))

    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

    wait_until(lambda: node.files() == [])
    assert node.store.jobs() == []
    assert node.answers_echo()


def test_sender_that_falls_silent_halfway_is_dropped(run: Run, make_dx: Any) -> None:
    node = run(network_timeout_s=0.5)
    association = node.associate()
    begin(node, association, make_dx(1024, 1024))

    wait_until(lambda: node.files() == [])

    assert node.store.jobs() == []
    assert node.answers_echo()
    association.abort()


def test_sender_that_falls_silent_within_a_pdu_is_dropped(run: Run) -> None:
    node, before = run(network_timeout_s=0.5), threading.active_count()
    association = node.associate()

    association.dul.socket.socket.sendall(b"\x04\x00\x00\x00\x40\x00" + bytes(100))  # type: ignore[union-attr]

    wait_until(lambda: threading.active_count() <= before)
    assert not association.is_established


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        bytes(range(256)) * 40,
        b"\x04\x00\xff\xff\xff\xff" + bytes(10_000),
        b"\x01\x00\x00\x00\x00\x10" + b"\xff" * 16,
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x03",
        b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",
    ],
    ids=["http", "tls", "bytes", "endless PDU", "bad request", "data first", "abort first"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_stream_that_is_no_dicom_is_dropped(noise: bytes, run: Run) -> None:
    node = run(network_timeout_s=1.0)
    with socket.create_connection(("127.0.0.1", node.listener.port), DEADLINE_S) as peer:
        peer.sendall(noise)
        try:
            while peer.recv(4096):
                pass
        except ConnectionResetError:
            pass

    assert node.answers_echo()


def test_silent_connections_are_hung_up_on_and_hold_nobody_up(run: Run, make_dx: Any) -> None:
    node = run(network_timeout_s=1.0)
    address = ("127.0.0.1", node.listener.port)
    silent = [socket.create_connection(address, DEADLINE_S) for _ in range(10)]

    with node.association() as association:
        assert status_of(association.send_c_store(make_dx())) == 0x0000

    for peer in silent:
        assert peer.recv(1) == b""
        peer.close()


def test_probes_leave_nothing_and_do_not_count_as_associations(run: Run) -> None:
    node, before = run(max_associations=1, network_timeout_s=60.0), threading.active_count()
    for _ in range(20):
        socket.create_connection(("127.0.0.1", node.listener.port), DEADLINE_S).close()

    wait_until(lambda: threading.active_count() <= before, ARTIM_S - 2)
    assert node.answers_echo()


# ---- who may


def test_only_listed_callers_are_taken(run: Run) -> None:
    node = run(calling_ae_titles=("CR1", "CR2"))

    assert node.associate(ae_title="OTHER").is_rejected
    association = node.associate(ae_title="CR2")
    assert association.is_established
    association.release()


def test_only_listed_titles_may_be_called(run: Run) -> None:
    node = run(called_ae_titles=("PAXNODE", "SECOND"))

    assert node.associate(called="OTHER").is_rejected
    for title in ("PAXNODE", "SECOND"):
        association = node.associate(called=title)
        assert association.is_established
        association.release()


def test_association_over_the_limit_is_rejected_for_now(run: Run) -> None:
    node = run(max_associations=2)
    first, second = node.associate(), node.associate()

    third = node.associate()

    assert third.is_rejected
    rejection: Any = third.acceptor.primitive
    assert (rejection.result, rejection.result_source, rejection.diagnostic) == (
        2,
        3,
        2,
    )  # transient, PS3.8 9.3.4
    first.release()
    wait_until(node.answers_echo_now)
    second.release()


# ---- starting, stopping, logging


def test_port_in_use_is_told(run: Run, tmp_path: Path) -> None:
    node = run()
    other = Listener(node.settings.model_copy(update={"port": node.listener.port}), node.spool, node.store)

    with pytest.raises(NodeError, match=f"cannot listen on 127.0.0.1:{node.listener.port}: Address already"):
        other.start()


def test_stop_lets_an_object_on_its_way_end_and_takes_no_new_connection(run: Run, make_dx: Any) -> None:
    node = run()
    port = node.listener.port
    association = node.associate()
    rest = begin(node, association, make_dx(1024, 1024))
    stopping = threading.Thread(target=node.listener.stop)
    stopping.start()
    wait_until(lambda: not _is_open(port))

    for piece in rest:
        association.dul.send_pdu(piece)
    stopping.join(DEADLINE_S)

    assert not stopping.is_alive()
    assert node.job().state is State.QUEUED


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def test_stop_does_not_wait_for_an_idle_association(run: Run) -> None:
    node = run()
    association = node.associate()
    begun = time.monotonic()

    node.listener.stop()

    assert time.monotonic() - begun < 5
    wait_until(lambda: not association.is_established)


def test_log_tells_uids_and_statuses_and_nothing_of_the_patient(run: Run, make_dx: Any) -> None:
    written = io.StringIO()
    configure_logs("DEBUG", "json", written)
    node, dataset = run(), make_dx(PatientName="Canary^Yellow", SOPInstanceUID=generate_uid())
    with node.association() as association:
        association.send_c_store(dataset)

    assert dataset.SOPInstanceUID in written.getvalue()
    assert "0x0000" in written.getvalue()
    assert "Canary" not in written.getvalue()
