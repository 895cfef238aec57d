"""Vertebrae that readers marked: the four corners of each, and three Cobb angles, in a set's landmarks.csv.

Columns: file; `cobb_proximal_thoracic`, `cobb_main_thoracic`, `cobb_thoracolumbar` in degrees; and
`x_T1_UL` to `y_L5_LR`, the upper and lower, left and right corners as they lie in the picture, in pixels of
the picture as stored. A vertebra whose eight cells are empty was not marked. A table with neither corners of
vertebrae nor Cobb angles holds landmarks of something else and is left alone.
"""

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.measure_spine import VERTEBRAE
from ai.segmentation import Mask, Segmentation
from pipeline_training.errors import RadiographSetError
from pipeline_training.readings import READERS

Points = npt.NDArray[np.float64]

LANDMARKS_FILE = "landmarks.csv"
MARKED = tuple(name for name in VERTEBRAE if name.removeprefix("vertebrae ")[0] in "TL")
"""T1 to L5, from above: label names of the vertebrae that the table has columns for."""
CORNERS = ("UL", "UR", "LL", "LR")
AROUND = [CORNERS.index(corner) for corner in ("UL", "UR", "LR", "LL")]
"""Places of the corners on the way around a vertebra, clockwise."""
COBB = ("cobb_proximal_thoracic", "cobb_main_thoracic", "cobb_thoracolumbar")
"""The columns' names are not to be trusted: in the table of AASCE 2019 the first holds the largest angle of
the whole spine on each of 57 films, wherever it lies. Only the largest of the three is used, as a check."""
OF_A_SPINE = re.compile(r"cobb_.*|[xy]_[TL]\d+_(UL|UR|LL|LR)")


@dataclass(frozen=True, eq=False)
class SpineReading:
    """What a reader marked on one film.

    Attributes:
        corners: By label name, from above: (4, 2) of (column, row) in image coordinates, in the order of
            CORNERS.
        cobb: The table's angles in degrees, in the order of COBB.
    """

    corners: Mapping[str, Points]
    cobb: tuple[float, float, float]

    def centre(self, name: str) -> tuple[float, float]:
        """Return (column, row) of the mean of a vertebra's four corners."""
        column, row = self.corners[name].mean(axis=0)
        return float(column), float(row)

    def inclination(self, name: str) -> float:
        """Return how far a vertebra leans, in degrees: the line between the middles of its two sides."""
        upper_left, upper_right, lower_left, lower_right = self.corners[name]
        column, row = (upper_right + lower_right - upper_left - lower_left) / 2
        return math.degrees(math.atan2(row, column))

    def largest_angle(self, names: Sequence[str]) -> float:
        """Return the largest angle between any two of these vertebrae, in degrees.

        Source: how the angles of AASCE 2019 were made; for T1 to L5 this gives the largest of a film's three
        angles again, within 0.15 degrees on 57 films.
        """
        inclinations = [self.inclination(name) for name in names]
        return max(inclinations) - min(inclinations)

    def drawn(self, names: Sequence[str], shape: tuple[int, int]) -> Segmentation:
        """Return these vertebrae as masks: the polygons of their corners, in an image of (rows, columns)."""
        masks = {name: _filled(self.corners[name][AROUND], shape) for name in names}
        return Segmentation(shape, {name: mask for name, mask in masks.items() if mask}, READERS)


@dataclass(frozen=True, eq=False)
class SpineTable:
    """The landmarks of a set.

    Attributes:
        path: Of the table.
        readings: By picture file name.
        without_picture: Names in it of pictures that are not there.
    """

    path: Path
    readings: Mapping[str, SpineReading]
    without_picture: tuple[str, ...] = ()

    def reading(self, image: Path, shape: tuple[int, int] | None) -> SpineReading | None:
        """Return what was marked on an image of (rows, columns), or None if nothing was.

        The shape is None where the image cannot be read.

        Raises:
            RadiographSetError: If the centre of a vertebra lies outside the image.
        """
        reading = self.readings.get(image.name)
        if reading is None or shape is None:
            return reading
        for name in reading.corners:
            column, row = reading.centre(name)
            if not (0 <= column <= shape[1] and 0 <= row <= shape[0]):
                raise RadiographSetError(
                    f"{self.path}: {name} of {image.name} lies at column {column:g}, row {row:g}, its "
                    f"picture has {shape[1]} and {shape[0]}: landmarks are in pixels of the picture as stored"
                )
        return reading


