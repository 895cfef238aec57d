"""Drawn limbs: bones in soft tissue on black, so that not everything with bones in it passes for a chest.

A limb is a tree of sticks. Each stick is a capsule: its flesh is what lies near the line, its bone is
narrower, thicker at the ends, and brighter at the rim than inside, as a tube of compact bone is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]

FLESH = (0.15, 0.6)
BONE = (0.25, 0.7)
"""Brightness that flesh of full depth and bone add."""

METAL_SHARE = 0.25
"""Of the limbs that hold an implant: those are X-rayed often."""

METAL = 1.2
"""Brightness of an implant."""

RIM = 0.55
"""Share of a bone's brightness that its marrow keeps."""


@dataclass(frozen=True)
class Stick:
    """One bone and what surrounds it; coordinates are shares of the picture, (column, row).

    Attributes:
        start: One end.
        end: The other.
        bone: Half the width of the shaft.
        flesh: Half the width of the soft tissue.
        flare: How much wider the bone is at its ends.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    bone: float
    flesh: float
    flare: float = 1.6


def draw_limb(size: int, generator: np.random.Generator) -> FloatImage:
    """Return a picture (size, size) in [0, 1] of a drawn hand, joint, pair of legs or pelvis, bone bright."""
    parts = (_hand, _joint, _legs, _pelvis)
    sticks = list(parts[int(generator.integers(len(parts)))](generator))
    depth, strength = generator.uniform(*FLESH), generator.uniform(*BONE)
    flesh, bone = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    for stick in sticks:
        distance, along = _near(stick, size)
        flesh = np.maximum(flesh, np.sqrt(np.clip(1 - (distance / stick.flesh) ** 2, 0, 1)))
        half = stick.bone * (1 + (stick.flare - 1) * np.abs(2 * along - 1) ** 3)
        inside = np.clip((half - distance) * size, 0, 1)
        hollow = RIM + (1 - RIM) * np.clip(distance / half, 0, 1) ** 3
        bone = np.maximum(bone, inside * hollow)
    picture = depth * flesh + strength * bone
    if generator.random() < METAL_SHARE:
        picture = np.maximum(picture, METAL * _implant(sticks, size, generator))
    grain = generator.normal(0, 0.02, (size, size))
    return np.asarray(np.clip(picture + grain, 0, 1), np.float32)


def _implant(sticks: list[Stick], size: int, generator: np.random.Generator) -> FloatImage:
    """Return where metal lies, 0 or 1: a stem in one of the bones and a cap at its end."""
    host = sticks[int(generator.integers(len(sticks)))]
    distance, along = _near(host, size)
    stem = (distance < host.bone * generator.uniform(0.2, 0.8)) & (along < generator.uniform(0.3, 0.8))
    cap = (distance < host.bone * generator.uniform(0.8, 1.6)) & (along < generator.uniform(0.02, 0.15))
    return np.asarray(stem | cap, np.float32)


def _near(stick: Stick, size: int) -> tuple[FloatImage, FloatImage]:
    """Return each pixel's distance to the stick's line, and how far along it lies (0 to 1)."""
    rows, columns = ((np.mgrid[:size, :size] + 0.5) / size).astype(np.float32)
    across, down = stick.end[0] - stick.start[0], stick.end[1] - stick.start[1]
    length = max(across**2 + down**2, 1e-6)
    along = ((columns - stick.start[0]) * across + (rows - stick.start[1]) * down) / length
    along = np.clip(along, 0, 1).astype(np.float32)
    nearest = stick.start[0] + along * across, stick.start[1] + along * down
    distance = np.hypot(columns - nearest[0], rows - nearest[1])
    return np.asarray(distance, np.float32), along


def _chain(
    start: tuple[float, float], angle: float, lengths: tuple[float, ...], bone: float, flesh: float
) -> Iterator[Stick]:
    """Yield sticks one after the other in a direction (radians from upwards), each a little thinner."""
    for length in lengths:
        end = (start[0] + length * np.sin(angle), start[1] - length * np.cos(angle))
        yield Stick(start, end, bone, flesh)
        start = (end[0] + 0.012 * np.sin(angle), end[1] - 0.012 * np.cos(angle))
        bone, flesh = bone * 0.88, flesh * 0.9


def _hand(generator: np.random.Generator) -> Iterator[Stick]:
    hands = int(generator.integers(1, 3))
    for hand in range(hands):
        middle = (hand + 0.5) / hands + generator.normal(0, 0.03)
        scale = generator.uniform(0.75, 1.1) / (1.3 if hands > 1 else 1)
        spread, wrist = generator.uniform(0.1, 0.3), 0.72 + generator.normal(0, 0.06)
        bone, flesh = scale * generator.uniform(0.012, 0.022), scale * generator.uniform(0.03, 0.05)
        for side in (-0.035, 0.035):
            yield Stick(
                (middle + side * scale, wrist + 0.05), (middle + side * scale, 1.1), 2 * bone, 2 * flesh
            )
        for finger in range(5):
            angle = spread * (finger - 2) + generator.normal(0, 0.05)
            root = (middle + 0.04 * scale * (finger - 2), wrist)
            joints = (0.2, 0.13, 0.09, 0.06) if finger else (0.14, 0.11, 0.08)
            yield from _chain(root, angle, tuple(scale * joint for joint in joints), bone, flesh)


def _joint(generator: np.random.Generator) -> Iterator[Stick]:
    """A knee or an elbow: two thick bones that meet, perhaps a thin one beside, perhaps bent."""
    meet = (generator.uniform(0.35, 0.65), generator.uniform(0.4, 0.6))
    bone = generator.uniform(0.05, 0.17)
    flesh = bone * generator.uniform(1.4, 2.6)
    bent = generator.uniform(0.1, 1.2)
    for angle in (generator.normal(0, bent / 2), np.pi + generator.normal(0, bent)):
        near = (meet[0] + 0.02 * np.sin(angle), meet[1] - 0.02 * np.cos(angle))
        end = (meet[0] + np.sin(angle), meet[1] - np.cos(angle))
        yield Stick(near, end, bone, flesh, flare=generator.uniform(1.3, 1.9))
    if generator.random() < 0.6:
        beside = bone * generator.uniform(1.3, 1.9)
        yield Stick((meet[0] + beside, meet[1] + 0.06), (meet[0] + beside, 1.2), bone / 3, flesh / 2)


def _legs(generator: np.random.Generator) -> Iterator[Stick]:
    bone = generator.uniform(0.03, 0.055)
    for side in (-1, 1):
        column = 0.5 + side * generator.uniform(0.17, 0.27)
        for top, bottom in ((-0.2, 0.47), (0.5, 1.2)):
            tilt = generator.normal(0, 0.03)
            yield Stick((column, top), (column + tilt, bottom), bone, bone * generator.uniform(2, 3))


def _pelvis(generator: np.random.Generator) -> Iterator[Stick]:
    wide, level = generator.uniform(0.25, 0.36), generator.uniform(0.35, 0.55)
    bone, flesh = generator.uniform(0.03, 0.05), generator.uniform(0.15, 0.25)
    yield Stick((0.5, -0.1), (0.5, level), bone * 1.3, flesh, flare=1.0)
    for side in (-1, 1):
        hip = (0.5 + side * wide * 0.7, level + 0.15)
        yield Stick((0.5 + side * 0.05, level - 0.05), (0.5 + side * wide, level - 0.1), 1.5 * bone, flesh)
        yield Stick((0.5 + side * wide, level - 0.1), hip, 1.2 * bone, flesh)
        yield Stick(hip, (0.5 + side * 0.02, level + 0.24), 0.6 * bone, flesh)
        yield Stick(hip, (hip[0] - side * 0.06, level + 0.32), 0.6 * bone, flesh)
        turned = hip[0] + side * generator.uniform(0.02, 0.12)
        yield Stick((hip[0] + side * 0.03, hip[1]), (turned, 1.3), bone, flesh * 0.8)
