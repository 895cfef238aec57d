"""From bytes to a data set and its stored pixel values, with whatever decoder can do it."""

import warnings
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

from node.attributes import CONVERSION_ERRORS, number, text
from node.errors import UndecodableError

config.settings.reading_validation_mode = config.IGNORE  # tolerant in: what matters is checked by name

PARSE_ERRORS = (*CONVERSION_ERRORS, OSError, RecursionError, InvalidDicomError, BytesLengthException)
DECODE_ERRORS = (*CONVERSION_ERRORS, RuntimeError, MemoryError, OSError)

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
        UndecodableError: If they hold none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = _read(content)
            has_class = bool(dataset.get("SOPClassUID"))
        except PARSE_ERRORS as exc:
            raise UndecodableError(f"not a readable DICOM data set ({type(exc).__name__})") from exc
    if not has_class:
        raise UndecodableError("not a DICOM image: SOP Class UID (0008,0016) is missing")
    return dataset


def _read(content: bytes) -> Dataset:
    try:
        return dcmread(BytesIO(content))
    except InvalidDicomError:
        return dcmread(BytesIO(content), force=True)


def decode(dataset: Dataset) -> npt.NDArray[np.generic]:
    """Return the stored values of the only frame: (rows, columns), or (rows, columns, 3) in RGB.

    Raises:
        UndecodableError: If there are no pixels or no decoder can read them.
    """
    if not dataset.get("PixelData"):
        raise UndecodableError("the object has no pixels: Pixel Data (7FE0,0010) is missing or empty")
    syntax = _settle_transfer_syntax(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            stored = pixel_array(dataset)
        except DECODE_ERRORS as exc:
            reason = " ".join(str(exc).split())[:200]
            raise UndecodableError(f"the pixels ({syntax.name}) cannot be decoded: {reason}") from exc
    return _only_stored_bits(stored, dataset)


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


def _only_stored_bits(stored: npt.NDArray[np.generic], dataset: Dataset) -> npt.NDArray[np.generic]:
    """Drop bits that are no part of the value: those below it, and overlays of old above it."""
    bits = int(number(dataset, "BitsStored", 8 * stored.itemsize))
    shift = int(number(dataset, "HighBit", bits - 1)) + 1 - bits
    is_plain = stored.dtype.kind not in "iu" or stored.itemsize > 2 or not 1 <= bits <= 16
    if is_plain or (shift <= 0 and not _has_embedded_overlay(dataset)):
        return stored
    values = stored.astype(np.int32) >> max(shift, 0)
    return values if text(dataset, "PixelRepresentation") == "1" else values & ((1 << bits) - 1)


def _has_embedded_overlay(dataset: Dataset) -> bool:
    """Whether an overlay lies in the pixels' unused bits (retired; PS3.5 8.1.2)."""
    return any(
        (0x6000 + 2 * group, 0x0102) in dataset and (0x6000 + 2 * group, 0x3000) not in dataset
        for group in range(16)
    )
