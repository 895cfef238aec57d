"""Broken DICOM objects, made of whole ones: each mutation knows how a data set is built, and lies."""

import random
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

UNDEFINED = 0xFFFFFFFF
LONG = {str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32}
VRS = sorted(str(vr).encode() for vr in VR if len(str(vr)) == 2)
SOP_INSTANCE_UID = 0x00080018
PIXEL_DATA = 0x7FE00010
BOMB_BYTES = 700_000_000
"""More than the node inflates; 0.7 MB deflated."""

KEYWORDS = """
    Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel
    PlanarConfiguration NumberOfFrames PhotometricInterpretation WindowCenter WindowWidth VOILUTFunction
    RescaleSlope RescaleIntercept RescaleType PixelPaddingValue PixelPaddingRangeLimit PixelSpacing
    ImagerPixelSpacing NominalScannedPixelSpacing PixelSpacingCalibrationType
    EstimatedRadiographicMagnificationFactor PatientOrientation PatientAge PatientName PatientID
    PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber ReferringPhysicianName StudyID
    StudyInstanceUID SeriesInstanceUID SpecificCharacterSet TimezoneOffsetFromUTC ViewPosition
    PatientPosition BodyPartExamined Modality PresentationLUTShape PixelIntensityRelationship
    PixelIntensityRelationshipSign PresentationIntentType LossyImageCompression
    LossyImageCompressionRatio LossyImageCompressionMethod FrameOfReferenceUID ShutterShape
    ShutterLeftVerticalEdge VerticesOfThePolygonalShutter ShutterPresentationValue PatientComments
    OtherPatientIDsSequence RequestAttributesSequence ModalityLUTSequence VOILUTSequence
    AnatomicRegionSequence ViewCodeSequence ProcedureCodeSequence PatientSpeciesDescription
"""
ATTRIBUTES = tuple(re.findall(r"\w+", KEYWORDS))
"""What the node reads of a radiograph."""

NASTY = (
    b"",
    b"\0",
    b" ",
    b"\\",
    b"\\" * 1000,
    b"nan",
    b"-inf",
    b"1e308",
    b"-1e308",
    b"1e-308",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"1\\2\\3",
    b"0\\0",
    b"ISO_IR 192",
    b"\\ISO 2022 IR 87",
    b"\x1b$B\x1b(B",
    b"\xff\xfe\xfd",
    b"\xff\xff",
    b"\x00\x80",
    b"\x01\x00",
    b"MONOCHROME1",
    b"PALETTE COLOR",
    b"YBR_FULL_422",
    b"RGB ",
    b"SIGMOID ",
    b"INVERSE ",
    b"POLYGONAL ",
    b"LIN ",
    b"+1400",
    b"..1..2",
    b"L\\F ",
    b"^^^=^^^=^^^",
    b"9" * 5000,
    b"A" * 60_000,
    b"1\\" * 20_000,
)


class Element(NamedTuple):
    """Where an element of the outermost level stands: of its header, its value and what follows."""

    tag: int
    start: int
    value: int
    end: int


