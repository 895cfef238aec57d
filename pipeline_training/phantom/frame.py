"""The curves that everything in the phantom hangs on: spine, rib cage, domes. Closed forms, in mm."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline_training.phantom.parameters import PhantomParameters

Real = npt.NDArray[np.float64]

LEVELS = (*(f"C{n}" for n in (5, 6, 7)), *(f"T{n}" for n in range(1, 13)), *(f"L{n}" for n in (1, 2, 3)))
CERVICAL_MM, FIRST_THORACIC_MM, LAST_THORACIC_MM, LUMBAR_MM = 17.0, 18.0, 25.0, 30.0
"""Heights of vertebrae with their disc, at the reference height; thoracic ones grow evenly."""

DISC_MM = 4.5
REFERENCE_HEIGHT = 150.0
DOME_MM = -22.0
"""Height of the right dome in expiration."""

LEFT_DOME_LOWER_MM = 11.0
FALL_MM = 58.0
"""Of a dome at its radii: the costophrenic angles lie some 40 mm, the posterior ones 50 mm, below its top."""


@dataclass(frozen=True)
class Dome:
    """One half of the diaphragm: an upturned bowl over the plane.

    Attributes:
        top: Its highest point, mm.
        centre: (x, y) of it.
        fall: How much lower it is at the distance of `radii`.
        radii: (x, y).
    """

    top: float
    centre: tuple[float, float]
    fall: float
    radii: tuple[float, float]

    def height(self, x: Real, y: Real) -> Real:
        """Return its height above each point of the plane."""
        away = ((x - self.centre[0]) / self.radii[0]) ** 2 + ((y - self.centre[1]) / self.radii[1]) ** 2
        return np.asarray(self.top - self.fall * away)


@dataclass(frozen=True)
class Frame:
    """The frame of one phantom."""

    parameters: PhantomParameters

    @property
    def scale(self) -> float:
        """Height over the reference height."""
        return self.parameters.height / REFERENCE_HEIGHT

    def spine_x(self, z: Real | float) -> Real:
        """Return the spine's sideways deviation at a height."""
        return np.asarray(self.parameters.scoliosis * np.sin(np.pi * np.asarray(z) / self.parameters.height))

    def spine_y(self, z: Real | float) -> Real:
        """Return how far back the middle of the vertebral bodies lies."""
        bow = np.minimum((np.asarray(z) / REFERENCE_HEIGHT) ** 2, 1.6)
        return np.asarray(self.parameters.depth - 28 - self.parameters.kyphosis * bow)

    def half_width(self, z: Real | float) -> Real:
        """Return half the width of the rib cage's middle line."""
        above = 1 - ((np.asarray(z) + 30) / (self.parameters.height + 40)) ** 2
        below = 1 - 0.04 * ((np.asarray(z) + 30) / 100) ** 2
        return np.asarray(
            self.parameters.width * np.where(np.asarray(z) > -30, np.sqrt(np.maximum(above, 0.02)), below)
        )

    def half_depth(self, z: Real | float) -> Real:
        """Return half the depth of the rib cage's middle line."""
        above = 1 - ((np.asarray(z) + 50) / (self.parameters.height + 75)) ** 2
        return np.asarray(
            self.parameters.depth * np.where(np.asarray(z) > -50, np.sqrt(np.maximum(above, 0.02)), 1.0)
        )

    def centre_y(self, z: Real | float) -> Real:
        """Return how far back the middle of the cage lies: its back is 30 mm behind the spine's middle."""
        return np.asarray(self.spine_y(z) - self.half_depth(z) + 30)

    def in_cage(self, x: Real, y: Real, z: Real, margin: float) -> npt.NDArray[np.bool_]:
        """Return which points lie within the rib cage, grown by `margin` mm (shrunk if below 0)."""
        a, b = np.maximum(self.half_width(z) + margin, 1), np.maximum(self.half_depth(z) + margin, 1)
        return np.asarray((x / a) ** 2 + ((y - self.centre_y(z)) / b) ** 2 <= 1)

    def on_cage(self, angle: Real, z: Real, side: int) -> Real:
        """Return points (n, 3) of the cage at an angle from behind (0) over the side to the front (pi)."""
        x = side * self.half_width(z) * np.sin(angle)
        y = self.centre_y(z) + self.half_depth(z) * np.cos(angle)
        return np.stack([x, y, np.broadcast_to(z, x.shape)], axis=-1)

    @cached_property
    def vertebrae(self) -> dict[str, tuple[float, float]]:
        """Lower and upper edge of each vertebral body, without discs, from C5 to L3."""
        heights = [CERVICAL_MM] * 3
        heights += list(np.linspace(FIRST_THORACIC_MM, LAST_THORACIC_MM, 12)) + [LUMBAR_MM] * 3
        tops = np.concatenate([[0.0], -np.cumsum(heights)]) * self.scale
        tops += self.parameters.height + 10 - tops[3]  # T1 begins above the apices
        gap = DISC_MM * self.scale / 2
        return {
            level: (float(low + gap), float(top - gap))
            for level, low, top in zip(LEVELS, tops[1:], tops[:-1], strict=True)
        }

    def middle(self, level: str) -> float:
        """Return the height of the middle of a vertebral body such as "T4"."""
        return sum(self.vertebrae[level]) / 2

    @property
    def domes(self) -> dict[str, Dome]:
        """Right and left dome."""
        top = DOME_MM - self.parameters.inspiration
        width, depth = self.parameters.width, self.parameters.depth
        y = float(self.centre_y(top)) - 6
        radii = (0.62 * width, 0.95 * depth)
        return {
            "right": Dome(top, (-0.5 * width, y), FALL_MM, radii),
            "left": Dome(top - LEFT_DOME_LOWER_MM, (0.52 * width, y), FALL_MM, radii),
        }

    @property
    def carina(self) -> float:
        """Height at which the trachea parts: the lower edge of T4."""
        return self.vertebrae["T4"][0]
