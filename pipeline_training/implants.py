"""Pacemakers, sternal wires, electrodes and clips: on the skin, under it, and inside.

Every function takes the body's landmarks and numbers in [0, 1) that choose within its ranges.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline_training.devices import (
    CIRCUITRY_PER_MM,
    PLASTIC_PER_MM,
    STEEL_PER_MM,
    TITANIUM_PER_MM,
    Device,
    plate,
    smooth_course,
    tube,
)
from pipeline_training.landmarks import Landmarks
from pipeline_training.lines import BESIDE_AIRWAY_MM, between

Points = npt.NDArray[np.float64]
Numbers = Sequence[float]

LEAD_MM, WIRE_MM, CABLE_MM = 0.9, 0.45, 0.7
"""Radii of a pacemaker's lead, a sternal wire and an electrode's cable."""

UNDER_SKIN_MM = 10.0
ELECTRODES = 5


def pacemaker(body: Landmarks, numbers: Numbers) -> tuple[Device, ...]:
    """Return a case under the skin below a clavicle and one or two leads through the cava into the heart."""
    side = 1.0 if numbers[0] < 0.8 else -1.0
    apex, carina = body.lungs[1, 2], body.airway[-1]
    across = side * body.lungs[1, 0] * between((0.6, 0.85), numbers[1])
    centre = body.on_skin(across, apex - between((45, 75), numbers[2]), UNDER_SKIN_MM)
    turn = between((-0.5, 0.5), numbers[3])
    wide, high = between((20, 32), numbers[4]), between((18, 26), numbers[5])
    axes = np.array([
        [wide * np.cos(turn), 0, wide * np.sin(turn)],
        [-high * np.sin(turn), 0, high * np.cos(turn)],
        [0, 3.5, 0],
    ])  # fmt: skip
    cava = np.array(
        [[BESIDE_AIRWAY_MM, -10.0, carina[2] + 35], [BESIDE_AIRWAY_MM - 4, -14.0, carina[2] - 25]]
    )
    vein = np.array([side * 20.0, -10.0, apex - 15])
    under = body.on_skin(side * body.lungs[1, 0] * 0.55, apex - 18, 25)
    loop = centre + np.array([-side * 10, 2.0, high + 12])
    low, far = body.heart
    tips = [np.array([between((15, 45), numbers[6]) * 0.6 + far[0] * 0.5, low[1] + 25, low[2] + 18])]
    if numbers[7] < 0.6:
        tips.append(np.array([low[0] + 28, low[1] + 35, (low[2] + far[2]) / 2 + 5]))
    leads = []
    for shift, tip in enumerate(tips):
        bow = (cava[1] + tip) / 2 + np.array([-12.0, -5.0, -18.0])
        knots = (
            np.array([centre + np.array([0, 2.0, high]), loop, under, vein, *cava, bow, tip]) + shift * 1.8
        )
        leads.append(tube("pacemaker's lead", smooth_course(knots), LEAD_MM, TITANIUM_PER_MM))
    return (plate("pacemaker", centre, axes, CIRCUITRY_PER_MM, rounding=3.0), *leads)


def sternal_wires(body: Landmarks, numbers: Numbers) -> tuple[Device, ...]:
    """Return four to seven loops of wire around the sternum; none where it is not labelled."""
    if len(body.sternum) < 3:
        return ()
    count = 4 + int(numbers[0] * 4)
    chosen = np.linspace(0.3, len(body.sternum) - 1.3, count)
    angles = np.linspace(0, 2 * np.pi, 40)
    wires = []
    for k, place in enumerate(chosen):
        middle = np.array(
            [np.interp(place, np.arange(len(body.sternum)), body.sternum[:, n]) for n in range(3)]
        )
        width, tilt = (
            between((9, 15), (numbers[1] + 0.37 * k) % 1),
            between((-6, 6), (numbers[2] + 0.61 * k) % 1),
        )
        ring = np.stack([width * np.cos(angles), 9 * np.sin(angles), tilt * np.cos(angles)], axis=1)
        twist = np.stack([2.0 * np.cos(3 * angles), -9 - angles, 7 * np.sin(0.5 * angles)], axis=1)
        wires.append(tube("sternal wire", middle + ring, WIRE_MM, STEEL_PER_MM))
        wires.append(tube("sternal wire's twist", middle + twist, WIRE_MM, STEEL_PER_MM))
    return tuple(wires)


def electrodes(body: Landmarks, numbers: Numbers) -> tuple[Device, ...]:
    """Return three to five electrodes on the chest, each with its snap and a cable."""
    (low_x, _, low_z), (high_x, _, high_z) = body.lungs
    spots = [(0.12, 0.85), (0.88, 0.85), (0.1, 0.15), (0.9, 0.2), (0.55, 0.45)]
    count = 3 + int(numbers[0] * 3)
    downwards = numbers[1] < 0.5
    found: list[Device] = []
    for k, (u, v) in enumerate(spots[:count]):
        jitter = [between((-0.12, 0.12), (n + 0.41 * k) % 1) for n in (numbers[2], numbers[3])]
        place = (between((low_x, high_x), u + jitter[0]), between((low_z, high_z), v + jitter[1]))
        found += _electrode(body, place, downwards, (numbers[4] + 0.29 * k) % 1)
    return tuple(found)


def _electrode(body: Landmarks, place: tuple[float, float], downwards: bool, number: float) -> list[Device]:
    """Return a pad with its snap and a cable that hangs down or goes up to a shoulder."""
    centre = body.on_skin(*place, -1.0)
    flat = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 0.5, 0]])
    scale = np.array([[10.0], [10.0], [1.0]])
    snap = np.array([[3.0], [3.0], [2.0]])
    end = body.lungs[0, 2] - 160 if downwards else body.lungs[1, 2] + 120
    sway = between((-50, 50), number)
    knots = [centre] + [
        body.on_skin(place[0] + sway * t * (1.4 - t), place[1] + (end - place[1]) * t, -3.0)
        for t in (0.15, 0.4, 0.7, 1.0)
    ]
    return [
        plate("electrode", centre, flat * scale, PLASTIC_PER_MM),
        plate("electrode's snap", centre, flat * snap, TITANIUM_PER_MM),
        tube("electrode's cable", smooth_course(np.array(knots)), CABLE_MM, TITANIUM_PER_MM),
    ]


def clips(body: Landmarks, numbers: Numbers) -> tuple[Device, ...]:
    """Return a few metal clips, 4 to 7 mm long, in the mediastinum or in a lung."""
    low, high = body.lungs
    centre = low + (high - low) * np.array([between((0.3, 0.8), n) for n in numbers[:3]])
    found = []
    for k in range(2 + int(numbers[3] * 5)):
        turn = 2.4 * k + 6 * numbers[4]
        at = centre + 14 * np.array([np.cos(1.7 * turn), 0.3 * np.sin(turn), np.sin(1.3 * turn)])
        along = between((2, 3.5), numbers[5]) * np.array([np.cos(turn), 0.2, np.sin(turn)])
        found.append(tube("clip", np.stack([at - along, at + along]), 0.5, STEEL_PER_MM))
    return tuple(found)
