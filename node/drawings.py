"""Which lines a report draws, and which values are written at each of them.

Viewers draw one region of interest for each measurement group, write the group's values beside it, and cover
one label with another where two groups draw the same line (docs/dicom.md). So every line is drawn once, with
all values that belong to it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ai.measurement import Drawing, Measurement

Points = tuple[tuple[float, float], ...]

MAX_POINTS = 1000
"""Longer outlines are thinned: explicit VR leaves 65,534 bytes for Graphic Data (PS3.5 7.1.2)."""

RECTANGLE_POINTS = frozenset({4, 5})
"""OHIF 3.13 takes a polyline of so many points for a rectangle of its own, offers to edit it, and then shows
no line of the whole report. Measured; its adapter registers "DCM:111030-POLYLINE-4" and "-5"."""


DECIMALS = 3
"""Of a coordinate in pixels; Graphic Data holds no more of a large one, and the same line is known again."""


@dataclass
class Figure:
    """One line to be drawn.

    Attributes:
        points: (column, row) pairs in the radiograph's coordinates; an outline ends where it begins. Never 4
            or 5 of them.
        names: What it shows.
        measurements: Those whose values are written beside it.
    """

    points: Points
    names: list[str]
    measurements: list[Measurement] = field(default_factory=list)


def figures(measurements: Iterable[Measurement]) -> list[Figure]:
    """Return every line once; each measurement stands at that of its lines which most measurements share.

    So values that belong together stand in one label. Among equals the least used line is taken, but of the
    pieces of one outline the first, which is the largest.
    """
    computed = list(measurements)
    found: dict[Points, Figure] = {}
    own = [[found.setdefault(line.points, line) for line in _lines(each.drawings)] for each in computed]
    users = Counter(id(figure) for lines in own for figure in lines)
    for index in sorted(range(len(computed)), key=lambda index: len(own[index])):
        firsts = {tuple(figure.names): figure for figure in reversed(own[index])}.values()
        best = min(reversed(firsts), key=lambda figure: (-users[id(figure)], len(figure.measurements)))
        best.measurements.append(computed[index])
    return list(found.values())


def _lines(drawings: Sequence[Drawing]) -> list[Figure]:
    """Return the drawings as lines; level ones that meet on one column become one stepped line."""
    lines: list[Figure] = []
    last: Drawing | None = None
    for drawing in drawings:
        outline = drawing.points + drawing.points[:1] if drawing.closed else drawing.points
        points = tuple((round(column, DECIMALS), round(row, DECIMALS)) for column, row in thinned(outline))
        if last and _is_level(last) and _is_level(drawing) and lines[-1].points[-1][0] == points[0][0]:
            lines[-1].points += points
            lines[-1].names.append(drawing.name)
        else:
            lines.append(Figure(points, [drawing.name]))
        last = drawing
    for line in lines:
        line.points = no_rectangle(line.points)
    return lines


def _is_level(drawing: Drawing) -> bool:
    return not drawing.closed and len({row for _, row in drawing.points}) == 1


def no_rectangle(points: Points) -> Points:
    """Return the same line with points added in its longest pieces until nobody takes it for a rectangle.

    >>> len(no_rectangle(((0, 0), (8, 0), (8, 4), (0, 4))))
    6
    """
    while len(points) in RECTANGLE_POINTS:
        lengths = [abs(b[0] - a[0]) + abs(b[1] - a[1]) for a, b in pairwise(points)]
        at = lengths.index(max(lengths))
        (ax, ay), (bx, by) = points[at : at + 2]
        points = (*points[: at + 1], ((ax + bx) / 2, (ay + by) / 2), *points[at + 1 :])
    return points


def thinned(points: Points) -> Points:
    """Return at most `MAX_POINTS` of the points, evenly chosen, the first and the last among them."""
    if len(points) <= MAX_POINTS:
        return points
    chosen = np.linspace(0, len(points) - 1, MAX_POINTS).round().astype(int)
    return tuple(points[index] for index in chosen)
