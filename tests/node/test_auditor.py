"""The audit trail tells what was received, sent, removed and refused; off, it reads nothing."""

import gc
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydicom import Dataset
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from sqlalchemy import Engine

from config.settings import Destination
from node.auditor import AuditTrail, Channel
from node.head import identity_of_file
from node.implementation import Entity
from node.listener import Listener
from node.transport import Outgoing, PlainTransport
from tests.node.conftest import Clock
from tests.node.keeping import RULES, House
from tests.node.test_audit_message import check_structure

ARCHIVE = Destination(name="pacs", ae_title="ARCHIVE", host="192.0.2.9", port=104)
DX = "1.2.840.10008.5.1.4.1.1.1.1"


class Heard:
    """What an audit trail said, as XML whose structure was looked at."""

    def __init__(self) -> None:
        self.messages: list[ElementTree.Element] = []
        self.trail = AuditTrail(Channel(self._take, lambda: None, "PAXNODE", "site"))

    def _take(self, message: bytes) -> None:
        self.messages.append(check_structure(message.split(b"\xef\xbb\xbf", 1)[1].decode("utf-8")))

    def told(self) -> list[tuple[str, ...]]:
        """Return for each message its event, its action, and the IDs of its objects."""
        found = []
        for message in self.messages:
            event = message[0]
            objects = message.findall("ParticipantObjectIdentification")
            ids = [str(each.get("ParticipantObjectID")) for each in objects]
            found.append((event[0].attrib["originalText"], event.attrib["EventActionCode"], *ids))
        return found

    def titles(self, number: int = 0) -> list[str | None]:
        return [p.get("UserID") for p in self.messages[number].findall("ActiveParticipant")]


@pytest.fixture
def heard() -> Heard:
    return Heard()


def _files(folder: Path, *datasets: Dataset) -> list[Outgoing]:
    found = []
    for number, dataset in enumerate(datasets):
        path = folder / f"{number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        found.append(Outgoing(dataset.SOPInstanceUID, path))
    return found


def test_start_and_stop_are_told(heard: Heard) -> None:
    heard.trail.started()
    heard.trail.stopped()

    types = [message[0][1].attrib["csd-code"] for message in heard.messages]
    assert heard.told() == [("Application Activity", "E")] * 2
    assert types == ["110120", "110121"]


def test_each_study_of_an_association_is_told_once_when_it_ends(
    run: Callable[..., Any], make_dx: Callable[..., Dataset], heard: Heard
) -> None:
    node = run()
    images = [make_dx(PatientID="A"), make_dx(PatientID="B"), make_dx(PatientID="B")]
    images[2].StudyInstanceUID = images[1].StudyInstanceUID
    with node.listening_with(Listener(node.settings, node.spool, node.store, audit=heard.trail)):
        with node.association() as association:
            assert [association.send_c_store(image).Status for image in images] == [0, 0, 0]
            assert heard.messages == []
        node.listener.stop()

    what = ("DICOM Instances Transferred", "C")
    assert heard.told() == [(*what, images[n].StudyInstanceUID, "AB"[n]) for n in (0, 1)]
    assert heard.titles() == ["MODALITY", "PAXNODE"]
    counts = [c.attrib for message in heard.messages for c in message.iter("SOPClass")]
    assert counts == [{"UID": DX, "NumberOfInstances": "1"}, {"UID": DX, "NumberOfInstances": "2"}]


class Ended:
    """Stands for an association."""


def test_object_that_is_kept_after_its_connection_broke_is_told_at_once(
    tmp_path: Path, make_dx: Callable[..., Dataset], heard: Heard
) -> None:
    first, second = make_dx(PatientID="A"), make_dx(PatientID="B")
    files, association = _files(tmp_path, first, second), Ended()
    heard.trail.received(association, files[0].path)
    heard.trail.association_ended(association, "MODALITY", "192.0.2.1")
    heard.trail.received(association, files[1].path)

    what = ("DICOM Instances Transferred", "C")
    assert heard.told() == [(*what, first.StudyInstanceUID, "A"), (*what, second.StudyInstanceUID, "B")]
    assert heard.titles(1) == ["MODALITY", "PAXNODE"]
    assert heard.trail._received == {}
    del association
    gc.collect()
    assert len(heard.trail._ended) == 0


