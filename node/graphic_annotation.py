r"""Outlines, lines and texts of a presentation state (PS3.3 C.10.5) and the layers that they lie on (C.10.7).

In PIXEL units the top left corner of the top left pixel is 0\0, and the bottom right corner of the last one
is Columns\Rows (PS3.3 Table C.10-5): the coordinates of `ai.measurement.Drawing` and of SCOORD. The Displayed
Area counts otherwise: its top left pixel is 1\1.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import (
    AnnotationUnitsValues,
    GraphicLayer,
    GraphicObject,
    GraphicTypeValues,
    TextJustificationValues,
    TextObject,
)
from pydicom import Dataset

from ai.labels import Label
from ai.measurement import Measurements
from ai.orientation import Point
from ai.overlay import is_bone, readable_subset
from ai.rings import rings
from ai.segmentation import Segmentation
from node.drawings import Figure, Points, figures
from node.identity import UidMaker
from node.reader import Source
from node.text_layout import TextLayout

LEFT, CENTER, RIGHT = (
    TextJustificationValues.LEFT,
    TextJustificationValues.CENTER,
    TextJustificationValues.RIGHT,
)
PIXEL, DISPLAY = AnnotationUnitsValues.PIXEL, AnnotationUnitsValues.DISPLAY

MARK_TOP = 0.96
"""Where the mark begins, over the height of the displayed area; it reaches to the bottom."""

REMARK_HEIGHT = 0.022
"""Of a line of what limits the values, likewise."""

MAX_TEXT = 1024
"""Characters of Unformatted Text Value (VR ST, PS3.5 Table 6.2-1)."""

LINE_THICKNESS = 0.001
"""Over the longer side of the image, and a pixel at least: thin and visible whether a viewer counts Line
Thickness (0070,0253) in pixels of the image, as it does the points, or of the screen."""


@dataclass(frozen=True)
class Layer:
    """A graphic layer that can be shown and hidden.

    Attributes:
        name: Graphic Layer, a code string.
        order: The later ones are drawn over the earlier ones.
        description: For a person.
        colour: sRGB, 0 to 255: of what has no colour of its own.
    """

    name: str
    order: int
    description: str
    colour: tuple[int, int, int]


ANATOMY = Layer("ANATOMY", 1, "Outlines of organs", (90, 200, 250))
BONES = Layer("BONES", 2, "Outlines of bones", (235, 215, 160))
MEASUREMENTS = Layer("MEASUREMENTS", 3, "Lines and values of measurements", (255, 226, 64))
MARK = Layer("MARK", 4, "Says that a neural network made this", (255, 140, 60))
OVERLAYS = Layer("OVERLAYS", 5, "Overlay planes of the image itself", (255, 255, 255))
"""Bones have a layer of their own: there may be dozens of them."""


class Annotations:
    """Collects what is drawn over one image, layer by layer.

    Args:
        source: The radiograph.
        uids: Makes tracking UIDs: those that the Segmentation and the report have too.
    """

    def __init__(self, source: Source, uids: UidMaker) -> None:
        self._source, self._uids = source, uids
        self._objects: dict[Layer, tuple[list[GraphicObject], list[TextObject]]] = {}

    def add_structures(self, segmentation: Segmentation) -> None:
        """Add the outlines of the structures that a reader looks for, each in its own colour."""
        for item in readable_subset(segmentation):
            graphics, _ = self._on(BONES if is_bone(item) else ANATOMY)
            for ring in rings(segmentation.masks[item.name]):
                graphics.append(self._outline(ring, item))

    def add_measurements(self, measurements: Measurements, drawn: Collection[str]) -> None:
        """Add the lines with their values.

        Args:
            measurements: What was measured.
            drawn: Names of structures whose outlines are drawn already: areas get no second one.
        """
        rows, columns = self._source.shape
        below = 1 - MARK_TOP + REMARK_HEIGHT * len(measurements.legend)
        layout = TextLayout(rows, columns, reserved=below)
        for figure in figures(measurements.computed):
            graphics, texts = self._on(MEASUREMENTS)
            if not _is_outline_of(figure, drawn):
                graphics.append(self._line(figure))
            texts += self._values(figure, layout, measurements)

    def add_mark(self, words: str, remarks: Sequence[str] = ()) -> None:
        """Add words that stand at the bottom of the displayed area, whatever part of the image it shows.

        Args:
            words: What made the drawings.
            remarks: Stand above them, a line each.
        """
        _, texts = self._on(MARK)
        tops = [MARK_TOP - REMARK_HEIGHT * number for number in range(len(remarks), 0, -1)]
        for top, remark in zip(tops, remarks, strict=True):
            box = (0.0, max(top, 0.0), 1.0, max(top, 0.0) + REMARK_HEIGHT)
            texts.append(TextObject(_plain(remark), DISPLAY, box, text_justification=LEFT))
        box = (0.0, MARK_TOP, 1.0, 1.0)
        texts.append(TextObject(_plain(words), DISPLAY, box, text_justification=CENTER))

    def add_overlays(self) -> None:
        """Add the layer on which the overlay planes of the image itself are shown; it holds nothing here."""
        self._on(OVERLAYS)

    @property
    def layers(self) -> list[GraphicLayer]:
        """The layers that are used: items of Graphic Layer Sequence."""
        return [
            GraphicLayer(layer.name, layer.order, layer.description, CIELabColor.from_rgb(*layer.colour))
            for layer in self._objects
        ]

    @property
    def items(self) -> list[Dataset]:
        """What stands on them, an item of Graphic Annotation Sequence for each layer that holds something.

        They apply to the only image of the presentation state and so name none.
        """
        return [_annotation(layer, *objects) for layer, objects in self._objects.items() if any(objects)]

    def _on(self, layer: Layer) -> tuple[list[GraphicObject], list[TextObject]]:
        return self._objects.setdefault(layer, ([], []))

    def _outline(self, ring: Points, item: Label) -> GraphicObject:
        outline = self._polyline(ring, item.name, self._uids(f"structure {item.name}"))
        thickness = max(1.0, LINE_THICKNESS * max(self._source.shape))
        outline.LineStyleSequence = [_line_style(item.colour, thickness)]
        return outline

    def _line(self, figure: Figure) -> GraphicObject:
        names = [measurement.name for measurement in figure.measurements] or figure.names
        uid = self._uids(f"line {', '.join((*figure.names, *names))}")  # that of the report's group
        return self._polyline(figure.points, ", ".join(names), uid)

    def _polyline(self, points: Points, name: str, uid: str) -> GraphicObject:
        drawn = GraphicObject(
            GraphicTypeValues.POLYLINE, self._stored(points), PIXEL, tracking_id=name, tracking_uid=uid
        )
        if points[0] != points[-1]:  # what is not closed is not filled either (PS3.3 Table C.10-5)
            del drawn.GraphicFilled
        return drawn

    def _stored(self, points: Points) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        stored = np.array([self._source.stored_point(point) for point in points], np.float64)
        return np.clip(stored, 0, (self._source.shape[1], self._source.shape[0]))

    def _values(self, figure: Figure, layout: TextLayout, measurements: Measurements) -> list[TextObject]:
        """Return the values of a line, one below the other, where `layout` has room for them."""
        words = [f"{each.name} {_plain(measurements.marked(each))}" for each in figure.measurements]
        if not words:
            return []
        anchor = self._anchor(figure.points)
        justification = RIGHT if layout.is_left(anchor) else LEFT
        boxes = layout.place(anchor, words).lines(len(words))
        corners = [(box.left, box.top, box.right, box.bottom) for box in boxes]
        return [
            TextObject(line, PIXEL, corner, anchor, justification, anchor_point_visible=number == 0)
            for number, (line, corner) in enumerate(zip(words, corners, strict=True))
        ]

    def _anchor(self, points: Points) -> Point:
        """Return where on a line its values belong: the top of an outline, the end nearer to the border."""
        if points[0] == points[-1]:
            points = (min(points, key=lambda point: point[1]),)
        middle = (self._source.shape[1] / 2, self._source.shape[0] / 2)
        ends = [(float(column), float(row)) for column, row in self._stored((points[0], points[-1]))]
        return max(ends, key=lambda end: math.dist(end, middle))


def _is_outline_of(figure: Figure, drawn: Collection[str]) -> bool:
    structures = [name for measurement in figure.measurements[:1] for name in measurement.structures]
    return figure.points[0] == figure.points[-1] and bool(structures) and set(structures) <= set(drawn)


def _plain(text: str) -> str:
    r"""Return a text as Unformatted Text Value can hold it: short, in characters that every set has.

    >>> _plain("98.8 cm²"), _plain("12.0°"), _plain(r"Pixel Spacing 0\0 is no spacing")
    ('98.8 cm2', '12.0 deg', 'Pixel Spacing 0/0 is no spacing')
    """
    known = text.replace("²", "2").replace("°", " deg").replace("\\", "/")  # ISO_IR 13 has a yen for it
    return known.encode("ascii", "replace").decode("ascii")[:MAX_TEXT]


def _annotation(layer: Layer, graphics: Sequence[Dataset], texts: Sequence[Dataset]) -> Dataset:
    annotation = Dataset()
    annotation.GraphicLayer = layer.name
    if texts:
        annotation.TextObjectSequence = list(texts)
    if graphics:
        annotation.GraphicObjectSequence = list(graphics)
    return annotation


def _line_style(colour: tuple[int, int, int], thickness: float) -> Dataset:
    """Return the Line Style macro of a plain line (PS3.3 Table C.10-5b); all its attributes are type 1."""
    style = Dataset()
    style.PatternOnColorCIELabValue = list(CIELabColor.from_rgb(*colour).value)
    style.PatternOnOpacity = 1.0
    style.LineThickness, style.LineDashingStyle = thickness, "SOLID"
    style.ShadowStyle, style.ShadowOffsetX, style.ShadowOffsetY = "OFF", 0.0, 0.0
    style.ShadowColorCIELabValue, style.ShadowOpacity = list(CIELabColor.from_rgb(0, 0, 0).value), 0.0
    return style
