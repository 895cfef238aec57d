"""From bytes to a data set and its stored pixel values, with whatever decoder can do it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, config, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
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

from node.attributes import CONVERSION_ERRORS, number
from node.decode_apart import PLUGIN, decode_apart
from node.errors import UndecodableError

config.settings.reading_validation_mode = config.IGNORE  # tolerant in: what matters is checked by name

Stored = npt.NDArray[np.integer]

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
        raise UndecodableError("no DICOM image, or one cut off: SOP Class UID (0008,0016) cannot be read")
    return dataset


def _read(content: bytes) -> Dataset:
    try:
        return dcmread(BytesIO(content))
    except InvalidDicomError:
        return dcmread(BytesIO(content), force=True)


def decode(dataset: Dataset) -> Stored:
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
            with _all_bits(dataset) as shift:
                stored: Stored = np.right_shift(_first_that_works(dataset, syntax), shift)
        except DECODE_ERRORS as exc:
            reason = " ".join(str(exc).split())[:200]
            raise UndecodableError(f"the pixels ({syntax.name}) cannot be decoded: {reason}") from exc
    return stored


def _first_that_works(dataset: Dataset, syntax: UID) -> Stored:
    """Return the stored values from the first decoder that reads them; GDCM comes last and apart."""
    if not syntax.is_encapsulated:
        return pixel_array(dataset)
    available = get_decoder(syntax).available_plugins
    failures = []
    for plugin in (name for name in available if name != PLUGIN):
        try:
            return pixel_array(dataset, decoding_plugin=plugin)
        except DECODE_ERRORS as exc:
            failures.append(f"{plugin}: {exc}")
    if PLUGIN in available:
        return decode_apart(dataset)
    raise RuntimeError("; ".join(failures) or "no decoder is installed")


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
