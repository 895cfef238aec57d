"""Objects travel by C-STORE; each has its own outcome, and what went wrong is said in words."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset, dcmread
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    SegmentationStorage,
    generate_uid,
)
from pynetdicom import AE, build_context, evt

from config.settings import Destination
from node.archive import Archive
from node.outcome import Outcome, Verdict
from node.transport import MAX_OBJECTS, DimseTransport, Outgoing

# pynetdicom 3.0.4 leaves a socket that could not connect to the garbage collector.
UNCONNECTED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
TEXT = {BaseTag(0x00100010): "PN", BaseTag(0x00100020): "LO"}
pytestmark = pytest.mark.filterwarnings(UNCONNECTED)


def _write(
    folder: Path, sop_class: str = SegmentationStorage, syntax: UID = ExplicitVRLittleEndian
) -> Outgoing:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.PatientID = "SYNTHETIC-1"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return Outgoing(dataset.SOPInstanceUID, path)


def _compress(dataset: Dataset, pixels: npt.NDArray[np.uint8]) -> None:
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.compress(RLELossless, pixels, encoding_plugin="pydicom", generate_instance_uid=False)


def _at(port: int, timeout_s: float = 5) -> Destination:
    return Destination(name="archive", ae_title="ARCHIVE", host="127.0.0.1", port=port, timeout_s=timeout_s)


def _send(port: int, objects: Sequence[Outgoing], timeout_s: float = 5) -> list[Outcome]:
    return list(DimseTransport("PAXNODE").send(_at(port, timeout_s), objects))


@contextmanager
def _archive(folder: Path, *syntaxes: str, sop_class: str = SegmentationStorage) -> Iterator[Archive]:
    contexts = [build_context(sop_class, list(syntaxes))] if syntaxes else None
    with Archive(folder / "archive", contexts=contexts) as archive:
        yield archive


def test_objects_of_several_kinds_travel_in_one_association(tmp_path: Path) -> None:
    objects = [_write(tmp_path), _write(tmp_path, Comprehensive3DSRStorage), _write(tmp_path)]
    objects.append(_write(tmp_path, SegmentationStorage, DeflatedExplicitVRLittleEndian))
    with _archive(tmp_path) as archive:
        outcomes = _send(archive.port, objects)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 4
    assert [a.sop_instance_uid for a in archive.arrivals] == [o.sop_instance_uid for o in objects]
    for outgoing in objects:
        sent, kept = dcmread(outgoing.path), dcmread(archive.path(outgoing.sop_instance_uid))
        assert kept == sent
        assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("accepted", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_deflated_object_is_encoded_anew_for_a_peer_that_takes_only_a_plain_syntax(
    tmp_path: Path, accepted: UID
) -> None:
    deflated = _write(tmp_path, SegmentationStorage, DeflatedExplicitVRLittleEndian)
    with _archive(tmp_path, accepted) as archive:
        (outcome,) = _send(archive.port, [deflated])
    assert outcome.verdict is Verdict.STORED
    kept = dcmread(archive.path(deflated.sop_instance_uid))
    assert kept.file_meta.TransferSyntaxUID == accepted
    assert kept.PatientID == "SYNTHETIC-1"


def test_object_in_rle_is_decompressed_for_a_peer_that_takes_only_a_plain_syntax(tmp_path: Path) -> None:
    pixels = np.arange(2 * 7 * 9, dtype=np.uint8).reshape(2, 7, 9)
    outgoing = _write(tmp_path)
    dataset = dcmread(outgoing.path)
    _compress(dataset, pixels)
    dataset.save_as(outgoing.path, enforce_file_format=True)
    with _archive(tmp_path, ImplicitVRLittleEndian) as archive:
        [outcome] = _send(archive.port, [outgoing])
        kept = dcmread(archive.path(outgoing.sop_instance_uid))
    assert outcome.verdict is Verdict.STORED
    assert kept.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert np.array_equal(kept.pixel_array, pixels)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("accepted", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_text_keeps_its_bytes_whatever_character_set_is_stated(
    tmp_path: Path, syntax: UID, accepted: UID
) -> None:
    japanese = "山田太郎".encode("shift_jis")  # stated to be UTF-8, and no UTF-8
    outgoing = _write(tmp_path, syntax=ExplicitVRLittleEndian)
    dataset, item = dcmread(outgoing.path), Dataset()
    if syntax.is_compressed:
        _compress(dataset, np.zeros((2, 8, 8), np.uint8))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.BurnedInAnnotation, dataset.PixelAspectRatio = "NO", None
    dataset.OtherPatientIDsSequence = [item]
    for each in (dataset, item):
        for tag, vr in TEXT.items():
            each[tag] = RawDataElement(tag, vr, len(japanese), japanese, 0, False, True)
    dataset.set_original_encoding(False, True, convert_encodings("ISO_IR 192"))
    item.set_original_encoding(False, True, default_encoding)
    dataset.save_as(outgoing.path, enforce_file_format=True)
    if not syntax.is_deflated:
        assert outgoing.path.read_bytes().count(japanese) == 2 * len(TEXT)
    with _archive(tmp_path, accepted) as archive:
        (outcome,) = _send(archive.port, [outgoing])
    assert outcome.verdict is Verdict.STORED
    kept = dcmread(archive.path(outgoing.sop_instance_uid))
    assert kept.file_meta.TransferSyntaxUID == accepted
    for each in (kept, kept.OtherPatientIDsSequence[0]):
        assert [each.get_item(tag).value for tag in TEXT] == [japanese, japanese]


PREFERRED = (RLELossless, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian)


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ([ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian], 2),
        ([ExplicitVRLittleEndian, ImplicitVRLittleEndian], 0),
        ([RLELossless, ImplicitVRLittleEndian], 1),  # RLE is not for what has a bit a pixel, or none
    ],
)
def test_the_first_preferred_syntax_that_the_peer_accepts_is_taken_for_each_association(
    tmp_path: Path, accepted: list[UID], taken: int
) -> None:
    outgoing = replace(_write(tmp_path), preferred=PREFERRED)
    with _archive(tmp_path, *accepted) as archive:
        [outcome] = _send(archive.port, [outgoing])
        kept = dcmread(archive.path(outgoing.sop_instance_uid))
    assert outcome.verdict is Verdict.STORED
    assert kept.file_meta.TransferSyntaxUID == accepted[taken]
    assert kept == dcmread(outgoing.path)


def test_bytes_go_in_the_preferred_compression_and_hold_the_same_pixels(tmp_path: Path) -> None:
    pixels = np.arange(2 * 64 * 72, dtype=np.int64).astype(np.uint8).reshape(2, 64, 72)
    outgoing = replace(_write(tmp_path), preferred=(JPEG2000Lossless, RLELossless))
    dataset = dcmread(outgoing.path)
    _compress(dataset, pixels)
    dataset.save_as(outgoing.path, enforce_file_format=True)
    with _archive(tmp_path) as archive:
        [outcome] = _send(archive.port, [outgoing])
        kept = dcmread(archive.path(outgoing.sop_instance_uid))
    assert outcome.verdict is Verdict.STORED
    assert kept.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert np.array_equal(kept.pixel_array, pixels)


def test_refused_context_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    report, segmentation = _write(tmp_path, Comprehensive3DSRStorage), _write(tmp_path)
    with _archive(tmp_path, ExplicitVRLittleEndian) as archive:
        first, second = _send(archive.port, [report, segmentation])
    assert first.verdict is Verdict.PERMANENT
    assert "no presentation context for Comprehensive 3D SR Storage in Explicit VR" in first.reason
    assert second.verdict is Verdict.STORED


def test_refusal_of_every_context_is_told_per_object(tmp_path: Path) -> None:
    encapsulated = _write(tmp_path, SegmentationStorage, JPEG2000Lossless)
    with _archive(tmp_path, ExplicitVRLittleEndian) as archive:
        (outcome,) = _send(archive.port, [encapsulated])
    assert outcome.verdict is Verdict.PERMANENT
    assert "Segmentation Storage in JPEG 2000" in outcome.reason


def test_each_object_has_the_status_that_the_peer_gave_it(tmp_path: Path) -> None:
    objects = [_write(tmp_path) for _ in range(4)]
    statuses = dict(zip((o.sop_instance_uid for o in objects), [0, 0xA700, 0xC000, 0x0111], strict=True))
    with Archive(tmp_path / "archive", answer=lambda uid, _before: statuses[uid]) as archive:
        outcomes = _send(archive.port, objects)
    assert [o.status for o in outcomes] == list(statuses.values())
    assert [str(o.verdict) for o in outcomes] == ["stored", "transient", "permanent", "stored"]


def test_peer_that_is_down_leaves_every_object_unsent(tmp_path: Path) -> None:
    with socket.socket() as unused:  # bound but not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        outcomes = _send(unused.getsockname()[1], [_write(tmp_path), _write(tmp_path)])
    assert [o.verdict for o in outcomes] == [Verdict.UNSENT] * 2
    assert "no connection to ARCHIVE at 127.0.0.1" in outcomes[0].reason
    assert "(Connection refused)" in outcomes[0].reason
    assert outcomes[0].unanswered


@pytest.mark.parametrize("host", ["archive.invalid", "archive..local", f"{'a' * 70}.local"])
def test_unknown_host_leaves_every_object_unsent(tmp_path: Path, host: str) -> None:
    nowhere = _at(104).model_copy(update={"host": host})
    (outcome,) = DimseTransport("PAXNODE").send(nowhere, [_write(tmp_path)])
    assert outcome.verdict is Verdict.UNSENT


def test_rejected_association_is_told_with_its_reason(tmp_path: Path) -> None:
    ae = AE("OTHER")
    ae.add_supported_context(SegmentationStorage)
    ae.require_called_aet = True
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    (outcome,) = _send(server.server_address[1], [_write(tmp_path)])
    ae.shutdown()
    assert outcome.verdict is Verdict.BARRED
    assert "rejected the association (Rejected Permanent: Called AE title not recognised)" in outcome.reason
    assert "a matter of configuration" in outcome.reason


PATIENCE_S = (0.5, 2.0, 8.0)
"""Timeouts to try one after the other: on a busy machine even a willing peer takes longer than the first."""


def test_peer_that_accepts_connections_and_says_nothing_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for timeout_s in PATIENCE_S:
            (outcome,) = _send(silent.getsockname()[1], [_write(tmp_path)], timeout_s=timeout_s)
            if "no connection" not in outcome.reason:
                break
    assert outcome.verdict is Verdict.UNSENT
    assert f"did not answer within {timeout_s:g} s" in outcome.reason


def test_peer_that_breaks_off_leaves_the_object_in_hand_transient_and_the_rest_unsent(tmp_path: Path) -> None:
    objects = [_write(tmp_path) for _ in range(3)]

    def abort_at_the_second(event: evt.Event) -> int:
        if getattr(event.request, "AffectedSOPInstanceUID", "") == objects[1].sop_instance_uid:
            event.assoc.abort()
        return 0x0000

    ae = AE("ARCHIVE")
    ae.add_supported_context(SegmentationStorage)
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, abort_at_the_second)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    outcomes = _send(server.server_address[1], objects)
    ae.shutdown()
    assert [str(o.verdict) for o in outcomes] == ["stored", "transient", "unsent"]
    assert "broke" in outcomes[1].reason
    assert "ended before this object was sent" in outcomes[2].reason


def test_peer_that_never_answers_a_c_store_is_given_up_in_time(tmp_path: Path) -> None:
    released, reached = threading.Event(), threading.Event()

    def hang(_uid: str, _before: int) -> int:
        reached.set()
        released.wait(60)
        return 0x0000

    with Archive(tmp_path / "archive", answer=hang) as archive:
        for timeout_s in PATIENCE_S:
            outcomes = _send(archive.port, [_write(tmp_path), _write(tmp_path)], timeout_s=timeout_s)
            if reached.is_set():
                break
        released.set()
    assert [str(o.verdict) for o in outcomes] == ["transient", "unsent"]


def test_missing_file_is_permanent_and_does_not_stop_the_others(tmp_path: Path) -> None:
    gone = Outgoing("1.2.3", tmp_path / "gone.dcm")
    broken = Outgoing("1.2.4", tmp_path / "broken.dcm")
    broken.path.write_bytes(b"not DICOM")
    with _archive(tmp_path) as archive:
        outcomes = _send(archive.port, [gone, broken, _write(tmp_path)])
    assert [str(o.verdict) for o in outcomes] == ["permanent", "permanent", "stored"]
    assert "cannot be read (FileNotFoundError)" in outcomes[0].reason


def test_file_that_the_disk_does_not_give_now_is_tried_again_and_no_fault_of_the_peers(
    tmp_path: Path,
) -> None:
    unreadable = Outgoing("1.2.3", tmp_path / "folder.dcm")
    unreadable.path.mkdir()
    (outcome,) = _send(1, [unreadable])
    assert (outcome.verdict, outcome.unanswered) == (Verdict.TRANSIENT, False)
    assert outcome.reason == "the result's file cannot be read (Is a directory)"


def test_only_missing_files_need_no_association(tmp_path: Path) -> None:
    (outcome,) = _send(1, [Outgoing("1.2.3", tmp_path / "gone.dcm")])
    assert outcome.verdict is Verdict.PERMANENT


def test_too_many_objects_for_one_association_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 64"):
        _send(1, [Outgoing("1.2.3", tmp_path / "a.dcm")] * (MAX_OBJECTS + 1))
