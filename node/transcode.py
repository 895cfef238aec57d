"""Transfer syntaxes of results: which one a file can be brought into, and doing it without losing a pixel.

Legal are, besides the native ones (PS3.5 A.1, A.2, A.5): RLE Lossless and JPEG 2000 Lossless for what has a
byte a pixel (PS3.5 8.2.2, 8.2.4). What has a bit a pixel stays native: those tables begin at 8 bits.
"""

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from node.attributes import numbers
from node.implicit_vr import to_implicit_vr
from node.mask_encoding import expanded

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg2000": JPEG2000Lossless,
}
"""The words of a profile's `transfer_syntaxes`."""

NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""What any peer takes; the second is the default one (PS3.5 10.1)."""

COMPRESSED = (RLELossless, JPEG2000Lossless)
ENCODERS = {RLELossless: "pydicom", JPEG2000Lossless: "pylibjpeg"}
"""Plugins of pydicom; without a name it may take GDCM's RLE encoder, which ends the process."""


def offers(path: Path, own: UID, preferred: Sequence[UID]) -> tuple[UID, ...]:
    """Return in which syntaxes a file can be sent, the best first; its own and the native ones come last.

    Args:
        path: A result's file.
        own: Its transfer syntax.
        preferred: What its destination would have, the best first.
    """
    if own.is_compressed and own != RLELossless:  # nothing of ours; it goes as it is
        return (own,)
    wanted = [syntax for syntax in preferred if syntax not in COMPRESSED or _has_bytes(path)]
    return tuple(dict.fromkeys((*wanted, own, *NATIVE)))


def _has_bytes(path: Path) -> bool:
    """Whether an object has pixels, and a byte for each."""
    header = dcmread(path, stop_before_pixels=True, specific_tags=["BitsAllocated"])
    return numbers(header, "BitsAllocated") == (8.0,)


def transcoded(path: Path, syntax: UID) -> Dataset:
    """Return a result in another transfer syntax: the same object, its text byte for byte.

    Args:
        path: The result's file.
        syntax: One of its `offers`.
    """
    dataset = dcmread(path)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        _decompress(dataset)
    if syntax in COMPRESSED:
        dataset.compress(syntax, encoding_plugin=ENCODERS[syntax], generate_instance_uid=False)
    elif syntax == ImplicitVRLittleEndian:
        to_implicit_vr(dataset)
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _decompress(dataset: Dataset) -> None:
    """Make RLE native; frames of our own coder take a hundredth of the time that others take."""
    count = int(dataset.get("NumberOfFrames", 1))
    try:
        frames = [expanded(frame) for frame in generate_frames(dataset.PixelData, number_of_frames=count)]
    except ValueError:
        dataset.decompress(decoding_plugin="pydicom", generate_instance_uid=False)
        return
    pixels = b"".join(frame.tobytes() for frame in frames)
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = False
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
