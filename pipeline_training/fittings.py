"""Which devices a body carries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline_training.anatomy import Anatomy
from pipeline_training.devices import Device
from pipeline_training.implants import clips, electrodes, pacemaker, sternal_wires
from pipeline_training.landmarks import Landmarks, find_landmarks
from pipeline_training.lines import central_line, chest_drain, gastric_tube, tracheal_tube

CARRIER_SHARE = 0.5
"""Of the bodies that carry anything."""

NUMBERS = 8
"""Each fitting gets as many numbers in [0, 1) to choose within its ranges."""

Fit = Callable[[Landmarks, Sequence[float]], tuple[Device, ...]]

FITTINGS: Mapping[str, tuple[float, Fit]] = {
    "tracheal tube": (0.35, tracheal_tube),
    "gastric tube": (0.35, gastric_tube),
    "central line": (0.4, central_line),
    "chest drain": (0.2, chest_drain),
    "pacemaker": (0.2, pacemaker),
    "sternal wires": (0.2, sternal_wires),
    "electrodes": (0.45, electrodes),
    "clips": (0.1, clips),
}
"""Share of the carriers that each occurs in (our choice, as in intensive care), and what makes it."""


@dataclass(frozen=True)
class Fitting:
    """One device to be fitted: a key of FITTINGS and the numbers that choose within its ranges."""

    name: str
    numbers: tuple[float, ...]


def draw_fittings(generator: np.random.Generator) -> tuple[Fitting, ...]:
    """Return what a random body carries, often nothing."""
    carries = generator.random() < CARRIER_SHARE
    drawn = []
    for name, (share, _) in FITTINGS.items():
        wanted, numbers = generator.random() < share, generator.random(NUMBERS)
        if carries and wanted:
            drawn.append(Fitting(name, tuple(float(number) for number in numbers)))
    return tuple(drawn)


def fit(anatomy: Anatomy, fittings: Sequence[Fitting]) -> tuple[Device, ...]:
    """Return the devices as they lie in this body."""
    if not fittings:
        return ()
    body = find_landmarks(anatomy)
    return tuple(
        device for fitting in fittings for device in FITTINGS[fitting.name][1](body, fitting.numbers)
    )
