"""How a data set is built, looked at before pydicom makes objects of it: depth, number, lengths of elements.

The walk follows pydicom's reading: what is a sequence there is one here, so that pydicom never recurses
deeper and never makes more objects than were counted. It is one loop with a stack of its own. Where the bytes
make no sense it ends without a word: pydicom stops there too.

PS3.5 7.1 and 7.5 (encoding, sequences), A.4 (fragments).
"""

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from node.errors import UndecodableError
from node.limits import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_HEAD_ELEMENTS,
    MAX_INFLATED_BYTES,
    MAX_LUT_BYTES,
    MAX_OBJECT_BYTES,
    MAX_VALUE_BYTES,
    MEGABYTE,
)

PREAMBLE_BYTES = 128
PREFIX = b"DICM"
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
TRANSFER_SYNTAX_UID = 0x00020010
LUT_DATA = 0x00283006
PIXEL_DATA = 0x7FE00010
GROUP_OF_META = 0x0002

LONG_VRS = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32)
KNOWN_VRS = frozenset(str(vr).encode() for vr in VR)
BULK_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN", b"SQ"})
"""Values of these are not split into objects (PS3.5 6.2)."""

SEQUENCE_TAGS = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")
BULK_TAGS = frozenset(
    tag for tag, entry in DicomDictionary.items() if entry[0][:1] == "O" or "OW" in entry[0]
)


@dataclass(frozen=True)
class Encoding:
    """How a data set is encoded.

    Attributes:
        implicit: Whether value representations are left out.
        little: Whether it is little endian.
    """

    implicit: bool
    little: bool = True


def check_file(content: bytes) -> None:
    """Look at the data set of a file, with or without preamble and file meta information.

    Raises:
        UndecodableError: If it goes over a limit of `node.limits`.
    """
    if len(content) > MAX_OBJECT_BYTES:
        raise UndecodableError(f"the object has more than {MAX_OBJECT_BYTES // MEGABYTE} MB")
    has_preamble = content[PREAMBLE_BYTES : PREAMBLE_BYTES + len(PREFIX)] == PREFIX
    start, syntax = _after_meta(content, PREAMBLE_BYTES + len(PREFIX) if has_preamble else 0)
    if syntax == DeflatedExplicitVRLittleEndian:
        check_data_set(inflated(content[start:]), Encoding(implicit=False))
    else:
        check_data_set(content, _encoding(content, start, syntax), start)


