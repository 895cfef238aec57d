"""Course of the spine, from the centres of the vertebrae."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial

from ai.availability import doubted, length_remarks, not_frontal
from ai.labels import LABELS
from ai.measure_heart import unfit_spacing
from ai.measure_plausibility import spine_implausible, spine_misplaced
from ai.measurement import Drawing, Measurement, NotComputed, Unit
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation

VERTEBRAE = tuple(item.name for item in LABELS if item.name.startswith(("vertebrae T", "vertebrae L")))
"""T1 to L5, from above: those on which the curve was compared with readers; the neck bends by itself."""

CURVE_DEGREE = (3, 7)
"""The curve through n centres has the degree n * 3 // 7: five for T1 to T12, seven for T1 to L5. Measured on
the readers' landmarks of 57 films of the AASCE 2019 challenge: for T1 to T12 the mean absolute difference
from the largest angle between any two endplates is 4.1 degrees (bias 0.8), for T1 to L5 4.4 degrees (bias
1.2); neighbouring degrees are worse."""

SQUARE_PIXELS = "the pixels are taken as square: {why}"


@dataclass(frozen=True, eq=False)
class Centres:
    """Centres of the vertebrae that were found, from above.

    Attributes:
        names: Their label names.
        pixels: (n, 2) of (column, row), image coordinates.
        pitch: (column, row) distance of pixels: mm, or 1 where the spacing is unknown.
        size: (columns, rows) of the image, in pixels.
    """

    names: tuple[str, ...]
    pixels: npt.NDArray[np.float64]
    pitch: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]

    @property
    def across(self) -> npt.NDArray[np.float64]:
        """Horizontal position, in units of the pitch."""
        return np.asarray(self.pixels[:, 0] * self.pitch[0], np.float64)

    @property
    def down(self) -> npt.NDArray[np.float64]:
        """Vertical position, in units of the pitch."""
        return np.asarray(self.pixels[:, 1] * self.pitch[1], np.float64)

    def drawing(self, name: str, across: npt.NDArray[np.float64], down: npt.NDArray[np.float64]) -> Drawing:
        """Return points, given in units of the pitch, as a drawing in image coordinates."""
        columns, rows = across / self.pitch[0], down / self.pitch[1]
        return Drawing(name, tuple((float(c), float(r)) for c, r in zip(columns, rows, strict=True)))


def spine_centre_distance(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return how far the vertebrae lie from the straight line that fits them best, on average.

    Definition: the mean distance of the centres of T1 to L5 from their regression line (column on row).
    Unit: mm.
    Source: the spine-center distance of CXAS (Seibold et al., arXiv 2306.03934), there in pixels of a
    squashed image.
    """
    name = "spine-centre distance"
    centres = _centres(radiograph, segmentation)
    if isinstance(centres, str):
        return NotComputed(name, centres, whole_vertebrae(segmentation))
    if radiograph.spacing is None:
        return NotComputed(name, radiograph.why_no_spacing, centres.names)
    reason = unfit_spacing(radiograph, segmentation)
    if reason:
        return NotComputed(name, reason, centres.names)
    line = Polynomial.fit(centres.down, centres.across, 1)
    slope = float(line.deriv()(0.0))
    distances = np.abs(centres.across - line(centres.down)) / np.hypot(1, slope)
    ends = centres.down[[0, -1]]
    drawings = (
        centres.drawing("regression line of the vertebra centres", line(ends), ends),
        centres.drawing("vertebra centres", centres.across, centres.down),
    )
    value = float(distances.mean())
    return Measurement(name, value, Unit.MILLIMETRE, drawings, centres.names, length_remarks(radiograph))


