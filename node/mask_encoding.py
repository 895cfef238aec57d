"""From masks in their bounding boxes to the Pixel Data of a Segmentation, without a dense picture of each.

One bit a pixel, packed without a gap from frame to frame, the first pixel in the lowest bit (PS3.5 8.1.1 and
8.2). Where a frame then does not end with a byte, viewers draw the later frames shifted, or not at all
(docs/dicom.md): such frames take a byte a pixel instead, 0 or 255.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ai.segmentation import Mask

FULL = 255
"""Maximum Fractional Value: such a pixel belongs to the structure as a whole."""


@dataclass(frozen=True, eq=False)
class EncodedMasks:
    """Frames of a Segmentation.

    Attributes:
        pixel_data: The frames one after the other, padded to an even length.
        bits: Bits Allocated: 1 (BINARY), or 8 (FRACTIONAL, 0 or 255).
    """

    pixel_data: bytes
    bits: int


def encode(masks: Sequence[Mask], shape: tuple[int, int]) -> EncodedMasks:
    """Return the masks as frames of shape (rows, columns), in order."""
    if is_byte_aligned(len(masks), shape):
        return EncodedMasks(pack_bits(masks, shape), 1)
    return EncodedMasks(spread_bytes(masks, shape), 8)


def is_byte_aligned(frames: int, shape: tuple[int, int]) -> bool:
    """Whether each of the frames, at a bit for each pixel, begins with a byte of its own."""
    return frames == 1 or shape[0] * shape[1] % 8 == 0


def pack_bits(masks: Sequence[Mask], shape: tuple[int, int]) -> bytes:
    """Return frames of shape (rows, columns) at one bit a pixel; they must be byte aligned."""
    rows, columns = shape
    frame_bytes = -(-rows * columns // 8)
    total = frame_bytes * len(masks)
    data = np.zeros(total + total % 2, np.uint8)
    for index, mask in enumerate(masks):
        first_bit = mask.top * columns
        lead = first_bit % 8
        band = np.zeros(lead + mask.pixels.shape[0] * columns, np.bool_)
        band[lead:].reshape(-1, columns)[:, mask.left : mask.right] = mask.pixels
        packed = np.packbits(band, bitorder="little")
        start = index * frame_bytes + first_bit // 8
        data[start : start + packed.size] = packed
    return data.tobytes()


def spread_bytes(masks: Sequence[Mask], shape: tuple[int, int]) -> bytes:
    """Return frames of shape (rows, columns) at one byte a pixel: 0 outside a mask, 255 inside."""
    rows, columns = shape
    total = rows * columns * len(masks)
    data = np.zeros(total + total % 2, np.uint8)
    frames = data[:total].reshape(len(masks), rows, columns)
    for frame, mask in zip(frames, masks, strict=True):
        np.multiply(
            mask.pixels, FULL, out=frame[mask.top : mask.bottom, mask.left : mask.right], dtype=np.uint8
        )
    return data.tobytes()
