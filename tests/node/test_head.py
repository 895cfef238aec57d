import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.errors import UndecodableError
from node.head import FIRST_BYTES, HEAD_BYTES, Head, _head, _identity, _plain_head, read_head
from node.jobs import Identifiers


def encoded(dataset: Dataset, syntax: UID) -> bytes:
    """Return the data set without preamble and meta information."""
    del dataset.PixelData  # its byte order is nobody's business here
    buffer = BytesIO()
    dataset.save_as(buffer, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    content = buffer.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = packer.compress(content) + packer.flush()
    return content


def head_of(content: bytes, syntax: UID, folder: Path) -> Head:
    path = folder / "object"
    path.write_bytes(b"12345" + content)
    return read_head(path, 5, syntax)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
    ids=lambda syntax: syntax.name,
)
def test_identity_is_read_in_every_encoding(syntax: UID, make_dx: Any, tmp_path: Path) -> None:
    dataset = make_dx()
    del dataset.file_meta
    uids = (dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID)
    expected = Head(*uids, identifiers=Identifiers("SYNTHETIC-1", "", "A1", "DX", "20250102"))

    assert head_of(encoded(dataset, syntax), syntax, tmp_path) == expected


def test_missing_uids_are_empty(make_dx: Any, tmp_path: Path) -> None:
    dataset = make_dx()
    del dataset.file_meta, dataset.StudyInstanceUID

    head = head_of(encoded(dataset, ImplicitVRLittleEndian), ImplicitVRLittleEndian, tmp_path)

    assert head.study_instance_uid == ""
    assert head.series_instance_uid == dataset.SeriesInstanceUID


@pytest.mark.parametrize("content", [b"", bytes((7 * i * i + 3 * i) % 251 for i in range(2000))])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_noise_and_nothing_are_undecodable(content: bytes, syntax: UID, tmp_path: Path) -> None:
    with pytest.raises(UndecodableError, match=r"the data set (cannot be parsed|has no SOP Class UID)"):
        head_of(content, syntax, tmp_path)


@pytest.mark.filterwarnings("ignore:Expected explicit VR")
def test_deflated_zeros_do_not_fill_the_memory(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = packer.compress(bytes(16 * HEAD_BYTES)) + packer.flush()
    tracemalloc.start()

    with pytest.raises(UndecodableError):
        head_of(bomb, DeflatedExplicitVRLittleEndian, tmp_path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * HEAD_BYTES


@pytest.mark.parametrize("uid", [b"\x08\x00\x18\x00US\x03\x00abc", b"\x08\x00\x18\x00FD\x02\x00ab"])
def test_identity_in_another_value_representation_is_no_error_of_ours(uid: bytes, tmp_path: Path) -> None:
    with pytest.raises(UndecodableError):
        head_of(uid, ExplicitVRLittleEndian, tmp_path)


def test_sequences_nested_very_deeply_in_front_of_the_identity_are_told(tmp_path: Path) -> None:
    deep = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 50_000
    with pytest.raises(UndecodableError, match="nested"):
        head_of(b"\x08\x00\x16\x00UI\x02\x001." + deep, ExplicitVRLittleEndian, tmp_path)


def _changed(dataset: Dataset, **attributes: Any) -> Dataset:
    del dataset.file_meta
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("attributes", "is_plain"),
    [
        ({"IssuerOfPatientID": "A hospital (east)", "PatientID": "  blanks around  "}, True),
        ({"PatientID": "", "StudyDate": "", "AccessionNumber": "x" * 15}, True),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientID": "plain"}, True),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientID": "K\xf6ln"}, False),
        ({"SpecificCharacterSet": "ISO_IR 13", "PatientID": "a~b"}, False),
        ({"PatientID": ["FIRST", "SECOND"]}, False),
    ],
)
def test_plain_header_is_read_as_pydicom_reads_it(
    attributes: dict[str, Any], is_plain: bool, syntax: UID, make_dx: Any
) -> None:
    content = encoded(_changed(make_dx(), **attributes), syntax)
    found, wanted = _plain_head(content, syntax), _head(_identity(content, syntax))
    assert found == (wanted if is_plain else None)


def test_header_that_is_not_plain_is_left_to_pydicom(make_dx: Any, tmp_path: Path) -> None:
    """One of undefined length, one beyond the first bytes, some in another value representation or none."""
    dataset = _changed(make_dx())
    content = encoded(dataset, ExplicitVRLittleEndian)
    place = content.index(b"\x08\x00\x60\x00CS")
    pieces = {
        "undefined": b"\x08\x00\x51\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\xdd\xe0\0\0\0\0",
        "long": b"\x08\x00\x51\x00UT\0\0" + FIRST_BYTES.to_bytes(4, "little") + b" " * FIRST_BYTES,
        "none": b"\x08\x00\x51\x00\x02\x00\x00\x00  ",
        "character set": b"\x08\x00\x05\x00LO\x0a\x00ISO_IR 192",
        "another": b"\x08\x00\x50\x00US\x02\x00\x05\x00",
    }
    for piece in pieces.values():
        odd = content[:place] + piece + content[place:]
        assert _plain_head(odd[:FIRST_BYTES], ExplicitVRLittleEndian) is None
        assert head_of(odd, ExplicitVRLittleEndian, tmp_path).series_instance_uid == dataset.SeriesInstanceUID
