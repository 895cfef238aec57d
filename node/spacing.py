"""The distance between pixels in mm, where the source tells one that can be believed."""

from pydicom import Dataset

from ai.radiograph import PixelSpacing
from node.attributes import number, numbers, text

MIN_ADULT_FIELD_MM = 250.0
MIN_CHILD_FIELD_MM = 100.0
MAX_FIELD_MM = 1000.0
"""The longer side of a chest radiograph lies between these; detectors measure 350 mm x 430 mm.

A spacing kept from before the picture was scaled down gives a field far below, such as 172 mm for the 1024
rows of 0.168 mm of the RSNA pictures.
"""

MAX_MAGNIFICATION = 2.0
"""The body lies between source and detector, so its shadow is larger than itself (PS3.3 C.8.7.15)."""

LEAST_CORRECTION = 1.01
"""Spacings at the detector and in the body that differ by less are the same, rounded: no body lies in the
detector, and a factor of 1 is one that nobody has set."""

SQUARE_TOLERANCE = 0.02
"""Rows and columns may be spaced differently by this part before the report says so."""


def pixel_spacing(
    dataset: Dataset, shape: tuple[int, int], is_child: bool
) -> tuple[PixelSpacing | None, tuple[str, ...]]:
    """Return the spacing of the stored grid, or None, and notes of what was odd about it.

    Pixel Spacing comes first (calibrated, or corrected by the modality), then Imager Pixel Spacing, then
    Nominal Scanned Pixel Spacing. Source: PS3.3 10.7.1.3 says what each of them means.

    Args:
        dataset: The radiograph.
        shape: (rows, columns).
        is_child: Whether the patient is stated to be a child: a small field is believed then.
    """
    notes: list[str] = []
    for candidate in _candidates(dataset, notes):
        field = max(candidate.row_mm * shape[0], candidate.column_mm * shape[1])
        least = MIN_CHILD_FIELD_MM if is_child else MIN_ADULT_FIELD_MM
        if least <= field <= MAX_FIELD_MM:
            _note_shape(candidate, notes)
            return candidate, tuple(notes)
        notes.append(
            f"{candidate.source} would make the picture {field:.0f} mm long, which is not believed "
            f"({least:.0f} mm to {MAX_FIELD_MM:.0f} mm)"
        )
    return None, (*notes, "no pixel spacing that can be believed: lengths and areas are not computed")


def why_none(notes: tuple[str, ...]) -> str:
    """Return why there is no spacing, from the notes of `pixel_spacing` that go with None.

    >>> why_none(("no pixel spacing that can be believed: lengths and areas are not computed",))
    'no pixel spacing'
    """
    doubts = "; ".join(notes[:-1])
    return f"no pixel spacing that can be believed: {doubts}" if doubts else "no pixel spacing"


def _candidates(dataset: Dataset, notes: list[str]) -> list[PixelSpacing]:
    stated = numbers(dataset, "PixelSpacing")
    imager = numbers(dataset, "ImagerPixelSpacing")
    calibrated = bool(text(dataset, "PixelSpacingCalibrationType")) or _is_corrected(stated, imager)
    plain = _spacing(stated, "Pixel Spacing", calibrated, notes)
    at_detector = _imager_spacing(dataset, imager, notes)
    nominal = numbers(dataset, "NominalScannedPixelSpacing")
    scanned = _spacing(nominal, "Nominal Scanned Pixel Spacing", False, notes)
    first = [plain, at_detector]
    if plain and at_detector and at_detector.calibrated and not plain.calibrated:
        first.reverse()  # Pixel Spacing is that at the detector once more, and the factor tells of the body
    return [spacing for spacing in (*first, scanned) if spacing is not None]


def _is_corrected(stated: tuple[float, ...], imager: tuple[float, ...]) -> bool:
    """Whether Pixel Spacing differs from that at the detector as a shadow's size does from its body's."""
    if not len(stated) == len(imager) == 2 or min(stated) <= 0:
        return False
    factors = [at_detector / in_body for at_detector, in_body in zip(imager, stated, strict=True)]
    return all(LEAST_CORRECTION <= factor <= MAX_MAGNIFICATION for factor in factors)


def _imager_spacing(dataset: Dataset, imager: tuple[float, ...], notes: list[str]) -> PixelSpacing | None:
    factor = number(dataset, "EstimatedRadiographicMagnificationFactor", 0.0)
    if LEAST_CORRECTION <= factor <= MAX_MAGNIFICATION:
        corrected = tuple(value / factor for value in imager)
        name = "Imager Pixel Spacing, divided by the Estimated Radiographic Magnification Factor"
        return _spacing(corrected, name, True, notes)
    if factor and not 1 <= factor < LEAST_CORRECTION:
        notes.append(f"Estimated Radiographic Magnification Factor {factor:g} is not believed")
    return _spacing(imager, "Imager Pixel Spacing (at the detector)", False, notes)


def _spacing(pair: tuple[float, ...], name: str, calibrated: bool, notes: list[str]) -> PixelSpacing | None:
    if len(pair) == 2 and all(0 < value < 100 for value in pair):
        return PixelSpacing(pair[0], pair[1], name, calibrated)
    if pair:
        values = "\\".join(f"{value:g}" for value in pair)
        notes.append(f"{name} {values} is no spacing")
    return None


def _note_shape(spacing: PixelSpacing, notes: list[str]) -> None:
    if abs(spacing.row_mm / spacing.column_mm - 1) > SQUARE_TOLERANCE:
        notes.append(f"the pixels are not square: {spacing.row_mm:g} mm by {spacing.column_mm:g} mm")
