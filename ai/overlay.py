"""A picture for people: the radiograph with tinted structures, measurement lines and a legend."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from ai.availability import lungs
from ai.labels import LABELS, Label, Laterality, label
from ai.measurement import Drawing, Measurement, Measurements
from ai.radiograph import Radiograph
from ai.segmentation import Mask, Segmentation

Rgb = npt.NDArray[np.uint8]
Light = npt.NDArray[np.float32]

MAX_SIDE = 1600
"""Longest side of the picture in pixels, legend included."""

LEGEND_WIDTH = 380
TINT = 0.22
BONE_TINT = 0.10
"""Opacity of a structure's colour; of bones, which are many, the outline counts."""

MAX_TINT = 0.40
"""A pixel takes at most this from all structures together, so that the radiograph stays readable."""

DIMMED = 0.9
"""Brightness of the radiograph below the colours: they do not show on white."""

LANDMARKS = frozenset({"heart", "aorta", "trachea"})
RIBS = {item.name for item in LABELS if item.name.endswith(" rib")}
BONES = frozenset({"spine", "clavicles", "scapulas"} | RIBS)
"""Structures that a reader looks for, besides the lungs; of bones the parts, where found."""

MEASURED = ("cardiothoracic ratio", "spine angle")
"""Measurements whose lines are drawn; the others share these lines or would bury the picture."""

_BACKGROUND = (12, 14, 18)
_TEXT = (232, 234, 238)
_FAINT = (150, 156, 166)
_LINE = (255, 226, 64)
_SHADOW = (0, 0, 0)
_LEGEND_PITCH = 19
_LEGEND_CHARACTERS = 46
"""Of a line below the legend: what the letters of Pillow's font take of its width."""

_SHARED_WORDS = frozenset({"left", "right", "anterior", "posterior"})


@dataclass(frozen=True, eq=False)
class Canvas:
    """The radiograph's picture and how many picture pixels one of its own pixels takes."""

    picture: Image.Image
    scale: float

    def point(self, point: tuple[float, float]) -> tuple[float, float]:
        """Return (x, y) on the picture of (column, row) on the radiograph."""
        return point[0] * self.scale, point[1] * self.scale


def draw_overlay(radiograph: Radiograph, segmentation: Segmentation, measurements: Measurements) -> Rgb:
    """Return the picture, (rows, columns, 3) sRGB, its longest side at most MAX_SIDE.

    Of the structures those of `readable_subset` are drawn; the legend counts the others, and tells what
    limits the values.
    """
    shown = readable_subset(segmentation)
    scale = min(1.0, (MAX_SIDE - LEGEND_WIDTH) / radiograph.columns, MAX_SIDE / radiograph.rows)
    size = round(radiograph.columns * scale), round(radiograph.rows * scale)
    grey = Image.fromarray((contrast(radiograph.pixels) * 255 * DIMMED).astype(np.uint8)).resize(
        size, Image.Resampling.BOX
    )
    light = np.repeat(np.asarray(grey, np.float32)[..., None], 3, axis=2)
    tinted = _tint(light, [(item, _shrink(segmentation.masks[item.name], scale, size)) for item in shown])
    canvas = Canvas(Image.fromarray(tinted), scale)
    lines = [m for m in measurements.computed if m.name in MEASURED]
    _draw_lines(canvas, lines, measurements)
    texts = _legend_texts(segmentation, shown, measurements)
    return np.asarray(_with_legend(canvas.picture, shown, measurements, texts))


def readable_subset(segmentation: Segmentation) -> tuple[Label, ...]:
    """Return the structures that a reader looks for, the largest first, so that small ones lie on top.

    These are lungs, heart, aorta, trachea, clavicles, scapulae, ribs and vertebrae, each in its smallest
    parts that were found. Zones, lobes, chambers and what lies hidden would bury them and are left out. Where
    none of these was found, everything that has no part found is returned.
    """
    found = [item for item in LABELS if item.name in segmentation.masks]
    wanted = [item for item in found if _is_landmark(item, segmentation)] or found
    containers = {ancestor for item in wanted for ancestor in _ancestors(item.name)}
    kept = (item for item in wanted if item.name not in containers)
    return tuple(sorted(kept, key=lambda item: -segmentation.masks[item.name].area))


