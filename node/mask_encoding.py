"""From masks in their bounding boxes to the Pixel Data of a Segmentation, without a dense picture of each.

One bit a pixel, packed without a gap from frame to frame, the first pixel in the lowest bit (PS3.5 8.1.1 and
8.2). Where a frame then does not end with a byte, viewers draw the later frames shifted, or not at all
(docs/dicom.md): such frames take a byte a pixel instead, 0 or 255. A byte a pixel is written in RLE Lossless
(PS3.5 G), which makes it small again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO

import numpy as np
import numpy.typing as npt
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

from ai.segmentation import Mask

FULL = 255
"""Maximum Fractional Value: such a pixel belongs to the structure as a whole."""

LONGEST_RUN = 128
"""Equal bytes that one pair of an RLE segment stands for (PS3.5 G.3.1)."""

RLE_HEADER = np.array([1, 64, *[0] * 14], "<u4").tobytes()
"""One segment, which begins after this header (PS3.5 G.5)."""

Bytes = npt.NDArray[np.uint8]


class SegmentationType(StrEnum):
    """Segmentation Type (PS3.3 C.8.20.2)."""

    BINARY = "BINARY"
    FRACTIONAL = "FRACTIONAL"
    LABELMAP = "LABELMAP"


@dataclass(frozen=True, eq=False)
class EncodedMasks:
    """Frames of a Segmentation.

    Attributes:
        pixel_data: The frames one after the other, of an even length, or encapsulated.
        type: BINARY has a bit a pixel; FRACTIONAL (0 or 255) and LABELMAP have a byte.
        frames: How many there are: one for each mask; a label map has one for all.
        transfer_syntax: In which they are encoded.
    """

    pixel_data: bytes
    type: SegmentationType
    frames: int
    transfer_syntax: UID

    @property
    def bits(self) -> int:
        """Bits Allocated."""
        return 1 if self.type is SegmentationType.BINARY else 8


def encode(masks: Sequence[Mask], shape: tuple[int, int], wanted: str = "binary") -> EncodedMasks:
    """Return the masks as frames of shape (rows, columns), in order.

    Args:
        masks: On the stored grid.
        shape: Of the stored grid.
        wanted: "binary" where frames of one bit a pixel begin with a byte, fractional otherwise;
            "fractional"; or "labelmap", for masks of which no two overlap.
    """
    if wanted == "labelmap":
        frame = RLE_HEADER + _row_runs(label_map(masks, shape))
        return EncodedMasks(encapsulate([frame]), SegmentationType.LABELMAP, 1, RLELossless)
    if wanted == "binary" and is_byte_aligned(len(masks), shape):
        packed = pack_bits(masks, shape)
        return EncodedMasks(packed, SegmentationType.BINARY, len(masks), ExplicitVRLittleEndian)
    frames = [run_lengths(mask, shape) for mask in masks]
    return EncodedMasks(encapsulate(frames), SegmentationType.FRACTIONAL, len(masks), RLELossless)


def is_byte_aligned(frames: int, shape: tuple[int, int]) -> bool:
    """Whether each of the frames, at a bit for each pixel, begins with a byte of its own."""
    return frames == 1 or shape[0] * shape[1] % 8 == 0


def pack_bits(masks: Sequence[Mask], shape: tuple[int, int]) -> bytes:
    """Return frames of shape (rows, columns) at one bit a pixel; they must be byte aligned."""
    frame_bytes = -(-shape[0] * shape[1] // 8)
    total = frame_bytes * len(masks)
    room = BytesIO(bytes(total + total % 2))
    _pack_into(np.frombuffer(room.getbuffer(), np.uint8), masks, shape[1], frame_bytes)
    return room.getvalue()  # the very bytes of above: of the memory, only what the masks fill is ever touched


def _pack_into(data: Bytes, masks: Sequence[Mask], columns: int, frame_bytes: int) -> None:
    for index, mask in enumerate(masks):
        first_bit = mask.top * columns
        lead = first_bit % 8
        band = np.zeros(lead + mask.pixels.shape[0] * columns, np.bool_)
        band[lead:].reshape(-1, columns)[:, mask.left : mask.right] = mask.pixels
        packed = np.packbits(band, bitorder="little")
        start = index * frame_bytes + first_bit // 8
        data[start : start + packed.size] = packed


def label_map(masks: Sequence[Mask], shape: tuple[int, int]) -> Bytes:
    """Return (rows, columns): 0 where there is nothing, else the number of the mask, from 1.

    Raises:
        ValueError: Two masks overlap, or there are more than 255.
    """
    if len(masks) > FULL:
        raise ValueError(f"a label map of bytes holds {FULL} segments, found {len(masks)}")
    labels = np.zeros(shape, np.uint8)
    for number, mask in enumerate(masks, start=1):
        box = labels[mask.top : mask.bottom, mask.left : mask.right]
        if box[mask.pixels].any():
            raise ValueError("two structures of a label map overlap")
        box[mask.pixels] = number
    return labels


def run_lengths(mask: Mask, shape: tuple[int, int]) -> bytes:
    """Return one RLE-coded frame of shape (rows, columns), a byte a pixel: 0 outside the mask, 255 inside."""
    rows, columns = shape
    band = np.zeros((mask.pixels.shape[0], columns), np.uint8)
    band[:, mask.left : mask.right][mask.pixels] = FULL
    blank = _row_runs(np.zeros((1, columns), np.uint8))
    segment = blank * mask.top + _row_runs(band) + blank * (rows - mask.bottom)
    return RLE_HEADER + segment  # of an even length, for header and pairs are


def runs(frame: bytes) -> tuple[npt.NDArray[np.int64], Bytes]:
    """Return lengths and values of the runs of a frame of our own coder (PS3.5 G.3.1).

    Raises:
        ValueError: It has literal runs of more than one byte, or another header: another coder made it.
    """
    if frame[: len(RLE_HEADER)] != RLE_HEADER or len(frame) % 2:
        raise ValueError("this is no frame of our coder")
    pairs = np.frombuffer(frame, np.uint8)[len(RLE_HEADER) :].reshape(-1, 2)
    if ((pairs[:, 0] > 0) & (pairs[:, 0] <= LONGEST_RUN)).any():
        raise ValueError("this is no frame of our coder")
    lengths = np.where(pairs[:, 0] == 0, 1, 257 - pairs[:, 0].astype(np.int64))
    return lengths, pairs[:, 1]


def expanded(frame: bytes) -> Bytes:
    """Return the pixels of a frame of our own coder, one after the other; errors as in `runs`."""
    lengths, values = runs(frame)
    return np.repeat(values, lengths)


def _row_runs(band: Bytes) -> bytes:
    """Return rows as (count, value) pairs; no pair reaches from one row into the next."""
    columns = band.shape[1]
    flat = band.ravel()
    ends = np.append(flat[1:] != flat[:-1], True)
    ends[columns - 1 :: columns] = True
    last = np.flatnonzero(ends)
    lengths = np.diff(last, prepend=-1)
    pieces = -(-lengths // LONGEST_RUN)
    counts = np.full(int(pieces.sum()), LONGEST_RUN)
    counts[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * LONGEST_RUN
    pairs = np.empty((counts.size, 2), np.uint8)
    pairs[:, 0] = np.where(counts == 1, 0, 257 - counts)  # a single byte is a literal run of one
    pairs[:, 1] = np.repeat(flat[last], pieces)
    return pairs.tobytes()
