"""Lossy Image Compression of the source, carried into what is derived from it (PS3.3 C.7.6.1.1.5)."""

import re

from pydicom import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from node.attributes import numbers, text, values
from node.reader import Source

METHODS = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
    HTJ2K: "ISO_15444_15",
}
"""Defined terms of Lossy Image Compression Method by transfer syntaxes that lose something or may do so."""

CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")
"""PS3.5 Table 6.2-1, CS; some sources write words of their own."""

ALWAYS_LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit})
UNKNOWN_METHOD = "ISO_10918_1"
"""JPEG: what most lossy images went through whose method nobody wrote down."""


def write_lossy_compression(result: Dataset, source: Source) -> None:
    """Say in a result whether its source was ever compressed with loss, and how."""
    dataset, syntax = source.dataset, UID(source.transfer_syntax)
    if text(dataset, "LossyImageCompression") != "01" and syntax not in ALWAYS_LOSSY:
        result.LossyImageCompression = "00"
        return
    result.LossyImageCompression = "01"
    stated = [str(value) for value in values(dataset, "LossyImageCompressionMethod")]
    likely = METHODS.get(syntax, UNKNOWN_METHOD)
    methods = [value if CODE_STRING.fullmatch(value) else likely for value in stated]
    ratios = list(numbers(dataset, "LossyImageCompressionRatio")) or [source.compression_ratio]
    steps = max(len(methods), 1)
    result.LossyImageCompressionMethod = methods or [likely]
    result.LossyImageCompressionRatio = [f"{ratio:.6g}" for ratio in (ratios * steps)[:steps]]
