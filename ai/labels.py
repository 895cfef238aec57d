"""The table of structures: names, hierarchy, codes and colours, read once from labels.csv."""

import csv
import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from ai.errors import LabelError


class Laterality(StrEnum):
    """The side of the body that a structure belongs to."""

    LEFT = "left"
    RIGHT = "right"
    NONE = ""


@dataclass(frozen=True)
class Code:
    """A coded concept, PS3.3 Table 8.8-1.

    Attributes:
        value: Code Value.
        scheme: Coding Scheme Designator, such as "SCT".
        meaning: Code Meaning.
    """

    value: str
    scheme: str
    meaning: str

    @classmethod
    def parse(cls, text: str) -> "Code":
        """Return the code written as in labels.csv.

        >>> Code.parse("39607008 SCT Lung")
        Code(value='39607008', scheme='SCT', meaning='Lung')
        """
        value, scheme, meaning = text.split(maxsplit=2)
        return cls(value, scheme, meaning)


@dataclass(frozen=True)
class Label:
    """One structure.

    Attributes:
        id: Its place in the table, from 0.
        name: As in the released list of PAX-Ray++ (159 names), or ours ("visible lung right", "... left").
        parent: Name of the structure that contains it, or None.
        laterality: The side it belongs to; NONE for what is unpaired or comprises both sides.
        category: Segmented Property Category, PS3.16 CID 7150.
        type: Segmented Property Type, PS3.16 CID 7151 where that holds it.
        modifiers: Segmented Property Type Modifiers: side (PS3.16 CID 244), part (CID 2), both or neither.
        colour: sRGB, 0 to 255; no two structures share one.
        views: Projections in which it can be drawn, of "frontal" and "lateral".
        derivation: How its mask comes from labels in 3D, and where its code is broader than the structure.
    """

    id: int
    name: str
    parent: str | None
    laterality: Laterality
    category: Code
    type: Code
    modifiers: tuple[Code, ...]
    colour: tuple[int, int, int]
    views: tuple[str, ...]
    derivation: str

    @property
    def spoken(self) -> str:
        """The name within a sentence.

        >>> [item.spoken for item in LABELS if item.name in ("clavicle right", "vertebrae T4")]
        ['the vertebra T4', 'the right clavicle']
        """
        words = self.name.replace("_", " ").replace("vertebrae ", "vertebra ").split()
        if words[-1] in (Laterality.LEFT, Laterality.RIGHT):
            words = [words[-1], *words[:-1]]
        return " ".join(("the", *words))

    @property
    def slug(self) -> str:
        """The name as part of a file name: lower case, words joined by underscores."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower())

    @classmethod
    def parse(cls, row: dict[str, str]) -> "Label":
        """Return the label in one row of labels.csv."""
        red, green, blue = bytes.fromhex(row["colour"].removeprefix("#"))
        return cls(
            id=int(row["id"]),
            name=row["name"],
            parent=row["parent"] or None,
            laterality=Laterality(row["laterality"]),
            category=Code.parse(row["category"]),
            type=Code.parse(row["type"]),
            modifiers=tuple(Code.parse(code) for code in row["modifiers"].split("; ") if code),
            colour=(red, green, blue),
            views=tuple(row["views"].split("; ")),
            derivation=row["derivation"],
        )


def _read_table() -> tuple[Label, ...]:
    table = resources.files("ai").joinpath("labels.csv").read_text(encoding="utf-8")
    return tuple(Label.parse(row) for row in csv.DictReader(table.splitlines()))


LABELS: tuple[Label, ...] = _read_table()
"""All structures in their fixed order; `LABELS[i].id == i`."""

_BY_NAME = {label.name: label for label in LABELS}


def label(name: str) -> Label:
    """Return the label of that name.

    Raises:
        LabelError: If the table does not hold it; the message names the nearest name that it does hold.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise LabelError(f"unknown structure {name!r}; the nearest known one is {nearest(name, _BY_NAME)!r}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like one that is not known."""
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


@cache
def children(name: str) -> tuple[str, ...]:
    """Return the names of the structures whose parent is `name`, in table order."""
    return tuple(child.name for child in LABELS if child.parent == name)


@cache
def labels_digest() -> str:
    """Return the SHA-256 (hexadecimal) of the names in order, one a line: the identity of the label space."""
    return hashlib.sha256("\n".join(_BY_NAME).encode()).hexdigest()