def _is_landmark(item: Label, segmentation: Segmentation) -> bool:
    if item.name in lungs(segmentation) or item.name in LANDMARKS:
        return True
    return is_bone(item)


def is_bone(item: Label) -> bool:
    """Whether a structure is one of the bones that a reader looks for, or a part of one."""
    return bool(BONES.intersection((item.name, *_ancestors(item.name))))


def _ancestors(name: str) -> Iterator[str]:
    parent = label(name).parent
    while parent is not None:
        yield parent
        parent = label(parent).parent


def contrast(pixels: Light) -> Light:
    """Return the values stretched between their 0.5th and 99.5th percentile, in [0, 1]."""
    low, high = np.percentile(pixels[::4, ::4], [0.5, 99.5])
    return np.asarray(np.clip((pixels - low) / max(high - low, 1e-6), 0, 1), np.float32)


def _shrink(mask: Mask, scale: float, size: tuple[int, int]) -> tuple[Light, slice, slice]:
    """Return the mask's coverage in [0, 1] on the picture, and the rows and columns that it takes there."""
    left, top = int(mask.left * scale), int(mask.top * scale)
    right, bottom = min(size[0], int(mask.right * scale) + 1), min(size[1], int(mask.bottom * scale) + 1)
    box = (
        left / scale - mask.left,
        top / scale - mask.top,
        right / scale - mask.left,
        bottom / scale - mask.top,
    )
    margin = int(np.ceil(1 / scale)) + 2
    padded = Image.fromarray(np.pad(mask.pixels, margin).astype(np.uint8) * 255)
    shifted = (box[0] + margin, box[1] + margin, box[2] + margin, box[3] + margin)
    coverage = padded.resize((right - left, bottom - top), Image.Resampling.BILINEAR, shifted)
    return np.asarray(coverage, np.float32) / np.float32(255), slice(top, bottom), slice(left, right)


def _tint(light: Light, layers: Sequence[tuple[Label, tuple[Light, slice, slice]]]) -> Rgb:
    """Return the picture with every structure tinted and outlined in its colour."""
    colour, weight = np.zeros_like(light), np.zeros_like(light[..., :1])
    for item, (coverage, rows, columns) in layers:
        tint = (BONE_TINT if is_bone(item) else TINT) * coverage[..., None]
        colour[rows, columns] += tint * np.array(item.colour, np.float32)
        weight[rows, columns] += tint
    opacity = np.minimum(weight, MAX_TINT)
    picture = light * (1 - opacity) + colour * (opacity / np.maximum(weight, 1e-6))
    for item, (coverage, rows, columns) in layers:
        edge = _outline(coverage)[..., None]
        picture[rows, columns] = picture[rows, columns] * (1 - edge) + edge * np.array(
            item.colour, np.float32
        )
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def _outline(coverage: Light) -> Light:
    """Return the opacity of the outline: about 1.5 pixels wide, inside the structure, smooth."""
    padded = np.pad(coverage, 2)
    inner = ndimage.minimum_filter(padded, footprint=ndimage.generate_binary_structure(2, 1))
    soft = ndimage.gaussian_filter(padded - inner, 0.5)
    return np.asarray(np.clip(1.6 * soft, 0, 0.95)[2:-2, 2:-2], np.float32)


def _draw_lines(canvas: Canvas, measured: Sequence[Measurement], measurements: Measurements) -> None:
    draw = ImageDraw.Draw(canvas.picture)
    taken: list[tuple[float, float, float, float]] = []
    for measurement in measured:
        for drawing in measurement.drawings:
            _draw_line(draw, canvas, drawing)
        first = measurement.drawings[-1 if measurement.name == "cardiothoracic ratio" else 0]
        _draw_value(draw, canvas, first, f"{measurement.name} {_drawable(measurements, measurement)}", taken)


def _draw_line(draw: ImageDraw.ImageDraw, canvas: Canvas, drawing: Drawing) -> None:
    points = [canvas.point(point) for point in drawing.points]
    points += points[:1] if drawing.closed else []
    draw.line(points, fill=_SHADOW, width=5, joint="curve")
    draw.line(points, fill=_LINE, width=3, joint="curve")
    if len(points) == 2 and points[0][1] == points[1][1]:
        for x, y in points:
            draw.line([(x, y - 8), (x, y + 8)], fill=_LINE, width=3)


