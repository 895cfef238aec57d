"""What is laid over a radiograph, as a page draws it: lines as SVG, structures by group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ai.anatomy import Group
from ai.orientation import Point
from node.study_masks import MaskPicture, Masks
from node.text_layout import TextLayout
from node.web.job_details import Film, Measured

LABEL_HEIGHT = 0.024
"""Of a line of text over the longer side of the picture."""

LETTERS = 0.85
"""The size of the letters over the height of their line."""

DESCENT = 0.25
"""Of a line of text below its base line."""

OTHERS = "others"
"""The group of what the label table does not hold any more."""


_SEEN = "what is seen; measured"
_WHOLE = "with what heart and diaphragm hide"
NOTES = {
    "visible lung right": _SEEN,
    "visible lung left": _SEEN,
    "right lung": _WHOLE,
    "left lung": _WHOLE,
}
"""What a lung is, in the order in which lungs are listed (`ai.availability.LUNG_PAIRS`)."""


@dataclass(frozen=True)
class Label:
    """A line of text on the picture.

    Attributes:
        text: A measurement with its value.
        x: Where it begins or ends, in pixels of the picture.
        y: Its base line.
        anchor: "start": it begins at x; "end": it ends there.
    """

    text: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class DrawnLine:
    """A line as SVG 2 draws it.

    Attributes:
        number: Counted from 1.
        name: Of what it shows.
        values: Of the measurements that it shows, each with its name; those that have one.
        points: Of a polyline, in pixels of the picture.
        labels: The values as they stand beside it; those of all lines together leave each other room.
    """

    number: int
    name: str
    values: tuple[tuple[str, str], ...]
    points: str
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Structure:
    """A structure that was found.

    Attributes:
        label: Its name in the label table.
        title: For people.
        group: The part of the anatomy that it belongs to.
        colour: As CSS and SVG write it.
        mask: The path of its mask, of the results of this version only.
        note: What it is, where its name does not tell it from another; may be empty.
    """

    label: str
    title: str
    group: str
    colour: str
    mask: str
    note: str


@dataclass(frozen=True)
class StructureGroup:
    """Structures that belong together: by name, but those of `NOTES` first."""

    name: str
    structures: tuple[Structure, ...]


@dataclass(frozen=True)
class Structures:
    """What was found.

    Attributes:
        groups: In the order of `ai.anatomy.Group`; none is empty.
        missing: Why there is nothing; empty: there is.
        version: Of the results; other results, another version.
    """

    groups: tuple[StructureGroup, ...]
    missing: str = ""
    version: str = ""


def structures_of(masks: Masks, job_path: str) -> Structures:
    """Return the structures that masks show.

    Args:
        masks: Of a job.
        job_path: Below which its masks are found, such as "/jobs/17".
    """
    found = [_structure(each, job_path, masks.version) for each in masks.pictures]
    return Structures(tuple(_groups(found)), masks.missing, masks.version)


def _structure(picture: MaskPicture, job_path: str, version: str) -> Structure:
    colour = f"rgb({','.join(map(str, picture.rgb))})"
    mask = f"{job_path}/masks/{quote(picture.label, safe='')}.png?of={version}"
    note = NOTES.get(picture.label, "")
    return Structure(picture.label, picture.title, picture.group or OTHERS, colour, mask, note)


def _groups(found: Sequence[Structure]) -> Iterator[StructureGroup]:
    for name in (*map(str, Group), OTHERS):
        theirs = sorted((each for each in found if each.group == name), key=_order)
        if theirs:
            yield StructureGroup(name, tuple(theirs))


def _order(structure: Structure) -> tuple[int, str]:
    places = list(NOTES)
    return places.index(structure.label) if structure.note else len(places), structure.label


def label_size(film: Film) -> float:
    """Return the font size of labels, in pixels of the picture."""
    return round(LETTERS * LABEL_HEIGHT * max(film.width, film.height), 1)


def drawn_lines(film: Film, measured: Measured) -> tuple[DrawnLine, ...]:
    """Return the lines of a picture, each with the values that it shows, and where these stand."""
    texts = {value.name: value.text for value in measured.values if value.value is not None}
    layout = TextLayout(film.height, film.width, line_height=LABEL_HEIGHT)
    drawn = []
    for number, line in enumerate(film.lines, 1):
        values = tuple((name, texts[name]) for name in line.names if name in texts)
        points = " ".join(f"{across:.1f},{down:.1f}" for across, down in line.points)
        labels = tuple(_labels(layout, max(line.points), [" ".join(value) for value in values]))
        drawn.append(DrawnLine(number, ", ".join(line.names), values, points, labels))
    return tuple(drawn)


def _labels(layout: TextLayout, anchor: Point, words: Sequence[str]) -> Iterator[Label]:
    """Yield labels beside a point, or as near as there is room for them."""
    if not words:
        return
    is_left = layout.is_left(anchor)
    for text, box in zip(words, layout.place(anchor, words).lines(len(words)), strict=True):
        x, base = (box.right if is_left else box.left), box.bottom - DESCENT * (box.bottom - box.top)
        yield Label(text, round(x, 1), round(base, 1), "end" if is_left else "start")