def read_spine_table(path: Path, images: Iterable[Path]) -> SpineTable | None:
    """Return the landmarks in a file; None if there is no such file, or it holds landmarks of something else.

    Args:
        path: Of the table.
        images: The set's pictures.

    Raises:
        RadiographSetError: If it cannot be read, lacks a column, or a row is not as it should be.
    """
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            table = csv.DictReader(lines)
            columns, rows = list(table.fieldnames or ()), list(table)
    except (OSError, ValueError, csv.Error) as exc:
        raise RadiographSetError(f"{path} cannot be read: {exc!r}") from exc
    if not any(OF_A_SPINE.fullmatch(column) for column in columns):
        return None
    if lacking := [column for column in _columns() if column not in columns]:
        raise RadiographSetError(
            f"{path} lacks {len(lacking)} of the columns of a spine's landmarks, such as {lacking[0]}"
        )
    readings = {row["file"]: _reading(path, row) for row in rows}
    if len(readings) < len(rows):
        raise RadiographSetError(f"{path} names a picture twice: {len(rows)} rows, {len(readings)} pictures")
    known = {image.name for image in images}
    lost = tuple(name for name in readings if name not in known)
    if len(lost) == len(readings):
        raise RadiographSetError(f"{path} names none of the {len(known)} pictures beside it")
    return SpineTable(path, readings, lost)


def _columns() -> tuple[str, ...]:
    return ("file", *COBB, *(column for name in MARKED for axis in "xy" for column in _cells(name, axis)))


def _cells(name: str, axis: str) -> tuple[str, ...]:
    """Return the columns of one coordinate of a vertebra's corners."""
    return tuple(f"{axis}_{name.removeprefix('vertebrae ')}_{corner}" for corner in CORNERS)


def _reading(path: Path, row: Mapping[str, str]) -> SpineReading:
    marked = [name for name in MARKED if any(row[c] for axis in "xy" for c in _cells(name, axis))]
    if not marked:
        raise RadiographSetError(f"{path}: the row of {row['file']!r} marks no vertebra")
    corners = {
        name: np.array([[_number(path, row, c) for c in _cells(name, axis)] for axis in "xy"]).T
        for name in marked
    }
    if swapped := [name for name, points in corners.items() if _swapped(points)]:
        raise RadiographSetError(
            f"{path}: {swapped[0]} of {row['file']!r} has its corners on the wrong sides: left and right "
            "are those of the picture, and rows count from its top"
        )
    first, second, third = (_number(path, row, column) for column in COBB)
    return SpineReading(corners, (first, second, third))


def _swapped(corners: Points) -> bool:
    """Whether corners are not at the sides, or above or below, as they are named."""
    upper_left, upper_right, lower_left, lower_right = corners
    across = upper_right + lower_right - upper_left - lower_left
    down = lower_left + lower_right - upper_left - upper_right
    return bool(across[0] <= 0 or across[0] * down[1] - across[1] * down[0] <= 0)


def _number(path: Path, row: Mapping[str, str], column: str) -> float:
    try:
        number = float(row[column])
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RadiographSetError(
            f"{path}: {column} of {row['file']!r} must be a number, found {row[column]!r}"
        )
    return number


def _filled(outline: Points, shape: tuple[int, int]) -> Mask | None:
    """Return the pixels of an image of `shape` whose centres a convex, clockwise outline (n, 2) encloses."""
    left, top = np.floor(outline.min(axis=0)).clip(0).astype(int)
    right, bottom = np.ceil(outline.max(axis=0)).clip(0).astype(int)
    filled = np.zeros(shape, np.bool_)
    filled[top:bottom, left:right] = True
    across, down = np.arange(shape[1])[left:right] + 0.5, np.arange(shape[0])[top:bottom, None] + 0.5
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        (x, y), (along, fall) = start, end - start
        filled[top:bottom, left:right] &= along * (down - y) - fall * (across - x) >= 0
    return Mask.from_dense(filled)