@dataclass(frozen=True)
class Specimen:
    """A data set as it travels.

    Attributes:
        sop_class: SOP Class UID.
        syntax: Transfer syntax.
        content: The encoded data set; inflated, where the transfer syntax deflates.
        deflated: `content` as it is sent, where it is not to be deflated on the way.
    """

    sop_class: str
    syntax: UID
    content: bytes
    deflated: bytes | None = None

    @property
    def sent(self) -> bytes:
        """The data set's bytes on the network."""
        if self.deflated is not None:
            return self.deflated
        return deflate(self.content) if self.syntax == DeflatedExplicitVRLittleEndian else self.content

    @property
    def order(self) -> str:
        """The byte order for `struct`."""
        return "<" if self.syntax.is_little_endian else ">"

    def elements(self) -> list[Element]:
        """Return where elements stand; until the bytes make no sense any more."""
        found, position = [], 0
        while position + 8 <= len(self.content):
            element = self._element(position)
            found.append(element)
            position = element.end
        return found

    def encoded(self, tag: int, vr: bytes, value: bytes) -> bytes:
        """Return an element in this encoding."""
        head = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if self.syntax.is_implicit_VR:
            return head + struct.pack(f"{self.order}L", len(value)) + value
        if vr in LONG:
            return head + vr + b"\0\0" + struct.pack(f"{self.order}L", len(value)) + value
        return head + vr + struct.pack(f"{self.order}H", len(value) & 0xFFFF) + value

    def with_content(self, *pieces: bytes) -> "Specimen":
        """Return it with other bytes."""
        return replace(self, content=b"".join(pieces))

    def with_uid(self, uid: str) -> "Specimen":
        """Return it as an object of its own."""
        return self.with_value(SOP_INSTANCE_UID, b"UI", uid.encode() + b"\0" * (len(uid) % 2))

    def with_value(self, tag: int, vr: bytes, value: bytes) -> "Specimen":
        """Return it with another value of an attribute, which is added in its place if missing."""
        element = self.encoded(tag, vr, value)
        for each in self.elements():
            if each.tag >= tag:
                rest = each.end if each.tag == tag else each.start
                return self.with_content(self.content[: each.start], element, self.content[rest:])
        return self.with_content(self.content, element)

    def _element(self, position: int) -> Element:
        group, number, vr, length = struct.unpack_from(f"{self.order}HH2sH", self.content, position)
        value = position + 8
        if self.syntax.is_implicit_VR:
            (length,) = struct.unpack_from(f"{self.order}L", self.content, position + 4)
        elif vr in LONG and position + 12 <= len(self.content):
            (length,) = struct.unpack_from(f"{self.order}L", self.content, value)
            value += 4
        size = len(self.content)
        end = size if length == UNDEFINED else min(value + length, size)
        return Element(group << 16 | number, position, value, end)


