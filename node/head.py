"""What a received data set says of its identity, read without its pixels."""

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
from node.identities import identifiers_in
from node.jobs import Identifiers
from node.structure import PIXEL_DATA, Encoding, check_head

HEAD_BYTES = 4 * 1_048_576
"""The identity must stand within so many bytes of the (inflated) data set."""

SERIES_INSTANCE_UID = 0x0020000E
"""The last attribute that is looked for (PS3.6); elements are sorted by tag (PS3.5 7.1)."""


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


def _beginning(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(HEAD_BYTES)


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