def inflated(content: bytes, limit: int = MAX_INFLATED_BYTES) -> bytes:
    """Return a deflated data set inflated.

    Raises:
        UndecodableError: If it has more bytes than the limit, or is no deflated data.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = stream.decompress(content, limit)
        if stream.unconsumed_tail and stream.decompress(stream.unconsumed_tail, 1):
            raise UndecodableError(f"the data set inflates to more than {limit // MEGABYTE} MB")
    except zlib.error as exc:
        raise UndecodableError("the data set cannot be inflated") from exc
    return found


def check_data_set(content: bytes, encoding: Encoding, start: int = 0) -> None:
    """Look at an encoded data set, from an offset to its end; errors as in `check_file`."""
    _Walk(content, encoding.little, MAX_ELEMENTS).run(start, encoding.implicit)


def check_head(content: bytes, encoding: Encoding, last_tag: int) -> None:
    """Look at depth and number of the elements up to a tag; errors as in `check_file`."""
    head_values(content, encoding, last_tag)


def head_values(content: bytes, encoding: Encoding, last_tag: int) -> dict[int, tuple[bytes, bytes]] | None:
    """Do as `check_head`, and return what it passed.

    Returns:
        Value representation (b"" where it is left out) and value of each element up to a tag, by tag. None
        where it takes more to understand them: something of undefined length, a value representation left
        out where it is explicit, or an end before a higher tag.
    """
    walk = _Walk(content, encoding.little, MAX_HEAD_ELEMENTS, last_tag)
    walk.run(0, encoding.implicit)
    if not walk.is_passed or walk.has_undefined:
        return None
    if not encoding.implicit and any(not vr for vr, _begin, _end in walk.places.values()):
        return None
    return {tag: (vr, content[begin:end]) for tag, (vr, begin, end) in walk.places.items()}


def _after_meta(content: bytes, start: int) -> tuple[int, str]:
    """Return where the file meta information ends, and the transfer syntax that it states or ""."""
    walk = _Walk(content, True, MAX_ELEMENTS)
    position, syntax = start, ""
    while position + 8 <= len(content) and content[position : position + 2] == b"\2\0":
        walk.counted()
        tag, _, length, value = walk.header(position, implicit=False)
        if length == UNDEFINED:
            break  # pydicom reads on; the whole is looked at as a data set
        if tag == TRANSFER_SYNTAX_UID:
            syntax = content[value : value + min(length, 64)].decode("ascii", "replace").strip(" \0")
        position = value + length
    return min(position, len(content)), syntax


def _encoding(content: bytes, start: int, syntax: str) -> Encoding:
    """Return how pydicom reads what comes after the file meta information."""
    if syntax == ExplicitVRBigEndian:
        return Encoding(implicit=False, little=False)
    vr = content[start + 4 : start + 6]
    looks_explicit = len(vr) == 2 and all(0x40 < byte < 0x5B for byte in vr)
    big = not syntax and looks_explicit and int.from_bytes(content[start : start + 2], "little") >= 1024
    if syntax in {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ""}:
        return Encoding(not looks_explicit, not big)
    return Encoding(implicit=not looks_explicit)


class _Open(NamedTuple):
    """What is open during a walk.

    Attributes:
        last: Where it ends by its length; it is left once that is reached, though not before.
        end: Where the bytes end that pydicom has when it reads this.
        resume: Where to go on after a sequence of defined length; -1: where it ended.
        is_sequence: Whether items stand in it, not elements.
        implicit: Whether it is encoded in Implicit VR.
    """

    last: int
    end: int
    resume: int
    is_sequence: bool
    implicit: bool


class _Walk:
    """One walk over a data set."""

    def __init__(self, content: bytes, little: bool, max_elements: int, last_tag: int | None = None) -> None:
        order = "<" if little else ">"
        self._content = content
        self._explicit = struct.Struct(f"{order}HH2sH").unpack_from
        self._implicit = struct.Struct(f"{order}HHL").unpack_from
        self._long = struct.Struct(f"{order}L").unpack_from
        self._delimiter = struct.pack(f"{order}HH", 0xFFFE, 0xE0DD)
        self._item_tag = struct.pack(f"{order}HH", 0xFFFE, 0xE000)
        self._max_elements = max_elements
        self._last_tag = last_tag
        self._count = 0
        self._stack: list[_Open] = []
        self._depth = 0
        self.places: dict[int, tuple[bytes, int, int]] = {}  # of values up to the last tag
        self.is_passed = self.has_undefined = False

    def run(self, position: int, implicit: bool) -> None:
        """Walk to the end; errors as in `check_file`."""
        size = len(self._content)
        self._stack = [_Open(size, size, -1, False, implicit)]
        while self._stack:
            here = self._stack[-1]
            if position >= here.last or position + 8 > here.end:
                position = self._close(position)
            elif here.is_sequence:
                position = self._item(position, here)
            else:
                position = self._element(position, here)

    def counted(self) -> None:
        """Count an element, item or fragment."""
        self._count += 1
        if self._count > self._max_elements:
            raise UndecodableError(f"the data set has more than {self._max_elements} elements")

    def header(self, position: int, implicit: bool) -> tuple[int, bytes, int, int]:
        """Return tag, value representation (b"" where it is left out), length and where the value begins."""
        group, element, vr, length = self._explicit(self._content, position)
        tag = group << 16 | element
        if implicit or not (vr in KNOWN_VRS or b"AA" <= vr <= b"ZZ"):  # as pydicom: one implicit element
            return tag, b"", self._implicit(self._content, position)[2], position + 8
        if vr in LONG_VRS:
            if position + 12 > len(self._content):
                return tag, vr, 0, len(self._content)
            return tag, vr, self._long(self._content, position + 8)[0], position + 12
        return tag, vr, length, position + 8

    def _close(self, position: int) -> int:
        closed = self._stack.pop()
        self._depth -= closed.is_sequence
        return position if closed.resume < 0 else closed.resume

    def _item(self, position: int, here: _Open) -> int:
        self.counted()
        group, element, length = self._implicit(self._content, position)
        position += 8
        if group << 16 | element == SEQUENCE_END:
            return self._close(position)
        last = here.end if length == UNDEFINED else position + length
        vr = self._content[position + 4 : position + 6]
        looks_implicit = not all(0x40 < byte < 0x5B for byte in vr)
        self._stack.append(_Open(last, here.end, -1, False, here.implicit or looks_implicit))
        return position

    def _element(self, position: int, here: _Open) -> int:
        self.counted()
        tag, vr, length, value = self.header(position, here.implicit)
        if tag == ITEM_END:
            return self._close(value)
        if self._last_tag is not None and len(self._stack) == 1:
            if tag > self._last_tag:
                self.is_passed = True
                return here.end
            self.places[tag] = vr, value, value + length
        if length == UNDEFINED:
            self.has_undefined = True
            return self._undefined(tag, vr, value, here)
        if vr == b"SQ" or (vr in {b"", b"UN"} and tag in SEQUENCE_TAGS):
            end = min(value + length, here.end)
            return self._enter(value, _Open(end, end, value + length, True, here.implicit or vr != b"SQ"))
        self._check_length(tag, vr, min(length, here.end - value))
        return value + length

    def _undefined(self, tag: int, vr: bytes, value: int, here: _Open) -> int:
        """Go into a sequence, or over fragments, of undefined length."""
        if vr in {b"SQ", b"UN"} or (not vr and (tag in SEQUENCE_TAGS or self._begins_with_item(tag, value))):
            return self._enter(value, _Open(here.end, here.end, -1, True, here.implicit))
        found = self._content.find(self._delimiter, value, here.end)
        after = here.end if found < 0 else found + 8
        self._count_fragments(value, after)
        return after

    def _begins_with_item(self, tag: int, value: int) -> bool:
        """Whether an element that the dictionary does not have is a sequence, as pydicom sees it."""
        return tag not in DicomDictionary and self._content[value : value + 4] == self._item_tag

    def _count_fragments(self, position: int, end: int) -> None:
        while position + 8 <= end:
            self.counted()
            group, element, length = self._implicit(self._content, position)
            if group << 16 | element != ITEM:
                return
            position += 8 + length

    def _enter(self, position: int, sequence: _Open) -> int:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UndecodableError(f"sequences are nested more than {MAX_DEPTH} deep")
        self._stack.append(sequence)
        return position

    def _check_length(self, tag: int, vr: bytes, length: int) -> None:
        is_private = tag >> 16 & 1
        if length <= MAX_LUT_BYTES or is_private or self._last_tag is not None:
            return
        name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        if tag == LUT_DATA:
            raise UndecodableError(f"LUT Data {name} has {length} bytes: more than {MAX_LUT_BYTES}")
        is_bulk = vr in BULK_VRS if vr not in {b"", b"UN"} else tag in BULK_TAGS or tag not in DicomDictionary
        if length > MAX_VALUE_BYTES and not is_bulk:
            raise UndecodableError(f"the value of {name} has {length} bytes: more than {MAX_VALUE_BYTES}")
