"""What a received data set says of its identity, read without its pixels."""

import re
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from pynetdicom.dsutils import split_dataset

from node.attributes import CONVERSION_ERRORS
from node.errors import UndecodableError
from node.identities import MAX_CHARACTERS, identifiers_in
from node.jobs import Identifiers
from node.structure import PIXEL_DATA, Encoding, check_head, head_values

SPECIFIC_CHARACTER_SET = 0x00080005

HEAD_BYTES = 4 * 1_048_576
"""The identity must stand within so many bytes of the (inflated) data set."""

SERIES_INSTANCE_UID = 0x0020000E
"""The last attribute that is looked for (PS3.6); elements are sorted by tag (PS3.5 7.1)."""


FIRST_BYTES = 65_536
"""The identity mostly stands within so many."""

_UIDS = {0x00080016: "sop_class_uid", 0x00080018: "sop_instance_uid"}
_UIDS |= {0x0020000D: "study_instance_uid", SERIES_INSTANCE_UID: "series_instance_uid"}
_TEXTS = {0x00100020: ("patient_id", b"LO"), 0x00100021: ("issuer", b"LO")}
_TEXTS |= {0x00080050: ("accession_number", b"SH"), 0x00080060: ("modality", b"CS")}
_TEXTS |= {0x00080020: ("study_date", b"DA")}
"""By tag: what `Head` and `Identifiers` call it, and its value representation (PS3.6); UIDs have UI."""

_PLAIN_UID = re.compile(rb"[0-9.]{0,64}\0?")
_PLAIN_TEXT = re.compile(rb"[ -[\]-}]*\0?")
"""One value that every character set of DICOM spells alike: ISO_IR 13 has others for backslash and tilde."""


@dataclass(frozen=True)
class Head:
    """UIDs as they stand in the data set, empty where one is missing; and by what people look for it."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    identifiers: Identifiers = field(default_factory=Identifiers)


@dataclass(frozen=True)
class FileIdentity:
    """Whose a file is; empty where that is missing. The Patient ID never prints."""

    sop_class_uid: str
    study_instance_uid: str
    patient_id: str = field(repr=False)


def read_head(path: Path, offset: int, transfer_syntax: UID) -> Head:
    """Return the UIDs in a data set that begins at an offset of a file.

    Raises:
        UndecodableError: The bytes are no data set in this transfer syntax.
    """
    if transfer_syntax != DeflatedExplicitVRLittleEndian:
        plain = _plain_head(_beginning(path, offset, FIRST_BYTES), transfer_syntax)
        if plain is not None:
            return plain
    content = _beginning(path, offset)
    try:
        return _head(_identity(content, transfer_syntax))
    except (*CONVERSION_ERRORS, zlib.error) as error:
        raise UndecodableError(f"the data set cannot be parsed: {type(error).__name__}") from error


def read_header(path: Path, offset: int, transfer_syntax: UID) -> Dataset | None:
    """Return what stands before the pixels of a data set that begins at an offset of a file.

    None where it cannot be read, or is longer than `HEAD_BYTES`: for what may be known, and need not be.
    """
    try:
        return _before(_beginning(path, offset), transfer_syntax, PIXEL_DATA - 1)
    except (*CONVERSION_ERRORS, zlib.error, UndecodableError):
        return None


def identity_of_file(path: Path) -> FileIdentity:
    """Return whose a DICOM file is; empty where it is gone or cannot be read. For audit messages only."""
    try:
        meta, offset = split_dataset(path)
        dataset = _identity(_beginning(path, offset), UID(meta.TransferSyntaxUID))
        names = ("SOPClassUID", "StudyInstanceUID", "PatientID")
        return FileIdentity(*(_text(dataset, name) for name in names))
    except (*CONVERSION_ERRORS, OSError, zlib.error, InvalidDicomError, UndecodableError):
        return FileIdentity("", "", "")


def _beginning(path: Path, offset: int, size: int = HEAD_BYTES) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)


def _plain_head(content: bytes, transfer_syntax: UID) -> Head | None:
    """Return what stands at the beginning of a data set in plain letters; None: pydicom has to read it."""
    encoding = Encoding(transfer_syntax.is_implicit_VR, transfer_syntax.is_little_endian)
    found = head_values(content, encoding, SERIES_INSTANCE_UID) or {}
    uids = {name: _plain(found.get(tag), b"UI", _PLAIN_UID) for tag, name in _UIDS.items()}
    texts = {name: _plain(found.get(tag), vr, _PLAIN_TEXT) for tag, (name, vr) in _TEXTS.items()}
    if found.get(SPECIFIC_CHARACTER_SET, (b"", b""))[0] not in {b"", b"CS"}:
        return None
    if None in uids.values() or None in texts.values() or not uids["sop_instance_uid"]:
        return None
    cut = {name: (value or "").strip()[:MAX_CHARACTERS] for name, value in texts.items()}
    return Head(**{name: value or "" for name, value in uids.items()}, identifiers=Identifiers(**cut))


def _plain(element: tuple[bytes, bytes] | None, vr: bytes, pattern: re.Pattern[bytes]) -> str | None:
    """Return a value, empty where it is missing; None where it is not plain."""
    if element is None:
        return ""
    found_vr, value = element
    is_plain = found_vr in {b"", vr} and pattern.fullmatch(value)
    return value.rstrip(b"\0").decode("ascii") if is_plain else None


def _identity(content: bytes, transfer_syntax: UID) -> Dataset:
    return _before(content, transfer_syntax, SERIES_INSTANCE_UID)


def _before(content: bytes, transfer_syntax: UID, last_tag: int) -> Dataset:
    """Return the elements up to a tag, that one included."""
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, HEAD_BYTES)
    encoding = Encoding(transfer_syntax.is_implicit_VR, transfer_syntax.is_little_endian)
    check_head(content, encoding, last_tag)
    return read_dataset(
        BytesIO(content),
        encoding.implicit,
        encoding.little,
        stop_when=lambda tag, _vr, _length: int(tag) > last_tag,
    )


def _text(dataset: Dataset, name: str) -> str:
    return str(dataset.get(name) or "").replace("\0", "")


def _head(dataset: Dataset) -> Head:
    names = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    sop_class, instance, study, series = (_text(dataset, name) for name in names)
    head = Head(sop_class, instance, study, series, identifiers_in(dataset))
    if not (head.sop_class_uid or head.sop_instance_uid):
        raise UndecodableError("the data set has no SOP Class UID and no SOP Instance UID")
    return head
