"""Which lines a report draws, and which values are written at each of them.

Viewers draw one region of interest for each measurement group, write the group's values beside it, and cover
one label with another where two groups draw the same line (docs/dicom.md). So every line is drawn once, with
all values that belong to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ai.measurement import Drawing, Measurement

Points = tuple[tuple[float, float], ...]

MAX_POINTS = 1000
"""Longer outlines are thinned: explicit VR leaves 65,534 bytes for Graphic Data (PS3.5 7.1.2)."""


@dataclass
class Figure:
    """One line to be drawn.

    Attributes:
        points: (column, row) pairs in the radiograph's coordinates; an outline ends where it begins.
        names: What it shows.
        measurements: Those whose values are written beside it.
    """

    points: Points
    names: list[str]
    measurements: list[Measurement] = field(default_factory=list)


def figures(measurements: Iterable[Measurement]) -> list[Figure]:
    """Return every line once; each measurement stands at one of its own lines, the least used one."""
    computed = list(measurements)
    found: dict[Points, Figure] = {}
    lines = [_lines(measurement.drawings) for measurement in computed]
    for figure in (figure for line in lines for figure in line):
        found.setdefault(figure.points, figure)
    by_freedom = sorted(range(len(computed)), key=lambda index: len(lines[index]))
    for index in by_freedom:
        own = [found[figure.points] for figure in lines[index]]
        min(own, key=lambda figure: len(figure.measurements)).measurements.append(computed[index])
    return list(found.values())


def _lines(drawings: Sequence[Drawing]) -> list[Figure]:
    """Return the drawings as lines; open ones that meet on one column become one stepped line."""
    lines: list[Figure] = []
    last: Drawing | None = None
    for drawing in drawings:
        points = thinned(drawing.points + drawing.points[:1] if drawing.closed else drawing.points)
        if last and not (last.closed or drawing.closed) and last.points[-1][0] == points[0][0]:
            lines[-1].points += points
            lines[-1].names.append(drawing.name)
        else:
            lines.append(Figure(points, [drawing.name]))
        last = drawing
    return lines


def thinned(points: Points) -> Points:
    """Return at most `MAX_POINTS` of the points, evenly chosen, the first and the last among them."""
    if len(points) <= MAX_POINTS:
        return points
    chosen = np.linspace(0, len(points) - 1, MAX_POINTS).round().astype(int)
    return tuple(points[index] for index in chosen)
