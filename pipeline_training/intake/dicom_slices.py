"""The slices of CT objects, those of one image each and enhanced ones, and the stack that they make."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from pipeline_training.errors import VolumeError
from pipeline_training.intake.dicom_folder import sequence
from pipeline_training.intake.geometry import Real

FEWEST_SLICES = 3
MAX_TILT_DEGREES = 0.5
"""Rounded positions give 0.1 degrees at most over 200 mm; gantries are tilted by degrees. What is accepted is
resampled as it lies, so that no error comes of it."""

MAX_JUMP_MM = 0.5
"""Sideways distance of a slice from the line of the others: a third of a voxel of the working grid."""

MAX_UNEVEN = 0.1
"""Share of the usual distance by which the distance of two slices may differ: rounded positions do."""

SAME_POSITION_MM = 0.01
ROUNDING = 1e-3
"""Direction cosines (0.06 degrees) and pixel spacings (mm) that differ less are equal."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One image of a stack.

    Attributes:
        path: The file that holds it.
        frame: Its number in the file, from 0.
        position: Image Position (Patient), PS3.3 C.7.6.2.1.1: the first pixel's centre, LPS, mm.
        orientation: Image Orientation (Patient): direction cosines along a row, then along a column.
        spacing: Pixel Spacing: distance of rows, then of columns, mm.
        size: (rows, columns).
        rescale: (slope, intercept) to HU.
    """

    path: Path
    frame: int
    position: Real
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    size: tuple[int, int]
    rescale: tuple[float, float] = (1.0, 0.0)


def slices_of(case: str, dataset: pydicom.Dataset, path: Path) -> list[Slice]:
    """Return the slices that a CT object holds.

    Raises:
        VolumeError: If it does not say where they lie, or how its values become HU.
    """
    size = (int(dataset.Rows), int(dataset.Columns))
    frames = sequence(dataset, "PerFrameFunctionalGroupsSequence")
    if not frames:
        return [Slice(path, 0, *place_of(case, dataset, dataset, dataset), size, _rescale(case, dataset))]
    answer = []
    for number, _ in enumerate(frames):
        place = frame_place(case, dataset, number)
        rescale = _rescale(case, functional(dataset, number, "PixelValueTransformationSequence"))
        answer.append(Slice(path, number, *place, size, rescale))
    return answer


def frame_place(
    case: str, dataset: pydicom.Dataset, frame: int
) -> tuple[Real, tuple[float, ...], tuple[float, ...]]:
    """Return position, orientation and pixel spacing of a frame, PS3.3 C.7.6.16.2."""
    return place_of(
        case,
        functional(dataset, frame, "PlanePositionSequence"),
        functional(dataset, frame, "PlaneOrientationSequence"),
        functional(dataset, frame, "PixelMeasuresSequence"),
    )


def functional(dataset: pydicom.Dataset, frame: int, keyword: str) -> pydicom.Dataset:
    """Return a functional group's item: the frame's own or, where it has none, the shared one."""
    own = dataset.PerFrameFunctionalGroupsSequence[frame]
    shared = sequence(dataset, "SharedFunctionalGroupsSequence")
    for group in (own, *shared):
        for item in sequence(group, keyword):
            return item
    return pydicom.Dataset()


def place_of(
    case: str, position: pydicom.Dataset, orientation: pydicom.Dataset, measures: pydicom.Dataset
) -> tuple[Real, tuple[float, ...], tuple[float, ...]]:
    """Return Image Position, Image Orientation and Pixel Spacing from where they are kept.

    Raises:
        VolumeError: If one is missing.
    """
    cosines = _numbers(case, orientation, "ImageOrientationPatient", 6)
    row, column = np.reshape(cosines, (2, 3))
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if abs(row @ column) > ROUNDING or (np.abs(lengths - 1) > ROUNDING).any():
        raise VolumeError(
            f"{case}: ImageOrientationPatient {cosines} is not two unit vectors at right angles"
        )
    spacing = _numbers(case, measures, "PixelSpacing", 2)
    if min(spacing) <= 0:
        raise VolumeError(f"{case}: PixelSpacing must be above 0, found {spacing}")
    return np.array(_numbers(case, position, "ImagePositionPatient", 3)), cosines, spacing


def _numbers(case: str, dataset: pydicom.Dataset, keyword: str, count: int) -> tuple[float, ...]:
    value = dataset.get(keyword)
    try:
        numbers = tuple(float(each) for each in value or ())
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise VolumeError(f"{case}: {keyword} must hold {count} numbers, found {value}")
    return numbers


def _rescale(case: str, dataset: pydicom.Dataset) -> tuple[float, float]:
    """Return slope and intercept of the Modality LUT, PS3.3 C.11.1; without a type, a CT's are HU."""
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None:
        raise VolumeError(f"{case}: RescaleSlope or RescaleIntercept is missing: no way to HU")
    if (kind := dataset.get("RescaleType") or "HU") != "HU":
        raise VolumeError(f"{case}: RescaleType is {kind!r}, not HU")
    return float(slope), float(intercept)


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in the order of their positions.

    Attributes:
        slices: They, evenly spaced.
        to_patient: float64 (4, 4), from (slice, row, column) to (left, posterior, superior) in mm.
    """

    slices: tuple[Slice, ...]
    to_patient: Real


def stacked(case: str, slices: Sequence[Slice]) -> Stack:
    """Return the slices sorted along their normal.

    Raises:
        VolumeError: If they are no even stack; with the numbers.
    """
    if len(slices) < FEWEST_SLICES:
        raise VolumeError(f"{case}: {len(slices)} slices are no volume, {FEWEST_SLICES} are the fewest")
    one(case, "sizes (rows, columns)", (each.size for each in slices))
    one(case, "orientations", _like_first([each.orientation for each in slices]))
    one(case, "pixel spacings", _like_first([each.spacing for each in slices]))
    normal = normal_of(slices[0].orientation)
    ordered = tuple(sorted(slices, key=lambda each: float(each.position @ normal)))
    positions = np.array([each.position for each in ordered])
    _check_distances(case, positions @ normal)
    _check_line(case, positions, normal)
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    return Stack(ordered, plane_matrix(ordered[0], step))


def _like_first(values: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return the values, those as good as equal to the first replaced by it."""
    first = values[0]
    return [first if np.allclose(each, first, rtol=0, atol=ROUNDING) else each for each in values]


