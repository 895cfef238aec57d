"""The archive keeps what it acknowledges, once, and counts every arrival."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    SegmentationStorage,
    generate_uid,
)
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from node.archive import Archive
from node.implementation import Entity


def _object(sop_class: str = SegmentationStorage) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.PatientID = "SYNTHETIC-1"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _call(archive: Archive, *syntaxes: str) -> Association:
    ae = Entity("TEST")
    for sop_class in (SegmentationStorage, ComprehensiveSRStorage):
        ae.add_requested_context(sop_class, list(syntaxes) or [ExplicitVRLittleEndian])
    ae.add_requested_context(Verification)
    association = ae.associate(archive.host, archive.port, ae_title=archive.ae_title)
    assert association.is_established
    return association


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as running:
        yield running


def test_archive_answers_c_echo(archive: Archive) -> None:
    association = _call(archive)
    assert association.send_c_echo().Status == 0x0000
    association.release()


@pytest.mark.parametrize("sop_class", [SegmentationStorage, ComprehensiveSRStorage])
def test_archive_keeps_an_object_under_its_uid(archive: Archive, sop_class: str) -> None:
    sent = _object(sop_class)
    association = _call(archive)
    assert association.send_c_store(sent).Status == 0x0000
    association.release()
    kept = dcmread(archive.path(sent.SOPInstanceUID))
    assert kept == sent
    assert kept.file_meta.MediaStorageSOPClassUID == sop_class
    assert archive.wait_for(1, timeout_s=5)


def test_archive_takes_a_deflated_object(archive: Archive) -> None:
    sent = _object()
    sent.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    association = _call(archive, DeflatedExplicitVRLittleEndian)
    assert association.send_c_store(sent).Status == 0x0000
    association.release()
    kept = dcmread(archive.path(sent.SOPInstanceUID))
    assert kept.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert kept.PatientID == "SYNTHETIC-1"


def test_archive_counts_repetitions_also_after_a_restart(tmp_path: Path) -> None:
    sent = _object()
    for _ in range(2):
        with Archive(tmp_path) as archive:
            association = _call(archive)
            association.send_c_store(sent)
            association.release()
    assert archive.counts == {sent.SOPInstanceUID: 2}
    assert len({arrival.digest for arrival in archive.arrivals}) == 1


def test_archive_keeps_nothing_that_it_refuses(tmp_path: Path) -> None:
    sent = _object()
    with Archive(tmp_path, answer=lambda _uid, before: 0xA700 if before == 0 else 0xB000) as archive:
        association = _call(archive)
        assert association.send_c_store(sent).Status == 0xA700
        assert not archive.counts
        assert not archive.path(sent.SOPInstanceUID).exists()
        assert association.send_c_store(sent).Status == 0xB000
        assert archive.counts == {sent.SOPInstanceUID: 1}
        association.release()


def test_archive_refuses_what_it_was_not_told_to_accept(tmp_path: Path) -> None:
    with Archive(tmp_path, contexts=[build_context(SegmentationStorage)]) as archive:
        association = _call(archive)
        assert [context.abstract_syntax for context in association.accepted_contexts] == [SegmentationStorage]
        association.release()
