"""How far the trachea leaves the midline, and the angle at which it parts."""

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial

from ai.airway import Trachea, bifurcation_misplaced, trachea
from ai.availability import length_remarks, lungs, missing, not_frontal
from ai.measure_diaphragm import square_remarks
from ai.measure_heart import unfit_for_lengths
from ai.measure_plausibility import lungs_implausible
from ai.measurement import DIGITS, Drawing, Measurement, NotComputed, Unit
from ai.radiograph import Radiograph
from ai.segmentation import Mask, Segmentation
from ai.spine_line import SpineLine, spine_line

Vector = npt.NDArray[np.float64]

MIN_SPLIT = 0.25
"""Least share of the bifurcation's height on which the main bronchi lie apart. The structure reaches 10 mm
below the carina, half of its height; on less than 5 mm the angle would be that of a few pixels."""

MAX_SPLIT_RESIDUAL = 0.1
"""Largest distance (root mean square) of the bronchi's lower borders from straight lines, as a share of the
lines' height; one pixel is always let pass."""

MAX_BLIPS = 0.1
"""Largest share of the bifurcation's height above the carina in rows that are not in one part: single ragged
rows are let pass."""

MAX_UNKNOWN = 0.1
"""Share of the trachea's rows without a spine beside them, above which a remark says so."""

NOT_COMPARED = "not compared with readers"

CARINAL_ANGLE = (20.0, 140.0)
"""Plausible subcarinal angles in degrees. Of 392 normal adults they lie between 39 and 81 (Jha et al.,
Measurement of the sub-carinal angle on the normal chest radiograph, BP Koirala Institute, 2017); a large left
atrium takes them beyond 100."""


