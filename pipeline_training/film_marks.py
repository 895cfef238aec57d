"""What lies on the detector, not in the beam's way through the body: letters of lead, collimated edges."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

FloatImage = npt.NDArray[np.float32]

LETTER_HEIGHT = (0.03, 0.1)
"""As a share of the picture's height (FleXray draws letters of 3 to 10 %)."""

NOTES = ("AP", "PA", "SUPINE", "ERECT", "PORTABLE", "SITTING", "07:45", "1 m")
"""Words and numbers that say nothing of the side, anywhere near an edge."""

SIDE_SHARE = 0.75
"""Of the letters that name a side."""

EDGE = (0.005, 0.12)
"""Width of a collimated border as a share of the picture's."""

EDGE_DEG = 2.5
PENUMBRA_PX = (0.5, 3.0)


@dataclass(frozen=True)
class Letters:
    """A mark of lead.

    Attributes:
        text: What it says.
        height: As a share of the picture's.
        at_left: Whether it stands in the picture's left part.
        away: From that edge, as a share of the width.
        down: Place between top (0) and bottom (1).
        brightness: Of the metal, in [0, 1].
    """

    text: str
    height: float
    at_left: bool
    away: float
    down: float
    brightness: float


def draw_letters(generator: np.random.Generator) -> Letters:
    """Return a mark: R near the left edge, L near the right one, or a note that names no side.

    A film is looked at from in front, so the patient's right is on the left.
    """
    at_left = bool(generator.random() < 0.5)
    note = str(generator.choice(NOTES))
    names_side = generator.random() < SIDE_SHARE
    height, away, down, brightness = (
        float(generator.uniform(*ends)) for ends in (LETTER_HEIGHT, (0.0, 0.22), (0.0, 1.0), (0.8, 1.0))
    )
    text = ("R" if at_left else "L") if names_side else note
    return Letters(text, height, at_left, away, down, brightness)


def mark(image: FloatImage, letters: Letters) -> FloatImage:
    """Return the image (size, size) with the mark on it, bright."""
    size = image.shape[0]
    stamp = _stamp(letters.text, max(6, round(letters.height * size)))[:size, :size]
    rows, columns = stamp.shape
    column = min(round(letters.away * size), size - columns)
    left = column if letters.at_left else size - columns - column
    top = round(letters.down * (size - rows))
    marked = image.copy()
    place = marked[top : top + rows, left : left + columns]
    place += stamp * (letters.brightness - place)
    return marked


def _stamp(text: str, height: int) -> FloatImage:
    """Return letters as opacity in [0, 1], so many pixels high."""
    font = ImageFont.load_default(size=height * 1.35)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (max(1, round(right - left)), max(1, round(bottom - top))))
    ImageDraw.Draw(picture).text((-left, -top), text, fill=255, font=font)
    return np.asarray(picture, np.float32) / np.float32(255)


@dataclass(frozen=True)
class Collimation:
    """Straight edges beyond which no beam comes.

    Attributes:
        widths: Of the border at (top, left, bottom, right), as shares of the picture's width; 0 for none.
        turns_deg: Of each edge.
        value: Grey of the border.
        penumbra_px: Over which an edge fades.
    """

    widths: tuple[float, ...]
    turns_deg: tuple[float, ...]
    value: float
    penumbra_px: float


def draw_collimation(generator: np.random.Generator) -> Collimation:
    """Return edges on some of the sides, black like unexposed film or white."""
    widths = np.where(generator.random(4) < 0.5, generator.uniform(*EDGE, 4), 0.0)
    common, penumbra = generator.normal(0, EDGE_DEG), float(generator.uniform(*PENUMBRA_PX))
    turns = common + generator.normal(0, 0.3, 4)
    value = float(generator.choice([0.0, 0.0, 1.0, generator.uniform(0, 0.15)]))
    return Collimation(tuple(map(float, widths)), tuple(map(float, turns)), value, penumbra)


def collimated(image: FloatImage, collimation: Collimation) -> FloatImage:
    """Return the image (size, size) with the border in the collimation's grey."""
    size = image.shape[0]
    down, across = (np.mgrid[:size, :size] + 0.5 - size / 2).astype(np.float32)
    open_share = np.ones_like(image)
    sides = ((down, across), (across, -down), (-down, -across), (-across, down))
    for (depth, along), width, turn in zip(sides, collimation.widths, collimation.turns_deg, strict=True):
        if width:
            tilted = depth * np.cos(np.radians(turn)) + along * np.sin(np.radians(turn))
            inside = tilted + size / 2 - width * size
            open_share *= np.clip(inside / collimation.penumbra_px + 0.5, 0, 1)
    return np.asarray(collimation.value + open_share * (image - collimation.value), np.float32)