def deflate(content: bytes) -> bytes:
    """Return a data set deflated (PS3.5 A.5)."""
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(content) + packer.flush()
    return packed + b"\0" * (len(packed) % 2)


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = bytes(1_000_000)
    return b"".join([*(packer.compress(zeros) for _ in range(BOMB_BYTES // len(zeros))), packer.flush()])


Mutation = Callable[[Specimen, random.Random], Specimen]


def flip_bytes(whole: Specimen, draw: random.Random) -> Specimen:
    """Change some bytes in front of the pixels."""
    content = bytearray(whole.content)
    last = next((each.start for each in whole.elements() if each.tag == PIXEL_DATA), len(content))
    for _ in range(draw.randint(1, 8)):
        content[draw.randrange(max(1, last))] = draw.randrange(256)
    return whole.with_content(bytes(content))


def flip_pixels(whole: Specimen, draw: random.Random) -> Specimen:
    """Change some bytes of Pixel Data, most of them where headers of codestreams stand."""
    content = bytearray(whole.content)
    start = next((each.value for each in whole.elements() if each.tag == PIXEL_DATA), 0)
    for _ in range(draw.randint(1, 30)):
        reach = 600 if draw.random() < 0.7 else len(content)
        content[min(start + draw.randrange(reach), len(content) - 1)] = draw.randrange(256)
    return whole.with_content(bytes(content))


def change_length(whole: Specimen, draw: random.Random) -> Specimen:
    """Lie about the length of an element."""
    each = draw.choice(whole.elements())
    width = 2 if each.value - each.start == 8 and not whole.syntax.is_implicit_VR else 4
    length = draw.choice([0, 1, 7, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, UNDEFINED, draw.getrandbits(32)])
    form = f"{whole.order}{'H' if width == 2 else 'L'}"
    packed = struct.pack(form, length & (0xFFFF if width == 2 else UNDEFINED))
    content = whole.content
    return whole.with_content(content[: each.value - width], packed, content[each.value :])


def change_vr(whole: Specimen, draw: random.Random) -> Specimen:
    """State another value representation, or none that there is."""
    each = draw.choice(whole.elements())
    vr = draw.choice([*VRS, b"\0\0", b"ZZ", b"us", b"\xff\xff"])
    return whole.with_content(whole.content[: each.start + 4], vr, whole.content[each.start + 6 :])


def change_tag(whole: Specimen, draw: random.Random) -> Specimen:
    """Give an element another tag."""
    each = draw.choice(whole.elements())
    tag = draw.choice([0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, _tag(draw), draw.getrandbits(32)])
    packed = struct.pack(f"{whole.order}HH", tag >> 16, tag & 0xFFFF)
    return whole.with_content(whole.content[: each.start], packed, whole.content[each.start + 4 :])


def change_value(whole: Specimen, draw: random.Random) -> Specimen:
    """Give some attributes that the node reads values that they should not have."""
    for _ in range(draw.randint(1, 3)):
        value = draw.choice(NASTY) if draw.random() < 0.8 else draw.randbytes(draw.randrange(40))
        value += b" " * (len(value) % 2)
        vr = draw.choice([b"US", b"DS", b"IS", b"CS", b"LO", b"SQ", b"UN", b"OW"])
        whole = whole.with_value(_tag(draw), vr, value)
    return whole


def change_shape(whole: Specimen, draw: random.Random) -> Specimen:
    """State another number of rows, columns, bits, samples or frames."""
    for keyword in draw.sample(ATTRIBUTES[:8], draw.randint(1, 3)):
        value = draw.choice([0, 1, 2, 3, 7, 8, 12, 15, 16, 17, 32, 64, 65, 255, 512, 32767, 65535])
        packed = struct.pack(f"{whole.order}H", value)
        whole = whole.with_value(_tag_of(keyword), b"US", packed)
    return whole


def remove(whole: Specimen, draw: random.Random) -> Specimen:
    """Leave some elements out."""
    content = whole.content
    for each in sorted(draw.choices(whole.elements(), k=draw.randint(1, 4)), reverse=True):
        content = content[: each.start] + content[each.end :]
    return whole.with_content(content)


def repeat(whole: Specimen, draw: random.Random) -> Specimen:
    """Let an element, or two in the wrong order, stand once more somewhere else."""
    each, there = draw.choice(whole.elements()), draw.choice(whole.elements())
    content = whole.content
    piece = content[each.start : min(each.end, each.start + 100_000)]
    return whole.with_content(
        content[: there.start], piece * draw.choice([1, 1, 2, 50]), content[there.start :]
    )


def cut_off(whole: Specimen, draw: random.Random) -> Specimen:
    """End too early."""
    return whole.with_content(whole.content[: draw.randrange(1, len(whole.content))])


def nest(whole: Specimen, draw: random.Random) -> Specimen:
    """Put sequences into sequences, to any depth."""
    depth = draw.choice([1, 5, 31, 32, 33, 100, 1000, 5000])
    order, tag = whole.order, draw.choice([0x00081140, 0x00400275, 0x00101002, 0x00091001])
    item = struct.pack(f"{order}HHL", 0xFFFE, 0xE000, UNDEFINED)
    vr = b"" if whole.syntax.is_implicit_VR else draw.choice([b"SQ\0\0", b"UN\0\0"])
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) + vr + struct.pack(f"{order}L", UNDEFINED)
    ends = struct.pack(f"{order}HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return _inserted(whole, tag, (head + item) * depth + ends * draw.choice([depth, depth, depth // 2]))


def multiply(whole: Specimen, draw: random.Random) -> Specimen:
    """Have very many elements."""
    count = draw.choice([1_000, 20_000, 99_000, 150_000])
    tag = draw.choice([0x00091001, 0x00204000, 0x00281055])
    return _inserted(whole, tag, whole.encoded(tag, b"LO", b"ab") * count)


def crowd_sequence(whole: Specimen, draw: random.Random) -> Specimen:
    """Give a sequence that results copy very many items."""
    item = struct.pack(f"{whole.order}HHL", 0xFFFE, 0xE000, 0)
    tag = _tag_of(draw.choice(["OtherPatientIDsSequence", "RequestAttributesSequence", "VOILUTSequence"]))
    return whole.with_value(tag, b"SQ", item * draw.choice([1, 999, 5_000, 90_000]))


def lengthen(whole: Specimen, draw: random.Random) -> Specimen:
    """Make a value enormous; with a value representation that allows it."""
    value = draw.choice([b"A", b"1\\", b"\0"]) * draw.choice([50_000, 400_000])
    return whole.with_value(_tag(draw), draw.choice([b"UT", b"UN", b"UC", b"OB"]), value)


def break_fragments(whole: Specimen, draw: random.Random) -> Specimen:
    """Put Pixel Data of undefined length in pieces that do not fit."""
    each = next((each for each in whole.elements() if each.tag == PIXEL_DATA), None)
    if each is None or each.value == each.end or whole.syntax.is_implicit_VR:
        return cut_off(whole, draw)
    code = whole.content[each.value : each.end]
    piece = code[: draw.randrange(1, min(len(code), 5_000) + 1)]
    lengths = [0, 1, len(piece), 0x7FFFFFFF, UNDEFINED]
    items = b"".join(
        struct.pack(f"{whole.order}HHL", 0xFFFE, draw.choice([0xE000, 0xE000, 0xE00D]), draw.choice(lengths))
        + piece
        for _ in range(draw.choice([1, 3, 40]))
    )
    head = whole.content[: each.start] + struct.pack(f"{whole.order}HH", 0x7FE0, 0x0010)
    end = struct.pack(f"{whole.order}HHL", 0xFFFE, 0xE0DD, 0) * draw.randint(0, 1)
    return whole.with_content(head, b"OB\0\0" + struct.pack(f"{whole.order}L", UNDEFINED), items, end)


def spoil_deflation(whole: Specimen, draw: random.Random) -> Specimen:
    """Send a bomb, or something that does not inflate, where data sets are deflated."""
    if whole.syntax != DeflatedExplicitVRLittleEndian:
        return flip_pixels(whole, draw)
    sent = whole.sent
    half = sent[: draw.randrange(2, len(sent)) // 2 * 2]
    broken = bytearray(sent)
    broken[draw.randrange(len(broken))] ^= 0xFF
    head = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    begun = head.compress(whole.content[:2_000]) + head.flush(zlib.Z_FULL_FLUSH)
    return replace(whole, deflated=draw.choice([half, bytes(broken), _bomb(), begun + _bomb(), sent + sent]))


def leave(whole: Specimen, _draw: random.Random) -> Specimen:
    """Change nothing."""
    return whole


MUTATIONS: dict[Mutation, int] = {
    **{flip_bytes: 3, flip_pixels: 4, change_length: 3, change_vr: 2, change_tag: 2, change_value: 6},
    **{change_shape: 4, remove: 2, repeat: 2, cut_off: 3, nest: 2, multiply: 1, crowd_sequence: 1},
    **{lengthen: 2, break_fragments: 2, spoil_deflation: 1, leave: 1},
}
"""Each with how often it is drawn, compared with the others."""


def mutated(whole: Specimen, draw: random.Random, uid: str) -> tuple[Specimen, str]:
    """Return a specimen with a UID of its own and one or two mutations, and their names."""
    broken = whole.with_uid(uid)
    names = []
    for mutation in draw.choices(list(MUTATIONS), list(MUTATIONS.values()), k=draw.choice([1, 1, 2])):
        if broken.deflated is None and broken.elements():
            broken = mutation(broken, draw)
            names.append(mutation.__name__)
    return broken, "+".join(names)


def _inserted(whole: Specimen, tag: int, piece: bytes) -> Specimen:
    place = next((each.start for each in whole.elements() if each.tag > tag), len(whole.content))
    return whole.with_content(whole.content[:place], piece, whole.content[place:])


def _tag(draw: random.Random) -> int:
    return _tag_of(draw.choice(ATTRIBUTES))


def _tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, f"{keyword} is an attribute"
    return int(tag)
