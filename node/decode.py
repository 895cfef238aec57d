"""From bytes to a data set and its stored pixel values, with whatever decoder can do it."""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, config, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
    RLELossless,
)

from node.attributes import CONVERSION_ERRORS, number, numbers, text, values
from node.codestream import first_fragment, stated_size
from node.decoders import DECODERS, Decoders
from node.errors import UndecodableError
from node.limits import MAX_PIXEL_BYTES, MAX_PIXELS, MEGABYTE
from node.structure import check_file

config.settings.reading_validation_mode = config.IGNORE  # tolerant in: what matters is checked by name

Stored = npt.NDArray[np.integer]

# No MemoryError: what a data set may ask for is limited, so that it is this process that lacks memory.
PARSE_ERRORS = (*CONVERSION_ERRORS, OSError, InvalidDicomError, BytesLengthException, zlib.error)
DECODE_ERRORS = (*CONVERSION_ERRORS, RuntimeError, OSError)

AMOUNT = ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated")
MAX_COUNT = 2**31 - 1
"""The largest IS (PS3.5 Table 6.2-1), which Number of Frames is; the others are US."""

DESCRIPTION = (*AMOUNT, "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration")
"""Integers of the Image Pixel module (PS3.3 C.7.6.3)."""

ITEM_TAG = b"\xfe\xff\x00\xe0"
"""How encapsulated Pixel Data begins (PS3.5 A.4)."""

SIGNATURES = (
    (b"\xff\x4f\xff\x51", JPEG2000),
    (b"\xff\xd8\xff\xf7", JPEGLSNearLossless),
    (b"\xff\xd8", None),  # a JPEG: its frame header tells which
)
JPEG_FRAMES = (
    (b"\xff\xf7", JPEGLSNearLossless),
    (b"\xff\xc3", JPEGLosslessSV1),
    (b"\xff\xc1", JPEGExtended12Bit),
)


