"""What the listener takes: durable and in the database before it is acknowledged, and each object once."""

import hashlib
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    MRImageStorage,
    UltrasoundImageStorage,
)
from sqlalchemy import event as sqlalchemy_event

from node.contexts import STORAGE_CLASSES, transfer_syntaxes
from node.identities import JobSearch
from node.jobs import Priority
from node.priorities import Priorities
from node.rule_facts import Titles
from node.states import State

DX = DigitalXRayImageStorageForPresentation


# ---- what is taken


def test_echo_is_answered(run: Any) -> None:
    assert run().answers_echo()


@pytest.mark.parametrize("sop_class", STORAGE_CLASSES, ids=lambda sop_class: sop_class.name)
def test_object_of_every_class_is_on_disk_and_in_the_database_when_it_is_acknowledged(
    sop_class: UID, run: Any, make_dx: Any
) -> None:
    node, dataset = run(), make_dx(SOPClassUID=sop_class)
    with node.association((sop_class, ExplicitVRLittleEndian)) as association:
        assert association.send_c_store(dataset).Status == 0x0000
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
    assert (job.digest, job.size) == (
        hashlib.sha256(f"{ExplicitVRLittleEndian}\n".encode() + node.explicit(dataset)).hexdigest(),
        len(node.explicit(dataset)),
    )
    assert node.files() == [job.path]
    assert node.rings == 1


@pytest.mark.parametrize("syntax", transfer_syntaxes(), ids=lambda syntax: syntax.name)
def test_every_transfer_syntax_that_can_be_decoded_is_taken_as_it_is(
    syntax: UID, run: Any, make_dx: Any
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
        assert association.send_c_store(dataset).Status == 0x0000

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


def test_class_that_is_no_radiograph_is_not_negotiated(run: Any) -> None:
    with run().association((CTImageStorage, ExplicitVRLittleEndian)) as association:
        assert [context.abstract_syntax for context in association.rejected_contexts] == [CTImageStorage]


@pytest.mark.parametrize(
    ("proposed", "told"),
    [
        ([DX], None),
        ([DX, CTImageStorage], "not accepted: CT Image Storage"),
        (
            [CTImageStorage, MRImageStorage, UltrasoundImageStorage, EncapsulatedPDFStorage],
            "not accepted: CT Image Storage, Encapsulated PDF Storage, MR Image Storage and 1 more",
        ),
    ],
)
def test_the_log_names_what_was_not_accepted(
    run: Any, lines: io.StringIO, proposed: list[UID], told: str | None
) -> None:
    node = run()
    with node.association(*((each, ExplicitVRLittleEndian) for each in proposed)):
        pass
    node.listener.stop()

    said = map(json.loads, lines.getvalue().splitlines())
    assert [line.get("reason") for line in said if line["event"] == "association ended"] == [told]


def test_what_a_peer_writes_in_place_of_a_uid_is_not_logged(run: Any, lines: io.StringIO) -> None:
    node = run()
    proposed = ["SMITH JOHN 1960", "DOE^JANE", "1.2.3.4", CTImageStorage]
    with node.association(*((UID(each), ExplicitVRLittleEndian) for each in proposed)):
        pass
    node.listener.stop()
    said = lines.getvalue()
    assert '"reason": "not accepted: 1.2.3.4, CT Image Storage, what is no UID"' in said
    assert "SMITH" not in said
    assert "DOE" not in said


def test_a_class_that_comes_in_no_transfer_syntax_of_ours_is_told_so(run: Any, lines: io.StringIO) -> None:
    node = run()
    with node.association((DX, UID("1.2.3.4"))):
        pass
    node.listener.stop()
    assert f"not accepted: {DX.name} (in no transfer syntax of ours)" in lines.getvalue()


def test_several_objects_come_in_one_association(run: Any, make_dx: Any) -> None:
    node = run()
    with node.association() as association:
        assert {association.send_c_store(make_dx()).Status for _ in range(5)} == {0x0000}

    assert node.store.counts()[State.QUEUED] == node.rings == 5


@pytest.mark.filterwarnings("ignore:Unknown encoding")  # pydicom's, which the node's log leaves out
@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_odd_character_set_and_odd_values_are_no_reason_to_refuse(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx(SpecificCharacterSet="ISO_IR 6")
    content = (
        node.explicit(dataset)
        .replace(b"ISO_IR 6", b"NONSENSE")
        .replace(b"Synthetic^Chest", b"S\xfc\xff\x00^Chest....")
    )
    with node.association() as association:
        sent = association.send_c_store(node.raw_file(content, uid=dataset.SOPInstanceUID))

    assert sent.Status == 0x0000
    assert node.job().state is State.QUEUED


def test_eight_senders_at_once_lose_nothing(run: Any, make_dx: Any) -> None:
    node = run()
    sent = [[make_dx(InstanceNumber=10 * sender + number) for number in range(5)] for sender in range(8)]

    def send(datasets: list[Dataset]) -> set[int]:
        with node.association() as association:
            return {association.send_c_store(dataset).Status for dataset in datasets}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, sent)) == [{0x0000}] * 8

    jobs = {job.sop_instance_uid: job for job in node.store.jobs()}
    for dataset in (dataset for datasets in sent for dataset in datasets):
        job = jobs.pop(dataset.SOPInstanceUID)
        assert job.state is State.QUEUED
        assert dcmread(node.spool.path(job.path)) == dataset
    assert not jobs


# ---- the same again