def _draw_value(
    draw: ImageDraw.ImageDraw,
    canvas: Canvas,
    drawing: Drawing,
    text: str,
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Write the text at the line's right end, moved so that it is on the picture and covers no other."""
    font = _font(17)
    x, y = canvas.point(max(drawing.points))
    width = draw.textlength(text, font=font)
    x = min(max(4.0, x - width), canvas.picture.width - width - 4)
    y = min(max(4.0, y - 28), canvas.picture.height - 26.0)
    while any(x < right and left < x + width and abs(y - row) < 24 for left, row, right, _ in taken):
        y += 26
    taken.append((x, y, x + width, y + 24))
    draw.text((x, y), text, fill=_LINE, font=font, stroke_width=3, stroke_fill=_SHADOW)


def _legend_texts(
    segmentation: Segmentation, shown: Sequence[Label], measurements: Measurements
) -> list[str]:
    """Return the lines below the legend: how many structures are not drawn, and what limits the values.

    Of what was not computed the ratio's reason stands for all: the others are many, and in the report.
    """
    others = len(segmentation.masks) - len(shown)
    why = [f"no {each.name}: {each.reason}" for each in measurements.not_computed if each.name == MEASURED[0]]
    lines = [line for each in (*why, *measurements.legend) for line in wrap(each, _LEGEND_CHARACTERS)]
    return ([f"{others} more found, not drawn"] if others else []) + lines


def _with_legend(
    picture: Image.Image, shown: Sequence[Label], measurements: Measurements, texts: Sequence[str]
) -> Image.Image:
    """Return the picture with values, names of structures and texts at its right side."""
    rows = _value_rows(measurements)
    height = 21 * len(rows) + _LEGEND_PITCH * (len(legend(shown)) + len(texts)) + 70
    page = Image.new("RGB", (picture.width + LEGEND_WIDTH, max(picture.height, height)), _BACKGROUND)
    page.paste(picture, (0, 0))
    draw = ImageDraw.Draw(page)
    left, y = picture.width + 18, 16
    for name, value, colour in rows:
        draw.text((left, y), name, fill=_FAINT, font=_font(15))
        draw.text((page.width - 16, y), value, fill=colour, font=_font(15), anchor="ra")
        y += 21
    _draw_names(draw, legend(shown), (left, y + 14), texts)
    return page


def _value_rows(measurements: Measurements) -> list[tuple[str, str, tuple[int, int, int]]]:
    done = [(m.name, _drawable(measurements, m), _TEXT) for m in measurements.computed]
    return done + [(m.name, "not computed", _FAINT) for m in measurements.not_computed]


def _drawable(measurements: Measurements, measurement: Measurement) -> str:
    return measurements.marked(measurement).replace("²", "2")  # Pillow's font has no superscript


def legend(shown: Sequence[Label]) -> tuple[tuple[str, tuple[tuple[int, int, int], ...]], ...]:
    """Return (text, colours) in table order: right and left, front and back of one structure share a row."""
    rows: dict[str, list[Label]] = {}
    for item in sorted(shown, key=lambda item: item.id):
        text = " ".join(word for word in item.name.split() if word not in _SHARED_WORDS)
        rows.setdefault(text, []).append(item)
    side = {Laterality.RIGHT: 0, Laterality.NONE: 1, Laterality.LEFT: 2}
    return tuple(
        (text, tuple(item.colour for item in sorted(items, key=lambda item: side[item.laterality])))
        for text, items in rows.items()
    )


def _draw_names(
    draw: ImageDraw.ImageDraw,
    rows: Sequence[tuple[str, tuple[tuple[int, int, int], ...]]],
    at: tuple[int, int],
    texts: Sequence[str],
) -> None:
    left, y = at
    for text, colours in rows:
        for place, colour in enumerate(colours):
            draw.rounded_rectangle((left + 15 * place, y + 3, left + 15 * place + 11, y + 14), 3, fill=colour)
        draw.text((left + 68, y), text, fill=_TEXT, font=_font(14))
        y += _LEGEND_PITCH
    for number, line in enumerate(texts):
        draw.text((left, y + 4 + _LEGEND_PITCH * number), line, fill=_FAINT, font=_font(14))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
