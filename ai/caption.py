"""A strip with words above a picture, so that they cover nothing of it."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Rgb = npt.NDArray[np.uint8]

FONT_FRACTION = 0.018
"""Size of the letters over the longer side of the picture: readable where the picture fills a screen."""

MIN_FONT = 14
"""Smaller letters of Pillow's font run into each other."""

LINE_PITCH = 1.5
MARGIN = 0.6
"""Over the size of the letters."""

_BACKGROUND = (120, 44, 0)
_TEXT = (255, 255, 255)
"""White on dark orange, contrast 8 to 1: no part of a radiograph looks like it."""


def with_caption(picture: Rgb, sentences: Sequence[str]) -> Rgb:
    """Return a picture (rows, columns, 3) below a strip that holds the sentences.

    They follow each other on as few lines as the width allows; the strip is as high as it needs to be.
    """
    rows, columns = picture.shape[:2]
    size = max(MIN_FONT, round(FONT_FRACTION * max(rows, columns)))
    font, margin = ImageFont.load_default(size), round(MARGIN * size)
    lines = list(_lines(sentences, font, columns - 2 * margin))
    pitch = round(LINE_PITCH * size)
    strip = Image.new("RGB", (columns, pitch * len(lines) + margin), _BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for number, line in enumerate(lines):
        draw.text((margin, margin // 2 + pitch * number), line, fill=_TEXT, font=font)
    return np.concatenate([np.asarray(strip, np.uint8), picture])


def _lines(
    sentences: Sequence[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float
) -> Iterator[str]:
    """Yield the words in lines no wider than `width` pixels; a word that is wider is cut into pieces."""
    line = ""
    for each in _words(sentences):
        word = each
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        *pieces, word = _cut(word, font, width)
        yield from pieces
        line = word
    yield line


def _words(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        words = sentence.split()
        yield from words
        if words and sentence is not sentences[-1]:
            yield "|"


def _cut(word: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    """Return a word in pieces that are no wider than `width`, of a letter at least."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces
