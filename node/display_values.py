"""From stored values to display values: Modality LUT, VOI LUT, polarity once. PS3.4 N.2 has the order.

Images for processing have no display transform of their own: linear ones are turned into attenuation by the
logarithm, and Pixel Intensity Relationship Sign tells which way up they are (PS3.3 C.8.11.3.1.2).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi
from pydicom.uid import DigitalXRayImageStorageForProcessing

from node.attributes import CONVERSION_ERRORS, items, number, numbers, text
from node.voi_window import Window, windows

Values = npt.NDArray[np.float32]

MAX_PADDING = 0.75
"""A padding value that more of the picture has is taken for a mistake."""

LOWEST_PERCENTILE = 0.1
HIGHEST_PERCENTILE = 99.9
"""Without a window that can be believed, these percentiles become black and white."""

SAMPLE_STEP = 4
"""Percentiles are taken over every fourth row and column."""


@dataclass(frozen=True)
class Grayscale:
    """The way to the display values, as a presentation state tells it (PS3.4 N.2).

    Attributes:
        window: On modality values; None where the VOI LUT was taken, or where no window says what was done.
        voi_lut: Whether the source's VOI LUT was taken.
        inverted: Whether the lowest value is the brightest: Presentation LUT Shape INVERSE.
    """

    window: Window | None = None
    voi_lut: bool = False
    inverted: bool = False


@dataclass(frozen=True, eq=False)
class DisplayValues:
    """What a display would show, and what was odd on the way there.

    Attributes:
        pixels: float32 (rows, columns) in [0, 1], white where the source says that bone is.
        notes: One sentence each.
        grayscale: How they came about.
    """

    pixels: Values
    notes: tuple[str, ...]
    grayscale: Grayscale


def display_values(stored: npt.NDArray[np.generic], dataset: Dataset) -> DisplayValues:
    """Return the display values of stored values (rows, columns)."""
    notes: list[str] = []
    padded = _padding(stored, dataset, notes)
    values = _modality_values(stored, dataset, notes)
    if is_for_processing(dataset):
        shown, grayscale = _attenuation(values, padded, dataset, notes)
    else:
        shown, window = _voi_values(values, padded, dataset, notes)
        grayscale = Grayscale(window, window is None, _is_inverted(dataset, notes))
        shown = 1 - shown if grayscale.inverted else shown
    if padded is not None:
        shown[padded] = 0
    return DisplayValues(shown, tuple(notes), grayscale)


def is_for_processing(dataset: Dataset) -> bool:
    """Whether the image is one for processing, not for presentation (PS3.3 C.8.11.1)."""
    return (
        dataset.get("SOPClassUID") == DigitalXRayImageStorageForProcessing
        or text(dataset, "PresentationIntentType") == "FOR PROCESSING"
    )


def _padding(
    stored: npt.NDArray[np.generic], dataset: Dataset, notes: list[str]
) -> npt.NDArray[np.bool_] | None:
    """Return where Pixel Padding Value (to its Range Limit) stands; PS3.3 C.7.5.1.1.2."""
    value = numbers(dataset, "PixelPaddingValue")
    if not value:
        return None
    limit = number(dataset, "PixelPaddingRangeLimit", value[0])
    low, high = sorted((value[0], limit))
    padded = (stored >= low) & (stored <= high)  # type: ignore[operator]
    share = float(padded.mean())
    if share > MAX_PADDING:
        notes.append(f"Pixel Padding Value would cover {100 * share:.0f} % of the picture and was ignored")
        return None
    return padded if share > 0 else None


def _modality_values(stored: npt.NDArray[np.generic], dataset: Dataset, notes: list[str]) -> Values:
    if items(dataset, "ModalityLUTSequence"):
        try:
            return np.asarray(apply_modality_lut(stored, dataset), np.float32)
        except CONVERSION_ERRORS:
            notes.append("the Modality LUT cannot be read and was ignored")
    slope = number(dataset, "RescaleSlope", 1.0)
    if slope == 0:
        notes.append("Rescale Slope is 0 and was ignored")
        slope = 1.0
    values = stored.astype(np.float32)
    intercept = number(dataset, "RescaleIntercept", 0.0)
    return values if (slope, intercept) == (1.0, 0.0) else values * np.float32(slope) + np.float32(intercept)


def _voi_values(
    values: Values, padded: npt.NDArray[np.bool_] | None, dataset: Dataset, notes: list[str]
) -> tuple[Values, Window | None]:
    """Return values in [0, 1] through the VOI LUT, else the first window that shows anything, else all.

    The window comes with them, None for the VOI LUT.
    """
    if items(dataset, "VOILUTSequence"):
        try:
            return _through_voi_lut(values, dataset), None
        except CONVERSION_ERRORS:
            notes.append("the VOI LUT cannot be read and was ignored")
    sample = _sample(values, padded)
    stated = windows(dataset)
    for window in stated:
        if window.shows(sample):
            return window.apply(values), window
    if stated:
        notes.append(f"the stored window ({stated[0]}) clips almost the whole picture and was ignored")
    return _stretched(values, sample)


def _through_voi_lut(values: Values, dataset: Dataset) -> Values:
    looked_up = apply_voi(np.rint(values).astype(np.int32), dataset).astype(np.float32)
    bits = numbers(items(dataset, "VOILUTSequence")[0], "LUTDescriptor")[2]  # PS3.3 C.11.1.1.1
    return np.asarray(
        np.clip(looked_up / np.float32(max(2**bits - 1, float(looked_up.max()))), 0, 1), np.float32
    )


def _sample(values: Values, padded: npt.NDArray[np.bool_] | None) -> Values:
    coarse = values[::SAMPLE_STEP, ::SAMPLE_STEP]
    return coarse if padded is None else coarse[~padded[::SAMPLE_STEP, ::SAMPLE_STEP]]


def _stretched(values: Values, sample: Values) -> tuple[Values, Window]:
    low, high = np.percentile(sample, [LOWEST_PERCENTILE, HIGHEST_PERCENTILE]) if sample.size else (0.0, 0.0)
    if high <= low:
        low, high = float(values.min()), float(values.max())
    window = Window(float(low + high) / 2 + 0.5, float(high - low) + 1)  # PS3.3 C.11.2.1.2.1
    stretched = values - np.float32(low)
    stretched /= np.float32(max(high - low, 1e-6))
    return np.clip(stretched, 0, 1, out=stretched), window


def _is_inverted(dataset: Dataset, notes: list[str]) -> bool:
    photometric = text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    shape = text(dataset, "PresentationLUTShape")
    if shape and (shape == "INVERSE") != photometric:
        notes.append(
            f"Photometric Interpretation {'MONOCHROME1' if photometric else 'MONOCHROME2'} and Presentation "
            "LUT Shape contradict each other; the grey scale was turned over once"
        )
    return photometric or shape == "INVERSE"


def _attenuation(
    values: Values, padded: npt.NDArray[np.bool_] | None, dataset: Dataset, notes: list[str]
) -> tuple[Values, Grayscale]:
    """Return values in [0, 1] of an image for processing, bone bright, and what a display can do of it."""
    sign = number(dataset, "PixelIntensityRelationshipSign", 0)
    more_is_brighter_beam = sign > 0 if sign else text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    if text(dataset, "PixelIntensityRelationship") != "LIN":
        shown, window = _stretched(values, _sample(values, padded))
        shown = 1 - shown if more_is_brighter_beam else shown
        return shown, Grayscale(window, inverted=more_is_brighter_beam)
    notes.append("an image for processing, linear in X-ray intensity: its logarithm was taken")
    exposed = values if padded is None else values[~padded]
    intensity = values - exposed.min() if more_is_brighter_beam else exposed.max() - values
    attenuation = -np.log1p(np.maximum(intensity, 0))  # padding may lie beyond what was exposed
    shown, _ = _stretched(attenuation, _sample(attenuation, padded))
    return shown, Grayscale(inverted=more_is_brighter_beam)
