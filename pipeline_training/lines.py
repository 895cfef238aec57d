"""Tubes and lines: where they run in a body, and what they are made of.

Every function takes the body's landmarks and numbers in [0, 1) that choose within its ranges.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline_training.devices import (
    BARIUM_PLASTIC_PER_MM,
    PLASTIC_PER_MM,
    Device,
    smooth_course,
    tube,
)
from pipeline_training.landmarks import Landmarks

Points = npt.NDArray[np.float64]
Numbers = Sequence[float]

ABOVE_CARINA_MM = (5.0, 70.0)
"""Of the tip of a tracheal tube: 50 +- 20 mm is right (Goodman 1976), some lie too deep."""

BESIDE_AIRWAY_MM = -22.0
"""The superior vena cava runs to the right of the trachea's lower end, a little in front of it."""


def between(ends: tuple[float, float], number: float) -> float:
    """Return the place of a number in [0, 1) between two ends."""
    return ends[0] + (ends[1] - ends[0]) * number


def tracheal_tube(body: Landmarks, numbers: Numbers) -> tuple[Device, ...]:
    """Return a tube from above the neck into the trachea, with its opaque stripe."""
    carina = body.airway[-1, 2]
    tip = carina + between(ABOVE_CARINA_MM, numbers[0])
    inside = body.airway[body.airway[:, 2] > tip]
    start = inside[0] if len(inside) else body.airway[0]
    above = start + np.array([between((-10, 10), numbers[1]), -10.0, 90.0])
    end = np.array([*_at_height(body.airway, tip)[:2], tip])
    course = smooth_course(np.concatenate([[above], inside[::2], [end]]))
    stripe = course + np.array([4.5 * (1 if numbers[2] < 0.5 else -1), 0.0, 0.0])
    return (
        tube("tracheal tube", course, between((4.5, 6.0), numbers[3]), PLASTIC_PER_MM, wall_mm=1.3),
        tube("tracheal tube's stripe", stripe, 0.8, BARIUM_PLASTIC_PER_MM),
    )


def gastric_tube(body: Landmarks, numbers: Numbers) -> tuple[Device, ...]:
    """Return a tube through the oesophagus into the stomach, sometimes ending too high."""
    above = body.gullet[0] + np.array([between((-8, 8), numbers[0]), -8.0, 90.0])
    count = len(body.gullet) if numbers[1] < 0.85 else max(2, len(body.gullet) // 2)
    knots = [above[None], body.gullet[:count:2]]
    if numbers[1] < 0.85:
        knots.append((body.stomach + np.array([between((-20, 20), numbers[2]), 0, 0]))[None])
        knots.append((body.stomach + np.array([between((-60, 30), numbers[3]), -10, -35]))[None])
    radius = between((1.6, 3.0), numbers[4])
    course = smooth_course(np.concatenate(knots))
    return (
        tube("gastric tube", course, radius, PLASTIC_PER_MM, wall_mm=0.8),
        tube("gastric tube's stripe", course, 0.7, BARIUM_PLASTIC_PER_MM),
    )


def central_line(body: Landmarks, numbers: Numbers) -> tuple[Device, ...]:
    """Return a catheter from the neck or from under a clavicle into the superior vena cava."""
    carina, apex = body.airway[-1], body.lungs[1, 2]
    tip = carina + np.array([BESIDE_AIRWAY_MM, -12.0, between((-45, 25), numbers[0])])
    vein = np.array([BESIDE_AIRWAY_MM - 3, -10.0, carina[2] + 55])
    side = -1.0 if numbers[1] < 0.7 else 1.0
    middle = np.array([side * 18.0, -8.0, apex - 12])
    if numbers[2] < 0.6:
        begin = [[side * 45, -5.0, apex + 70], [side * 32, 0.0, apex + 25]]
    else:
        reach = body.lungs[1, 0] * between((0.75, 1.1), numbers[3])
        skin = body.on_skin(side * reach, apex - 55)
        under = body.on_skin(side * reach * 0.75, apex - 25, 30)
        begin = [skin.tolist(), under.tolist()]
    course = smooth_course(np.concatenate([begin, [middle, vein, tip]]))
    return (tube("central line", course, between((0.8, 1.3), numbers[4]), BARIUM_PLASTIC_PER_MM),)


def chest_drain(body: Landmarks, numbers: Numbers) -> tuple[Device, ...]:
    """Return a tube from the flank between the ribs up along the inside of the chest wall."""
    side = -1.0 if numbers[0] < 0.5 else 1.0
    wall = side * body.lungs[1 if side > 0 else 0, 0] * side
    bottom, top = body.lungs[0, 2], body.lungs[1, 2]
    enter = bottom + (top - bottom) * between((0.1, 0.35), numbers[1])
    high = bottom + (top - bottom) * between((0.5, 0.9), numbers[2])
    back = between((-30, 40), numbers[3])
    knots = np.array([
        [wall + side * 70, -20.0, enter - 60],
        [wall + side * 12, 0.0, enter],
        [wall - side * 8, back * 0.5, enter + 25],
        [wall - side * between((12, 45), numbers[4]), back, high],
    ])  # fmt: skip
    course = smooth_course(knots)
    radius = between((3.5, 5.5), numbers[5])
    stripe = course + np.array([0.0, radius, 0.0])
    return (
        tube("chest drain", course, radius, PLASTIC_PER_MM, wall_mm=1.5),
        tube("chest drain's stripe", stripe, 0.8, BARIUM_PLASTIC_PER_MM),
    )


def _at_height(line: Points, up_mm: float) -> Points:
    """Return the point of a line from top to bottom at a height."""
    upwards = line[::-1]
    return np.array([np.interp(up_mm, upwards[:, 2], upwards[:, k]) for k in range(3)])
