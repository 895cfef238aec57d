"""The way from stored values to P-Values, as a presentation state tells it (PS3.4 N.2).

It replaces everything that the image says about its grey scale, Photometric Interpretation too: what is not
written here is not applied.
"""

import numpy as np
from pydicom import Dataset

from node.attributes import items, number, numbers, text, values
from node.reader import Source
from node.voi_window import Window

WORD = 0x10000
"""Number of values of 16 bits; as a number of LUT entries it is written as 0 (PS3.3 C.11.1.1)."""

MIN_LUT_BITS, MAX_LUT_BITS = 8, 16
UNSPECIFIED = "US"
"""Rescale Type and Modality LUT Type of values without a unit (PS3.3 C.11.1.1.2)."""


def write_softcopy_luts(result: Dataset, source: Source) -> None:
    """Write Modality LUT, Softcopy VOI LUT and Softcopy Presentation LUT of a source."""
    _write_modality_lut(result, source.dataset)
    voi = _voi_lut(source)
    if voi is not None:
        result.SoftcopyVOILUTSequence = [voi]
    result.PresentationLUTShape = "INVERSE" if source.grayscale.inverted else "IDENTITY"


def _write_modality_lut(result: Dataset, dataset: Dataset) -> None:
    """Write the Modality LUT, else the rescale; a slope of 0 is none (`node.display_values`)."""
    lut = next((_lut(item, dataset) for item in items(dataset, "ModalityLUTSequence")), None)
    if lut is not None:
        stated = text(items(dataset, "ModalityLUTSequence")[0], "ModalityLUTType")
        lut.ModalityLUTType = stated or UNSPECIFIED
        result.ModalityLUTSequence = [lut]
        return
    slope, intercept = number(dataset, "RescaleSlope", 1.0) or 1.0, number(dataset, "RescaleIntercept", 0.0)
    if "RescaleSlope" in dataset or "RescaleIntercept" in dataset:
        result.RescaleIntercept, result.RescaleSlope = f"{intercept:.10g}", f"{slope:.10g}"
        result.RescaleType = text(dataset, "RescaleType")[:64] or UNSPECIFIED


def _voi_lut(source: Source) -> Dataset | None:
    """Return what makes display values of modality values, None where nothing sound can say it."""
    if source.grayscale.voi_lut:
        lut = _lut(items(source.dataset, "VOILUTSequence")[0], source.dataset)
        if lut is None:
            return None
        voi = Dataset()
        voi.VOILUTSequence = [lut]
        return voi
    return _window(source.grayscale.window) if source.grayscale.window else None


def _window(window: Window) -> Dataset:
    voi = Dataset()
    voi.WindowCenter, voi.WindowWidth = f"{window.center:.10g}", f"{window.width:.10g}"
    if window.function != "LINEAR":
        voi.VOILUTFunction = window.function
    return voi


def _lut(item: Dataset, dataset: Dataset) -> Dataset | None:
    """Return a table as it is to be written; None where descriptor and data do not fit each other."""
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3 or not MIN_LUT_BITS <= descriptor[2] <= MAX_LUT_BITS:
        return None
    entries, first, bits = round(descriptor[0]) % WORD or WORD, round(descriptor[1]), round(descriptor[2])
    data = _lut_data(item, dataset)
    if len(data) not in {2 * entries, entries + entries % 2}:
        return None
    lut = Dataset()
    lut.add_new("LUTDescriptor", *_descriptor(entries, first, bits))
    lut.add_new("LUTData", "OW", data)
    return lut


def _descriptor(entries: int, first: int, bits: int) -> tuple[str, list[int]]:
    """Return the value representation and the values: signed only where the first value is negative."""
    if first >= 0:
        return "US", [entries % WORD, first % WORD, bits]
    return "SS", [(entries + WORD // 2) % WORD - WORD // 2, first, bits]


def _lut_data(item: Dataset, dataset: Dataset) -> bytes:
    found = values(item, "LUTData")
    if len(found) == 1 and isinstance(found[0], bytes):
        _, is_little = dataset.original_encoding
        even = found[0][: len(found[0]) // 2 * 2]
        return np.frombuffer(even, ">u2" if is_little is False else "<u2").astype("<u2").tobytes()
    return np.array([round(value) % WORD for value in numbers(item, "LUTData")], "<u2").tobytes()