def test_same_object_again_is_acknowledged_and_kept_once(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    with node.association() as association:
        assert [association.send_c_store(dataset).Status for _ in range(3)] == [0x0000] * 3

    assert node.files() == [node.job().path]
    assert node.rings == 1


def test_other_content_under_the_same_uid_is_kept_and_quarantined(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    with node.association() as association:
        association.send_c_store(dataset)
        dataset.PatientID = "SYNTHETIC-2"
        assert association.send_c_store(dataset).Status == 0x0000

    second, first = node.store.jobs()
    assert (first.state, second.state) == (State.QUEUED, State.QUARANTINED)
    assert dcmread(node.spool.path(first.path)).PatientID == "SYNTHETIC-1"
    assert dcmread(node.spool.path(second.path)).PatientID == "SYNTHETIC-2"


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_same_bytes_in_another_transfer_syntax_are_other_content_with_a_header_of_their_own(
    run: Any, make_dx: Any
) -> None:
    node, dataset = run(), make_dx()
    content, uid = node.explicit(dataset), dataset.SOPInstanceUID
    for syntax in (JPEGLSLossless, ExplicitVRLittleEndian):
        with node.association((DX, syntax)) as association:
            sent = association.send_c_store(node.raw_file(content, uid, syntax))
        assert sent.Status == 0x0000

    second, first = node.store.jobs()
    assert (first.transfer_syntax_uid, second.transfer_syntax_uid) == (JPEGLSLossless, ExplicitVRLittleEndian)
    for job in (first, second):
        stored = dcmread(node.spool.path(job.path), stop_before_pixels=True)
        assert stored.file_meta.TransferSyntaxUID == job.transfer_syntax_uid


# ---- before it is acknowledged


@pytest.mark.parametrize("folder_is_there", [False, True], ids=["first of its folder", "not the first"])
def test_bytes_then_folders_then_row_are_durable_before_success_is_said(
    folder_is_there: bool, run: Any, make_dx: Any, disk: list[str]
) -> None:
    node, dataset = run(), make_dx()
    digest = hashlib.sha256(f"{ExplicitVRLittleEndian}\n".encode() + node.explicit(dataset)).hexdigest()
    if folder_is_there:  # another thread has just made it, and may not have come to sync its parent
        (node.folder / "objects" / digest[:2]).mkdir()
    sqlalchemy_event.listen(node.engine, "commit", lambda _connection: disk.append("commit"))
    with node.association() as association:
        disk.clear()
        assert association.send_c_store(dataset).Status == 0x0000
        disk.append("success")

    assert [re.sub(r"[0-9a-f]{32,}", "*", step.replace(f"{node.folder}/", "")) for step in disk] == [
        "fsync incoming/*.dcm",
        "fsync objects",
        f"rename incoming/*.dcm objects/{digest[:2]}/*.dcm",
        f"fsync objects/{digest[:2]}",
        "commit",
        "success",
    ]


@pytest.mark.parametrize(
    ("asked", "urgent_titles", "priority"),
    [
        (0x0001, (), Priority.URGENT),
        (0x0002, (), Priority.ROUTINE),
        (0x0000, (), Priority.ROUTINE),
        (0x0002, ("MODALITY",), Priority.URGENT),
    ],
)
def test_job_has_the_priority_that_its_sender_asks_for_or_always_has(
    asked: int, urgent_titles: tuple[str, ...], priority: Priority, run: Any, make_dx: Any
) -> None:
    node = run(urgent_ae_titles=urgent_titles)
    with node.association() as association:
        assert association.send_c_store(make_dx(), priority=asked).Status == 0x0000

    assert node.job().priority is priority


def test_rules_say_the_priority_where_they_say_one(run: Any, make_dx: Any) -> None:
    node = run(urgent_ae_titles=("MODALITY",))
    heard: list[Titles] = []

    def low_for_children(header: Dataset, titles: Titles) -> Priority | None:
        heard.append(titles)
        return Priority.LOW if header.PatientAge == "007Y" else None

    node.listener.priorities = Priorities(("MODALITY",), low_for_children)
    with node.association() as association:
        for age in ("007Y", "070Y"):
            assert association.send_c_store(make_dx(PatientAge=age), priority=0x0002).Status == 0x0000

    assert heard == [Titles("MODALITY", node.store.jobs()[0].called_ae_title)] * 2
    assert {job.priority for job in node.store.jobs()} == {Priority.LOW, Priority.URGENT}


def test_a_header_that_rules_cannot_be_asked_about_is_taken_as_its_sender_asks(
    run: Any, make_dx: Any
) -> None:
    node = run()

    def never(_header: Dataset, _titles: Titles) -> Priority | None:
        raise ValueError("a header that nobody foresaw")

    node.listener.priorities = Priorities((), never)
    with node.association() as association:
        assert association.send_c_store(make_dx()).Status == 0x0000

    assert node.job().priority is Priority.ROUTINE


def test_by_what_people_look_for_an_image_is_kept_at_reception(run: Any, make_dx: Any) -> None:
    node = run()
    with node.association() as association:
        association.send_c_store(make_dx(AccessionNumber="A77"))
        association.send_c_store(make_dx(AccessionNumber="A78"))

    (found,) = node.store.find(JobSearch(accession_number="A77", calling_ae_title="MODALITY"))
    assert found.called_ae_title
    assert node.store.find(JobSearch(patient_id="SYNTHETIC-1", calling_ae_title="OTHER")) == []
    assert len(node.store.find(JobSearch(patient_id="SYNTHETIC-1"))) == 2