def parse(content: bytes) -> Dataset:
    """Return the data set in the bytes of a file, with or without preamble and file meta information.

    Raises:
        UndecodableError: If they hold none, or one beyond the limits of `node.limits`.
        MemoryError: If this process has too little memory now; the bytes are not to blame.
    """
    check_file(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = _read(content)
            has_class = bool(dataset.get("SOPClassUID"))
        except PARSE_ERRORS as exc:
            raise UndecodableError(f"not a readable DICOM data set ({type(exc).__name__})") from exc
    if not has_class:
        raise UndecodableError("no DICOM image, or one cut off: SOP Class UID (0008,0016) cannot be read")
    return dataset


def _read(content: bytes) -> Dataset:
    try:
        return dcmread(BytesIO(content))
    except InvalidDicomError:
        return dcmread(BytesIO(content), force=True)


def decode(dataset: Dataset, decoders: Decoders = DECODERS) -> Stored:
    """Return the stored values of the only frame: (rows, columns), or (rows, columns, 3) in RGB.

    Args:
        dataset: With Pixel Data.
        decoders: Decode what is compressed, in processes of their own.

    Raises:
        UndecodableError: If there are no pixels, too many, or no decoder can read them.
        NodeError: If no decoder can be started.
        MemoryError: As in `parse`.
    """
    _check_pixel_data(dataset)
    syntax = _settle_transfer_syntax(dataset)
    _check_amount(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _all_bits(dataset) as shift:
                stored: Stored = np.right_shift(_decoded(dataset, syntax, decoders), shift)
        except DECODE_ERRORS as exc:
            reason = " ".join(str(exc).split())[:200]
            raise UndecodableError(f"the pixels ({syntax.name}) cannot be decoded: {reason}") from exc
    return stored


def _decoded(dataset: Dataset, syntax: UID, decoders: Decoders) -> Stored:
    if not syntax.is_encapsulated:
        return pixel_array(dataset)
    _check_codestream(dataset)
    return decoders.decode(_description(dataset, syntax), dataset.PixelData)


def _check_pixel_data(dataset: Dataset) -> None:
    found = next(iter(values(dataset, "PixelData")), b"")
    if not found:
        raise UndecodableError("the object has no pixels: Pixel Data (7FE0,0010) is missing or empty")
    if not isinstance(found, bytes):
        raise UndecodableError("Pixel Data (7FE0,0010) has a value representation that pixels cannot have")


def _check_amount(dataset: Dataset) -> None:
    """Refuse more pixels than any radiograph has, before there is memory for them."""
    rows, columns, samples, frames, bits = (number(dataset, keyword, 1) for keyword in AMOUNT)
    if not all(0 <= value <= MAX_COUNT for value in (rows, columns, samples, frames, bits)):
        raise UndecodableError("Rows, Columns, Samples, Frames or Bits is no number of pixels")
    pixels = rows * columns
    if pixels > MAX_PIXELS:
        raise UndecodableError(f"{rows:.0f} rows of {columns:.0f} pixels: more than {MAX_PIXELS} in all")
    if pixels * samples * frames * bits / 8 > MAX_PIXEL_BYTES:
        raise UndecodableError(f"the pixels have more than {MAX_PIXEL_BYTES // MEGABYTE} MB")


def _check_codestream(dataset: Dataset) -> None:
    """Let no decoder be surprised by a codestream of another size than stated."""
    found = stated_size(first_fragment(dataset.PixelData))
    stated = (int(number(dataset, "Rows", 0)), int(number(dataset, "Columns", 0)))
    if found is not None and found != stated:
        raise ValueError(
            f"the codestream has {found[0]} rows of {found[1]} pixels, Rows and Columns say {stated}"
        )


def _description(dataset: Dataset, syntax: UID) -> dict[str, int | str]:
    """Return what decoders need to know of the pixels; what is malformed is left out."""
    found: dict[str, int | str] = {"TransferSyntaxUID": str(syntax)}
    for keyword in DESCRIPTION:
        if numbers(dataset, keyword):
            found[keyword] = int(number(dataset, keyword, 0))
    found["PhotometricInterpretation"] = text(dataset, "PhotometricInterpretation")[:16]
    return found


def transfer_syntax(dataset: Dataset) -> UID:
    """Return the transfer syntax that the data set states, "" if it states none."""
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    return UID(str(meta.get("TransferSyntaxUID", "") or ""))


def _settle_transfer_syntax(dataset: Dataset) -> UID:
    """Make the stated transfer syntax fit how the pixels really lie in the data set; return it."""
    stated = transfer_syntax(dataset)
    is_known = bool(stated) and not stated.is_private and stated.is_transfer_syntax
    encapsulated = dataset.PixelData[:4] == ITEM_TAG
    if not (is_known and stated.is_encapsulated == encapsulated):
        if not hasattr(dataset, "file_meta"):
            dataset.file_meta = FileMetaDataset()
        found = _guess_codec(dataset.PixelData) if encapsulated else _native_syntax(dataset)
        dataset.file_meta.TransferSyntaxUID = stated = found
    return stated


def _native_syntax(dataset: Dataset) -> UID:
    implicit, _little = dataset.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _guess_codec(encapsulated: bytes) -> UID:
    start = encapsulated[:4096]
    for signature, syntax in SIGNATURES:
        if signature in start:
            return syntax or _jpeg_process(start)
    return RLELossless


def _jpeg_process(start: bytes) -> UID:
    return next((syntax for marker, syntax in JPEG_FRAMES if marker in start), JPEGBaseline8Bit)


@contextmanager
def _all_bits(dataset: Dataset) -> Iterator[int]:
    """Have the bits below the stored ones decoded too (PS3.5 8.1.1); yield how many they are."""
    stated = dataset.get("BitsStored")
    bits = int(number(dataset, "BitsStored", 0))
    shift = max(0, int(number(dataset, "HighBit", bits - 1)) + 1 - bits)
    dataset.BitsStored = bits + shift if shift else stated
    yield shift
    dataset.BitsStored = stated
