"""What a codestream says of its own size, read from its first bytes without a decoder.

ISO/IEC 10918-1 B.2.2 (frame header; JPEG-LS has the same, ISO/IEC 14495-1 C.2.2), 15444-1 A.5.1 (SIZ).
"""

import struct

JPEG_2000 = b"\xff\x4f\xff\x51"
JPEG = b"\xff\xd8"
HEADER_BYTES = 1_048_576
"""Where the frame header stands at the latest; application data in front of it have up to 64 KiB each."""

FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Start of frame markers: SOF0 to SOF15 and SOF55; the others of that range are tables."""

ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""

ITEM_HEADER_BYTES = 8


def first_fragment(pixel_data: bytes) -> bytes:
    """Return the beginning of the first fragment of encapsulated Pixel Data, behind the Basic Offset Table.

    PS3.5 A.4; empty where there is none.
    """
    if len(pixel_data) < ITEM_HEADER_BYTES:
        return b""
    table = int.from_bytes(pixel_data[4:ITEM_HEADER_BYTES], "little")
    start = 2 * ITEM_HEADER_BYTES + table
    return pixel_data[start : start + HEADER_BYTES]


def stated_size(codestream: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) by the codestream's own header; None where it has none that is known.

    >>> stated_size(b"RLE")
    """
    try:
        start = codestream.find(JPEG_2000, 0, 4096)  # a JP2 file's boxes may stand in front
        if start >= 0:
            right, lower, left, upper = struct.unpack_from(">4L", codestream, start + 8)
            return lower - upper, right - left
        return _frame_size(codestream) if codestream.startswith(JPEG) else None
    except (struct.error, IndexError):
        return None


def _frame_size(codestream: bytes) -> tuple[int, int] | None:
    position = len(JPEG)
    while codestream[position] == 0xFF:
        marker = codestream[position + 1]
        if marker in FRAMES:
            rows, columns = struct.unpack_from(">HH", codestream, position + 5)
            return (rows, columns) if rows else None  # the number of lines may come later (DNL)
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in ALONE:
            position += 2
        else:
            position += 2 + struct.unpack_from(">H", codestream, position + 2)[0]
    return None
