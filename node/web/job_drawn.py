"""What is laid over a radiograph, as a page draws it: lines as SVG, structures by group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ai.anatomy import Group
from node.study_masks import MaskPicture, Masks
from node.web.job_details import Film

OTHERS = "others"
"""The group of what the label table does not hold any more."""


@dataclass(frozen=True)
class DrawnLine:
    """A line as SVG 2 draws it.

    Attributes:
        number: Counted from 1.
        name: Of the measurements that it shows.
        values: Theirs, those that have one.
        points: Of a polyline, in pixels of the picture.
        x: Where its values stand.
        y: Likewise.
        anchor: Whether they begin ("start") or end ("end") there.
    """

    number: int
    name: str
    values: str
    points: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Structure:
    """A structure that was found.

    Attributes:
        label: Its name in the label table.
        title: For people.
        group: The part of the anatomy that it belongs to.
        colour: As CSS and SVG write it.
        mask: The path of its mask, of the results of this version only.
    """

    label: str
    title: str
    group: str
    colour: str
    mask: str


@dataclass(frozen=True)
class StructureGroup:
    """Structures that belong together, by name."""

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
    return Structure(picture.label, picture.title, picture.group or OTHERS, colour, mask)


def _groups(found: Sequence[Structure]) -> Iterator[StructureGroup]:
    for name in (*map(str, Group), OTHERS):
        theirs = sorted((each for each in found if each.group == name), key=lambda each: each.label)
        if theirs:
            yield StructureGroup(name, tuple(theirs))


def drawn_lines(film: Film) -> tuple[DrawnLine, ...]:
    """Return the lines of a picture; each value stands at the right end of its line, inside the picture."""
    drawn = []
    for number, line in enumerate(film.lines, 1):
        x, y = max(line.points)
        anchor = "end" if x > 0.7 * film.width else "start"
        points = " ".join(f"{across:.1f},{down:.1f}" for across, down in line.points)
        names, values = ", ".join(line.names), ", ".join(line.values)
        drawn.append(DrawnLine(number, names, values, points, round(x, 1), round(y, 1), anchor))
    return tuple(drawn)