def test_title_that_is_not_known_is_a_security_alert(run: Callable[..., Any], heard: Heard) -> None:
    node = run(calling_ae_titles=("CR1",))
    with node.listening_with(Listener(node.settings, node.spool, node.store, audit=heard.trail)):
        ae = Entity("STRANGER")
        ae.add_requested_context(Verification)
        assert ae.associate("127.0.0.1", node.listener.port, ae_title="PAXNODE").is_rejected
        node.listener.stop()

    assert heard.told() == [("Security Alert", "E", "STRANGER")]
    assert heard.messages[0][0].attrib["EventOutcomeIndicator"] == "4"
    [words] = heard.messages[0].iter("ParticipantObjectDescription")
    assert words.text == "Rejected Permanent: Calling AE title not recognised"


def test_sending_is_told_at_its_begin_and_what_was_taken_at_its_end(
    tmp_path: Path, make_dx: Callable[..., Dataset], heard: Heard
) -> None:
    first, second = make_dx(PatientID="A"), make_dx(PatientID="B")
    plain = PlainTransport()
    transport = heard.trail.carrying(plain)
    outcomes = transport.send(ARCHIVE, _files(tmp_path, first, second))
    next(outcomes)
    begun = heard.told()
    outcomes.close()

    begin = ("Begin Transferring DICOM Instances", "E")
    assert begun == [(*begin, d.StudyInstanceUID, d.PatientID) for d in (first, second)]
    assert heard.told()[2:] == [("DICOM Instances Transferred", "R", first.StudyInstanceUID, "A")]
    assert heard.titles(2) == ["PAXNODE", "ARCHIVE"]


def test_images_that_retention_removes_are_told_when_they_are_gone(
    tmp_path: Path, make_dx: Callable[..., Dataset], engine: Engine, clock: Clock, heard: Heard
) -> None:
    house = House(tmp_path, engine, clock)
    dataset = make_dx(PatientID="A")
    [file] = _files(tmp_path, dataset)
    job = house.received(file.path.read_bytes())
    house.claimed()
    house.store.refuse(job.id, "worker", "a lateral view")
    house.pass_days(61)
    keeper = house.keeper(RULES)
    keeper._deleted = heard.trail.deleted(house.spool)
    keeper.tidy()

    assert house.files() == []
    assert heard.told() == [("DICOM Study Deleted", "D", dataset.StudyInstanceUID, "A")]


def test_deletion_tells_what_went_and_not_what_was_left(
    tmp_path: Path, make_dx: Callable[..., Dataset], engine: Engine, clock: Clock, heard: Heard
) -> None:
    house = House(tmp_path, engine, clock)
    gone, shared, orphan = [make_dx(PatientID=letter) for letter in "ABC"]
    contents = [file.path.read_bytes() for file in _files(tmp_path, gone, shared, orphan)]
    for content in contents[:2]:
        job = house.received(content)
        house.claimed()
        house.store.refuse(job.id, "worker", "a lateral view")
    keeper = house.keeper(RULES)
    keeper._deleted = heard.trail.deleted(house.spool)
    keeper.tidy()
    house.spool.store_result(contents[2])
    house.pass_days(61)
    house.age()
    os.utime(house.spool.path(house.store.jobs(limit=1)[0].path))  # it was kept again a moment ago

    keeper.tidy()

    what = ("DICOM Study Deleted", "D")
    assert heard.told() == [(*what, gone.StudyInstanceUID, "A"), (*what, orphan.StudyInstanceUID, "C")]
    house.age()
    keeper.tidy()  # now it is a leftover that goes
    assert heard.told()[2:] == [(*what, shared.StudyInstanceUID, "B")]


def test_trail_that_is_off_reads_and_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.auditor.identity_of_file", None)
    off, plain = AuditTrail(), PlainTransport()

    off.started()
    off.received("association", tmp_path / "image.dcm")
    off.association_ended("association", "CR", "192.0.2.1")
    off.rejected("CR", "192.0.2.1", "because")
    off.stopped()
    off.close()

    assert not off.is_on
    assert off.carrying(plain) is plain


def test_file_that_is_gone_or_no_dicom_has_no_identity(tmp_path: Path) -> None:
    (tmp_path / "noise.dcm").write_bytes(os.urandom(500))

    for name in ("gone.dcm", "noise.dcm"):
        assert identity_of_file(tmp_path / name).patient_id == ""


def test_patient_id_is_read_in_its_character_set_and_never_prints(
    tmp_path: Path, make_dx: Callable[..., Dataset]
) -> None:
    dataset = make_dx(SpecificCharacterSet="ISO_IR 100", PatientID="Müller-1")
    [file] = _files(tmp_path, dataset)

    found = identity_of_file(file.path)

    assert found.patient_id == "Müller-1"
    assert not re.search("Müller", repr(found))
