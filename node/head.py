"""What a received data set says of its identity, read without its pixels."""

import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from node.attributes import CONVERSION_ERRORS
from node.errors import UndecodableError
from node.structure import Encoding, check_head

HEAD_BYTES = 4 * 1_048_576
"""The identity must stand within so many bytes of the (inflated) data set."""

SERIES_INSTANCE_UID = 0x0020000E
"""The last attribute that is looked for (PS3.6); elements are sorted by tag (PS3.5 7.1)."""


@dataclass(frozen=True)
class Head:
    """UIDs as they stand in the data set; empty where one is missing."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


def read_head(path: Path, offset: int, transfer_syntax: UID) -> Head:
    """Return the UIDs in a data set that begins at an offset of a file.

    Raises:
        UndecodableError: The bytes are no data set in this transfer syntax.
    """
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read(HEAD_BYTES)
    try:
        if transfer_syntax == DeflatedExplicitVRLittleEndian:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, HEAD_BYTES)
        return _head(content, transfer_syntax)
    except (*CONVERSION_ERRORS, zlib.error) as error:
        raise UndecodableError(f"the data set cannot be parsed: {type(error).__name__}") from error


def _head(content: bytes, transfer_syntax: UID) -> Head:
    encoding = Encoding(transfer_syntax.is_implicit_VR, transfer_syntax.is_little_endian)
    check_head(content, encoding, SERIES_INSTANCE_UID)
    dataset = read_dataset(
        BytesIO(content),
        encoding.implicit,
        encoding.little,
        stop_when=lambda tag, _vr, _length: int(tag) > SERIES_INSTANCE_UID,
    )
    names = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    head = Head(*(str(dataset.get(name) or "").replace("\0", "") for name in names))
    if not (head.sop_class_uid or head.sop_instance_uid):
        raise UndecodableError("the data set has no SOP Class UID and no SOP Instance UID")
    return head
