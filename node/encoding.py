"""From a result to the bytes of its file, as pydicom writes them, in a fraction of the time.

A result holds more than a thousand small items: codes, references, functional groups. pydicom's writer goes
about each of their elements as if it could be anything, and most of the time that results took went there.
Here the few forms that they are made of are written directly, and whatever has another form is left to
pydicom. The bytes are the same, which tests hold.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO

from pydicom import DataElement, Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import (
    correct_ambiguous_vr,
    correct_ambiguous_vr_element,
    dcmwrite,
    write_data_element,
)
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pydicom.valuerep import AMBIGUOUS_VR, EXPLICIT_VR_LENGTH_32

PAD: Mapping[str, str] = {"UI": "\0"} | dict.fromkeys(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UT"), " "
)
"""What makes the length of a text even, by value representation; names of persons are left to pydicom."""

NUMBERS: Mapping[str, str] = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
BYTES = frozenset({"OB", "OW"})
EXPLICIT_LITTLE_ENDIAN = (False, True)
"""What pydicom calls `original_encoding`: implicit VR, little endian."""

ITEM = struct.Struct("<HHI")
GROUP_LENGTH = 0x0000
FIRST_OF_DATA_SET = 0x0008
"""Groups before it are those of commands and of file meta information: no data set has them."""

JIS_X_0201 = "shift_jis"
"""Its yen and its overline have the numbers of backslash and tilde (PS3.3 C.12.1.1.2)."""


class _UnusualError(Exception):
    """A form that is pydicom's to write."""


@dataclass(frozen=True)
class _Context:
    """What is known while one result is written.

    Attributes:
        encodings: Of its texts.
        items: The bytes of its items so far, by identity: the same code or reference stands in many places.
    """

    encodings: Sequence[str]
    items: dict[int, bytes] = field(default_factory=dict)


def file_bytes(result: Dataset) -> bytes:
    """Return a data set with its file meta information as a DICOM file; errors as in `file_pieces`."""
    return b"".join(file_pieces(result))


def file_pieces(result: Dataset) -> tuple[bytes, ...]:
    """Return a data set with its file meta information as the pieces of a DICOM file (PS3.10), in order.

    Pixel Data, which may be a hundred megabytes, is a piece of its own and is not copied.

    Raises:
        Exception: Whatever pydicom raises for what it cannot encode.
    """
    syntax = result.file_meta.TransferSyntaxUID
    is_plain = syntax.is_little_endian and not syntax.is_implicit_VR
    is_own = all(tag >> 16 >= FIRST_OF_DATA_SET for tag in result.keys())  # noqa: SIM118 - elements otherwise
    file = BytesIO()
    if not is_plain or not is_own or syntax == DeflatedExplicitVRLittleEndian:
        result.save_as(file, enforce_file_format=True)
        return (file.getvalue(),)
    head = Dataset()
    head.file_meta = deepcopy(result.file_meta)
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if result.get(keyword):
            setattr(head.file_meta, f"MediaStorage{keyword}", result[keyword].value)
    dcmwrite(file, head, enforce_file_format=True)
    if "PixelData" in result:
        result["PixelData"].is_undefined_length = syntax.is_compressed
    return (file.getvalue(), *_elements(result))


def _elements(result: Dataset) -> Iterator[bytes]:
    """Yield the elements in pieces."""
    charset = result.get("SpecificCharacterSet", default_encoding)
    context = _Context(convert_encodings(charset))
    is_corrected, keeps_undecoded = False, _keeps_undecoded(result)
    for tag in sorted(result.keys()):
        if tag & 0xFFFF == GROUP_LENGTH:
            continue
        element = result.get_item(tag) if keeps_undecoded else result[tag]
        if element.VR in AMBIGUOUS_VR:
            correct_ambiguous_vr_element(element, result, is_little_endian=True)
        try:
            yield from _pieces(element, context)
        except _UnusualError:
            if element.VR == "SQ" and not is_corrected:
                correct_ambiguous_vr(result, is_little_endian=True)
                is_corrected = True
            piece = DicomBytesIO()
            piece.is_implicit_VR, piece.is_little_endian = False, True
            write_data_element(piece, element, charset)
            yield piece.getvalue()


def _keeps_undecoded(result: Dataset) -> bool:
    """Return whether undecoded elements are written with their bytes: they were read as they are written."""
    return (
        result.original_encoding == EXPLICIT_LITTLE_ENDIAN
        and result.original_character_set == result._character_set
    )


def _pieces(element: DataElement | RawDataElement, context: _Context) -> list[bytes]:
    if isinstance(element, RawDataElement):
        raise _UnusualError
    value = element.value
    if element.VR in BYTES and isinstance(value, bytes) and value and not element.is_undefined_length:
        odd = len(value) % 2
        return [_prefix(element.tag, element.VR, len(value) + odd), value, b"\0" * odd]
    return [_element(element, context)]


def _item(item: Dataset, context: _Context) -> bytes:
    known = context.items.get(id(item))
    if known is not None:
        return known
    if getattr(item, "is_undefined_length_sequence_item", False) or "SpecificCharacterSet" in item:
        raise _UnusualError
    elements = item._dict
    content = b"".join([_element(elements[tag], context) for tag in sorted(elements)])
    whole = context.items[id(item)] = ITEM.pack(0xFFFE, 0xE000, len(content)) + content
    return whole


def _element(element: object, context: _Context) -> bytes:
    if not isinstance(element, DataElement) or element.is_undefined_length:
        raise _UnusualError
    vr, value = element.VR, element.value
    if value is None or value == "":
        content = b""
    elif vr == "SQ":
        content = b"".join([_item(item, context) for item in value])
    elif vr in PAD:
        content = _text(value, PAD[vr], context.encodings)
    elif vr in NUMBERS:
        content = _numbers(value, NUMBERS[vr])
    elif vr == "AT" and isinstance(value, BaseTag):
        content = struct.pack("<HH", value >> 16, value & 0xFFFF)
    elif vr in BYTES and isinstance(value, bytes):
        content = value + b"\0" * (len(value) % 2)
    else:
        raise _UnusualError
    return _prefix(element.tag, vr, len(content)) + content


def _numbers(value: object, letter: str) -> bytes:
    many = value if isinstance(value, MultiValue | list) else [value]
    try:
        return struct.pack(f"<{len(many)}{letter}", *many)
    except struct.error as exc:
        raise _UnusualError from exc


def _text(value: object, pad: str, encodings: Sequence[str]) -> bytes:
    words = "\\".join(map(_word, value)) if isinstance(value, MultiValue | list) else _word(value)
    if not words.isascii() or JIS_X_0201 in encodings:
        raise _UnusualError
    return (words + pad if len(words) % 2 else words).encode("ascii")


def _word(value: object) -> str:
    """Return a text, or a number as it was written or as pydicom writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(getattr(value, "original_string", value))
    raise _UnusualError


@lru_cache(maxsize=4096)
def _prefix(tag: BaseTag, vr: str, length: int) -> bytes:
    """Return tag, value representation and length (PS3.5 7.1.2)."""
    if tag & 0xFFFF == GROUP_LENGTH:
        raise _UnusualError
    if vr in EXPLICIT_VR_LENGTH_32:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, length)
    if length > 0xFFFF:
        raise _UnusualError
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), length)