def spine_angle(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the largest angle between tangents of the spine: Cobb-like, from centres, not endplates.

    Definition: a polynomial (column on row, degree as in CURVE_DEGREE) is fitted to the centres of T1 to
    L5; the value is the difference of its largest and smallest inclination at the centres.
    Unit: degrees.
    Source: after Cobb JR, Outline for the study of scoliosis, AAOS Instr Course Lect 5:261 (1948), with
    perpendiculars of the curve in the place of endplates.
    """
    name = "spine angle"
    centres = _centres(radiograph, segmentation)
    if isinstance(centres, str):
        return NotComputed(name, centres, whole_vertebrae(segmentation))
    curve = Polynomial.fit(centres.down, centres.across, _degree(len(centres.names)))
    angles = np.degrees(np.arctan(curve.deriv()(centres.down)))
    first, last = sorted((int(angles.argmin()), int(angles.argmax())))
    remarks = ("from vertebra centres, not endplates",) + (
        (SQUARE_PIXELS.format(why=radiograph.why_no_spacing),) if radiograph.spacing is None else ()
    )
    drawings = (
        *(_tangent(centres, curve, index) for index in (first, last)),
        centres.drawing("spine curve", curve(centres.down), centres.down),
    )
    return Measurement(name, float(np.ptp(angles)), Unit.DEGREE, drawings, centres.names, remarks)


def _tangent(centres: Centres, curve: Polynomial, index: int) -> Drawing:
    """Return the tangent at one centre, two vertebrae up and down, or as far as the image goes."""
    slope, down = float(curve.deriv()(centres.down[index])), float(centres.down[index])
    across = float(curve(down))
    half = np.array([slope, 1.0]) * 2 * float(np.diff(centres.down).mean()) / np.hypot(1, slope)
    place = np.array([across, down])
    room = np.minimum(place, centres.size * centres.pitch - place) / np.maximum(np.abs(half), 1e-9)
    steps = np.array([-1.0, 1.0]) * min(1.0, float(room.min()))
    title = f"tangent at {centres.names[index].removeprefix('vertebrae ')}"
    return centres.drawing(title, across + half[0] * steps, down + half[1] * steps)


def _centres(radiograph: Radiograph, segmentation: Segmentation) -> Centres | str:
    """Return the centres of the vertebrae found, or why they cannot be used."""
    reason = not_frontal(radiograph, segmentation)
    if reason:
        return reason
    if set(VERTEBRAE) <= set(segmentation.unsupported):
        return "the model does not support single vertebrae"
    names = whole_vertebrae(segmentation)
    doubt = doubted(segmentation, VERTEBRAE)
    if not names:
        return f"no vertebrae were found; {doubt}" if doubt else "no vertebrae were found"
    pixels = np.array([segmentation.masks[name].centroid for name in names])
    areas = np.array([segmentation.masks[name].area for name in names], np.float64)
    levels = np.array([VERTEBRAE.index(name) for name in names], np.float64)
    spacing = radiograph.spacing
    pitch = np.array([spacing.column_mm, spacing.row_mm] if spacing else [1.0, 1.0])
    reason = spine_implausible(levels, pixels * pitch, areas * pitch.prod(), _degree(len(names)))
    reason = reason or spine_misplaced(segmentation, pixels[:, 0])
    if reason:
        return f"{reason}; {doubt}" if doubt else reason
    return Centres(names, pixels, pitch, np.array([radiograph.columns, radiograph.rows], np.float64))


def _degree(count: int) -> int:
    """Return the degree of the curve through `count` centres."""
    return count * CURVE_DEGREE[0] // CURVE_DEGREE[1]


def whole_vertebrae(segmentation: Segmentation) -> tuple[str, ...]:
    """Return the vertebrae that were found and are not cut off above or below: label names, from above."""
    return tuple(
        name for name in VERTEBRAE if name in segmentation.masks and not _clipped(segmentation, name)
    )


def _clipped(segmentation: Segmentation, name: str) -> bool:
    """Whether the vertebra touches the upper or lower border, so that its centre is not that of the whole."""
    mask = segmentation.masks[name]
    return mask.top == 0 or mask.bottom == segmentation.shape[0]
