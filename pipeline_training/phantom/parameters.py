"""What makes one phantom differ from another. Millimetres; the patient's left is positive, like LPS."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Arms(StrEnum):
    """Where the arms are."""

    DOWN = "down"
    UP = "up"
    ABSENT = "absent"
    """Outside the field of view: neither humerus nor its soft tissue is there."""


@dataclass(frozen=True)
class PhantomParameters:
    """An adult's trunk, from the neck to the upper abdomen.

    Attributes:
        width: Half the inner width of the rib cage where it is widest, mm.
        depth: Half its inner depth, mm.
        height: From the middle of the thorax to the apex of the lungs, mm.
        fat: Thickness of the fat under the skin, mm.
        heart_size: Factor on all of the heart's axes.
        heart_tilt_deg: Angle of the heart's long axis below the horizontal.
        inspiration: How far the domes stand below their place in expiration, mm.
        scoliosis: Largest sideways deviation of the spine, mm, left above right below.
        kyphosis: How far the thoracic spine bows backwards, mm.
        rib_slope: Factor on how far the ribs descend on their way forwards.
        breast: Radius of the breasts, mm; 0 for none.
        arms: Where they are.
        seed: Of the vessels in the lungs and the noise.
    """

    width: float = 135.0
    depth: float = 88.0
    height: float = 150.0
    fat: float = 14.0
    heart_size: float = 1.0
    heart_tilt_deg: float = 38.0
    inspiration: float = 18.0
    scoliosis: float = 0.0
    kyphosis: float = 16.0
    rib_slope: float = 1.0
    breast: float = 0.0
    arms: Arms = Arms.DOWN
    seed: int = 0


def draw_parameters(generator: np.random.Generator) -> PhantomParameters:
    """Return a random adult: every other one with breasts, every third with a curved spine."""
    has_breasts, is_scoliotic = generator.random() < 0.5, generator.random() < 1 / 3
    return PhantomParameters(
        width=generator.uniform(118, 150),
        depth=generator.uniform(76, 102),
        height=generator.uniform(135, 165),
        fat=generator.uniform(6, 28),
        heart_size=generator.uniform(0.88, 1.15),
        heart_tilt_deg=generator.uniform(28, 50),
        inspiration=generator.uniform(0, 28),
        scoliosis=generator.uniform(-16, 16) if is_scoliotic else 0.0,
        kyphosis=generator.uniform(8, 26),
        rib_slope=generator.uniform(0.75, 1.25),
        breast=generator.uniform(35, 65) if has_breasts else 0.0,
        arms=Arms(generator.choice([arms.value for arms in Arms])),
        seed=int(generator.integers(2**31)),
    )