def normal_of(orientation: tuple[float, ...]) -> Real:
    """Return the unit vector across the slices, away from the viewer."""
    normal: Real = np.cross(orientation[:3], orientation[3:])
    return normal


def plane_matrix(first: Slice, step: Real) -> Real:
    """Return the way from (slice, row, column) to LPS mm, PS3.3 equation C.7.6.2.1-1."""
    matrix = np.eye(4)
    matrix[:3, 0] = step
    matrix[:3, 1] = np.multiply(first.orientation[3:], first.spacing[0])
    matrix[:3, 2] = np.multiply(first.orientation[:3], first.spacing[1])
    matrix[:3, 3] = first.position
    return matrix


def one(case: str, what: str, values: Iterable[Hashable]) -> None:
    """Refuse several values where there must be one.

    Raises:
        VolumeError: Naming the two most frequent of them.
    """
    counted = Counter(values)
    found = sorted(counted, key=lambda value: (-counted[value], str(value)))
    if len(found) > 1:
        raise VolumeError(f"{case}: the slices have {len(found)} {what}, such as {found[0]} and {found[1]}")


def _check_distances(case: str, along: Real) -> None:
    """Refuse slices that share a position or whose distances differ."""
    steps = np.diff(along)
    if (steps < SAME_POSITION_MM).any():
        at = int(np.argmax(steps < SAME_POSITION_MM))
        count = int(np.count_nonzero(steps < SAME_POSITION_MM))
        raise VolumeError(
            f"{case}: {count} slices lie where another one lies, the first at {along[at]:.2f} mm: several "
            "phases or reconstructions in one series?"
        )
    usual = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - usual) > MAX_UNEVEN * usual)
    if uneven.size:
        at = int(uneven[np.argmax(steps[uneven])])
        raise VolumeError(
            f"{case}: {_gap(steps[at], usual)} between the positions {along[at]:.2f} and {along[at + 1]:.2f} "
            f"mm, {steps[at]:.2f} mm apart where {usual:.2f} mm are usual; {uneven.size} such places"
        )


def _gap(step: float, usual: float) -> str:
    missing = round(step / usual) - 1
    return f"{missing} slices are missing" if missing > 0 else "the slices are unevenly spaced"


def _check_line(case: str, positions: Real, normal: Real) -> None:
    """Refuse slices that do not lie one behind the other along their normal."""
    way = positions[-1] - positions[0]
    sideways = float(np.linalg.norm(way - (way @ normal) * normal))
    tilt = float(np.degrees(np.arctan2(sideways, way @ normal)))
    if tilt > MAX_TILT_DEGREES:
        raise VolumeError(
            f"{case}: gantry tilt: the slices follow a line {tilt:.2f} degrees off their normal, more than "
            f"{MAX_TILT_DEGREES}"
        )
    line = positions[0] + np.outer(np.linspace(0, 1, len(positions)), way)
    rest = positions - line
    jumps = np.linalg.norm(rest - np.outer(rest @ normal, normal), axis=1)
    if jumps.max() > MAX_JUMP_MM:
        at = float((positions @ normal)[jumps.argmax()])
        raise VolumeError(
            f"{case}: the slice at {at:.2f} mm lies {jumps.max():.2f} mm beside the line of the others, more "
            f"than {MAX_JUMP_MM}"
        )
