"""Patient data sent through the whole node never shows in what it logs, at the loudest level.

With audit messages or without: the Patient ID is in them, as the Standard demands, and nowhere else.
"""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage
from sqlalchemy import select

from node.archive import Archive
from node.database import engine_for, metadata, reading
from node.implementation import Entity
from node.job_store import JobStore
from node.states import PUT_ASIDE, State

ROOT = Path(__file__).parents[2]
CANARY = "Canary^Yellow"
CANARY_ID = "Canary-Ring-77"
AUDIT = """
[audit]
host = "127.0.0.1"
port = {audit_port}
"""
SETTINGS = """
[node]
host = "127.0.0.1"
port = {port}
data_dir = "{data}"
disk_reserve_mb = 0
[model]
bundle = "stand-in"
[logging]
level = "DEBUG"
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {archive_port}
[[rule]]
name = "priority"
when = [{{ attribute = "PatientName", contains = "canary" }}, {{ attribute = "view", is_not = "LL" }}]
priority = "low"
"""
ENDED = {State.DONE, State.DELIVERING, *PUT_ASIDE}


def _images(make_dx: Callable[..., Dataset]) -> list[Dataset]:
    """Return images that are served, refused and not understood, each full of the canary."""
    told = {
        "PatientName": CANARY,
        "PatientID": CANARY_ID,
        "AccessionNumber": CANARY,
        "StudyDescription": CANARY,
        "PatientComments": CANARY,
        "ReferringPhysicianName": CANARY,
    }
    images = [
        make_dx(**told),
        make_dx(**told, BodyPartExamined=CANARY.upper()),
        make_dx(**told, Modality=CANARY),
        make_dx(**told, ViewPosition=CANARY, PhotometricInterpretation=CANARY),
        make_dx(**told, PixelData=b"\0" * 100),
        make_dx(**told, Rows=0),
        make_dx(**told, SOPClassUID=SecondaryCaptureImageStorage),
        make_dx(**told, SOPClassUID=CTImageStorage, Modality="CT"),
    ]
    for image in images:
        image.add_new(0x00100030, "LO", CANARY)  # a birth date with a wrong VR and a wrong value
    return images


def _send(port: int, dataset: Dataset) -> int | None:
    """Return the status; None when the image was refused before it was sent."""
    ae = Entity("MODALITY")
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", port, ae_title="PAXNODE")
    if not association.is_established:
        return None
    status = association.send_c_store(dataset)
    association.release()
    return int(status.Status)


def _until(condition: Callable[[], bool], timeout_s: float = 60) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def _never_taken(_uid: str, before: int) -> int:
    return 0xA700 if before == 0 else 0xC000


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _serving(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "node.cli", "serve", "--config", str(config)]
    with log.open("wb") as file:
        node = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        try:
            yield node
        finally:
            node.kill()
            node.wait()


def _heard(audit: socket.socket) -> list[str]:
    """Return every datagram that has come, as text."""
    audit.setblocking(False)
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(audit.recv(65536).decode("utf-8", "replace"))
    return found


@pytest.mark.parametrize("is_audited", [False, True], ids=["alone", "audited"])
@pytest.mark.filterwarnings("ignore:.*Invalid value:UserWarning", "ignore:A value of type:UserWarning")
def test_patient_data_never_appears_in_a_log(
    tmp_path: Path, make_dx: Callable[..., Dataset], is_audited: bool
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as audit:
        audit.bind(("127.0.0.1", 0))
        more = AUDIT.format(audit_port=audit.getsockname()[1]) if is_audited else ""
        _go(tmp_path, make_dx, more)
        heard = _heard(audit)

    assert any(CANARY_ID in message for message in heard) == is_audited
    assert not any("Yellow" in message for message in heard)  # the ID is enough
    assert _tables_with_the_canary(tmp_path / "data") == {"identities"}  # for the screen of who searches
    if is_audited:
        for event in ("Application Activity", "DICOM Instances Transferred", "Begin Transferring"):
            assert any(event in message for message in heard)


def _tables_with_the_canary(data: Path) -> set[str]:
    engine = engine_for("", data)
    with reading(engine) as connection:
        rows = {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}
    engine.dispose()
    return {name for name, found in rows.items() if CANARY_ID in str(found)}


def _go(tmp_path: Path, make_dx: Callable[..., Dataset], more: str) -> None:
    """Send everything through a node and look at its log."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    images = _images(make_dx)
    config, log, data = tmp_path / "node.toml", tmp_path / "node.log", tmp_path / "data"
    with Archive(tmp_path / "archive", answer=_never_taken) as archive:
        settings = SETTINGS.format(port=port, data=data, archive_port=archive.port)
        config.write_text(settings + more, encoding="utf-8")
        with _serving(config, log) as node:
            assert _until(lambda: _is_listening(port))
            statuses = [_send(port, image) for image in images]
            engine = engine_for("", data)
            store = JobStore(engine)
            assert _until(lambda: all(job.state in ENDED for job in store.jobs()))
            assert _until(lambda: "delivery tried" in log.read_text(encoding="utf-8"))
            states = {job.state for job in store.jobs()}
            engine.dispose()
            node.send_signal(signal.SIGTERM)
            assert node.wait(60) == 0
    assert statuses[0] == 0x0000
    assert {State.REFUSED, State.QUARANTINED} <= states  # the canary went along more than one way
    text = log.read_text(encoding="utf-8")
    for piece in (*CANARY.split("^"), CANARY_ID):
        assert piece.lower() not in text.lower()
    events = {json.loads(line)["event"] for line in text.splitlines()}
    assert {"node started", "job finished", "job ended", "delivery tried", "node stopped"} <= events