def tracheal_deviation(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the largest distance of the trachea from the midline above the carina.

    Definition: the largest horizontal distance, on any one row between the apices of the lungs and the
    bifurcation, of the trachea's centre line from the middle of the spine (`ai.spine_line`). A rotated
    patient shows one as well: see the asymmetry of the clavicles.
    Unit: mm, positive towards the patient's left.
    Source: our definition; on CT the normal trachea lies at most 16 mm to the right and 7 mm to the left of
    the midline (Normal position of trachea and anterior junction line on CT).
    """
    name = "tracheal deviation"
    found = _trachea_and_spine(radiograph, segmentation)
    if isinstance(found, str):
        return NotComputed(name, found, ("trachea",))
    airway, spine = found
    structures = ("trachea", *spine.structures)
    reason = unfit_for_lengths(radiograph, segmentation)
    if reason or radiograph.spacing is None:
        return NotComputed(name, reason or radiograph.why_no_spacing, structures)
    offsets = airway.centre - spine.at(airway.rows)
    at = int(np.nanargmax(np.abs(offsets)))
    value = float(offsets[at]) * radiograph.spacing.column_mm
    unknown = float(np.isnan(offsets).mean())
    partly = (f"the spine is known beside {1 - unknown:.0%} of the trachea",) if unknown > MAX_UNKNOWN else ()
    remarks = (_side(value), *partly, *length_remarks(radiograph))
    drawings = _deviation_drawings(airway, spine, at)
    return Measurement(name, value, Unit.MILLIMETRE, drawings, structures, remarks)


def carinal_angle(radiograph: Radiograph, segmentation: Segmentation) -> Measurement | NotComputed:
    """Return the angle at which the main bronchi part (subcarinal angle).

    Definition: the angle between the straight lines through the borders that the right and the left main
    bronchus turn to each other, on the rows of the tracheal bifurcation on which it is in two parts.
    Unit: degree. Without pixel spacing the pixels are taken as square.
    Source: the subcarinal angle of Haskin PH, Goodman LR, Normal tracheal bifurcation angle: a reassessment,
    AJR 139:879 (1982).
    """
    name, structures = "carinal angle", ("tracheal bifurcation",)
    reason = not_frontal(radiograph, segmentation) or missing(segmentation, structures)
    reason = reason or missing(segmentation, lungs(segmentation), top_matters=False)
    reason = reason or lungs_implausible(segmentation) or bifurcation_misplaced(segmentation)
    lines = reason or _bronchi(segmentation.masks["tracheal bifurcation"])
    if isinstance(lines, str):
        return NotComputed(name, lines, structures)
    rows, right, left = lines
    spacing = radiograph.spacing
    aspect = spacing.column_mm / spacing.row_mm if spacing else 1.0
    slopes = np.array([float(line.deriv()(0.0)) * aspect for line in (right, left)])
    value = float(np.ptp(np.degrees(np.arctan(slopes))))
    if not CARINAL_ANGLE[0] <= value <= CARINAL_ANGLE[1] or slopes[0] >= slopes[1]:
        return NotComputed(name, "the bifurcation is implausible: its borders do not part", structures)
    drawings = tuple(
        Drawing(f"lower border of the {side} main bronchus", _points(line, rows))
        for side, line in (("right", right), ("left", left))
    )
    remarks = (NOT_COMPARED, *square_remarks(radiograph))
    return Measurement(name, value, Unit.DEGREE, drawings, structures, remarks)


def _trachea_and_spine(radiograph: Radiograph, segmentation: Segmentation) -> tuple[Trachea, SpineLine] | str:
    """Return the trachea and the spine beside it, or why one cannot be measured against the other."""
    reason = not_frontal(radiograph, segmentation)
    reason = reason or missing(segmentation, lungs(segmentation), top_matters=False)
    airway = reason or lungs_implausible(segmentation) or trachea(segmentation, radiograph.spacing)
    if isinstance(airway, str):
        return airway
    spine = spine_line(segmentation)
    if isinstance(spine, str):
        return spine
    if np.isnan(spine.at(airway.rows)).mean() > 0.5:
        return "the spine was not found beside most of the trachea"
    return airway, spine


def _side(value: float) -> str:
    """Return where the trachea lies, of a distance in mm that is rounded as it is told."""
    rounded = round(value, DIGITS[Unit.MILLIMETRE])
    side = "patient's left" if rounded > 0 else "patient's right"
    return f"towards the {side}" if rounded else "on the midline"


def _deviation_drawings(airway: Trachea, spine: SpineLine, at: int) -> tuple[Drawing, ...]:
    """Return the distance, the trachea's centre line and the midline."""
    middle, row = spine.at(airway.rows), float(airway.rows[at])
    both = ~np.isnan(middle)
    return (
        Drawing("tracheal deviation", ((float(middle[at]), row), (float(airway.centre[at]), row))),
        Drawing("centre line of the trachea", _path(airway.centre[both], airway.rows[both])),
        Drawing("middle of the spine", _path(middle[both], airway.rows[both])),
    )


def _path(columns: Vector, rows: Vector) -> tuple[tuple[float, float], ...]:
    """Return at most 12 points of a line, evenly chosen, its ends among them."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, 12).round().astype(int))
    return tuple((float(columns[index]), float(rows[index])) for index in chosen)


def _bronchi(mask: Mask) -> tuple[Vector, Polynomial, Polynomial] | str:
    """Return the longest run of rows with two parts, and the lines along the borders that face each other.

    A line gives a column for a row.
    """
    starts = np.count_nonzero(np.diff(np.pad(mask.pixels, ((0, 0), (1, 0))).astype(int), axis=1) == 1, axis=1)
    apart = max(_blocks(starts == 2), key=len)
    if len(apart) < max(3, MIN_SPLIT * len(starts)):
        return "the main bronchi cannot be told apart below the carina"
    if np.count_nonzero(starts[: apart[0]] != 1) > MAX_BLIPS * len(starts):
        return "the bifurcation is implausible: it does not part once, from above"
    inner = np.array([_gap(mask.pixels[row]) for row in apart], np.float64) + mask.left
    rows = np.asarray(apart + mask.top + 0.5, np.float64)
    right, left = (Polynomial.fit(rows, border, 1) for border in inner.T)
    bent = [_rms(border - line(rows)) for border, line in zip(inner.T, (right, left), strict=True)]
    if max(bent) > max(1.0, MAX_SPLIT_RESIDUAL * len(rows)):
        return "the bifurcation is implausible: the borders of the bronchi are not straight"
    return rows, right, left


def _blocks(marked: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.intp]]:
    """Return the runs of neighbouring places that are marked, at least one, which may be empty."""
    places = np.flatnonzero(marked)
    return np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)


def _rms(distances: Vector) -> float:
    return float(np.sqrt(np.mean(distances**2)))


def _gap(row: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the gap between the two parts of a row begins, and where it ends."""
    filled = np.flatnonzero(row)
    step = int(np.diff(filled).argmax())
    return int(filled[step]) + 1, int(filled[step + 1])


def _points(line: Polynomial, rows: Vector) -> tuple[tuple[float, float], ...]:
    return tuple((float(line(row)), float(row)) for row in rows[[0, -1]])
