"""The content trees of written reports as one table (PS3.16 TID 1500): what stands where, and how often."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydicom import Dataset

from ai.labels import Code
from node import codes
from tests.house.statement.subjects import Written

VALUES = {
    "Finding": 'type of the structure (8.3.2), of lines without one (816094009, SCT, "Chest")',
    "Finding Site": "type of the structure (8.3.2)",
    "Finding category": "category of the structure (8.3.2)",
    "Topographical modifier": "part of the structure (8.3.2)",
    "Derivation": "8.3.4",
    "Tracking Identifier": "names of the measurements, or of the structure",
    "Tracking Unique Identifier": "8.1.1.11",
    "Device Observer UID": "a function of the model",
    "Device Observer Name": "paxnode and its version",
    "Device Observer Manufacturer": "paxnode",
    "Device Observer Model Name": "id and version of the model, first 12 digits of its SHA-256",
    "Device Observer Serial Number": "first 16 digits of the SHA-256 of the model's weights",
    "Algorithm Name": "id of the model",
    "Algorithm Version": "version of the model, first 12 digits of its SHA-256",
    "Image Region": "POLYLINE",
    "Source": "the source image",
    "Source of Measurement": "the Segmentation with Referenced Segment Number; absent where none is sent",
    "Referenced Segmentation Frame": "the Segmentation with Referenced Segment Number",
    "Source Image for Segmentation": "the source image",
}
"""What items hold, by the meaning of their concept name; codes of others are listed as they were found."""

FREE = frozenset({"NUM"})
"""Value types whose many concept names stand in tables of their own."""

TEMPLATES = {
    "Language of Content Item and Descendants": "1204",
    "Observer Type": "1002",
    "Device Observer UID": "1004",
    "Device Observer Name": "1004",
    "Device Observer Manufacturer": "1004",
    "Device Observer Model Name": "1004",
    "Device Observer Serial Number": "1004",
    "Algorithm Name": "4019",
    "Algorithm Version": "4019",
    "Derivation": "1419",
    "Source of Measurement": "320",
}
"""Templates of PS3.16 that items come from, by concept; others are of the container's own template."""


def code_line(parts: tuple[str, ...]) -> str:
    """Return value, scheme and meaning as the Standard writes them."""
    return f'({parts[0]}, {parts[1]}, "{parts[2]}")'


def code(concept: Code) -> str:
    """Return one of our codes as the Standard writes it."""
    return code_line((concept.value, concept.scheme, concept.meaning))


ASKED = frozenset(code(name) for name in codes.FINDINGS.values())
"""Concepts that are answered by yes or no."""


@dataclass
class Item:
    """A content item in all reports.

    Attributes:
        relationship: To its parent.
        value_type: See PS3.3 C.17.3.2.1.
        name: Concept Name as "(value, scheme, meaning)".
        template: Identifier, where the container names one.
        counts: How often it stood in one parent, and in how many parents.
        parents: How many parents there were.
        codes: Values of CODE items.
        children: What stands in it.
    """

    relationship: str
    value_type: str
    name: str
    template: str = ""
    counts: Counter[int] = field(default_factory=Counter)
    seen: int = 0
    parents: int = 0
    codes: set[str] = field(default_factory=set)
    children: dict[tuple[str, str, str], "Item"] = field(default_factory=dict)

    @property
    def number(self) -> str:
        """How often it may stand there: "1", "0-1", "1-n", "0-n"."""
        if (self.relationship, self.value_type) == ("CONTAINS", "TEXT"):  # remarks: as many as there are
            return "0-n"
        least = "1" if sum(self.counts.values()) == self.parents else "0"
        most = "1" if max(self.counts) == 1 else "n"
        return most if least == most else f"{least}-{most}"

    @property
    def value(self) -> str:
        """Its codes, if they are few."""
        if self.name in ASKED:
            return f"{code(codes.YES)}; {code(codes.NO)}"
        return VALUES.get(self.meaning) or "; ".join(sorted(self.codes))

    @property
    def meaning(self) -> str:
        """Code Meaning of its concept name."""
        return self.name.split('"')[1] if self.name else ""


def content_tree(reports: Iterable[Written]) -> list[str]:
    """Return the rows of the table, the root first."""
    root: Item | None = None
    for report in reports:
        dataset = report.dataset
        root = root or Item(
            "", dataset.ValueType, code_text(dataset.ConceptNameCodeSequence[0]), _template(dataset)
        )
        root.seen += 1
        _add(root, dataset)
    assert root is not None, "there are reports"
    root.counts[1] = root.parents = root.seen
    _count_parents(root)
    return list(_rows(root, 0))


def code_text(item: Dataset) -> str:
    """Return an item of a code sequence as the Standard writes it."""
    return code_line((str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning)))


def _template(item: Dataset) -> str:
    named = item.get("ContentTemplateSequence")
    return str(named[0].TemplateIdentifier) if named else ""


def _add(parent: Item, dataset: Dataset) -> None:
    here: Counter[tuple[str, str, str]] = Counter()
    for child in dataset.get("ContentSequence", []):
        named = child.get("ConceptNameCodeSequence")
        name = code_text(named[0]) if named and child.ValueType not in FREE else ""
        key = (str(child.RelationshipType), str(child.ValueType), name)
        item = parent.children.setdefault(key, Item(*key, _template_of(child, named)))
        here[key] += 1
        item.seen += 1
        if "ConceptCodeSequence" in child:
            item.codes.add(code_text(child.ConceptCodeSequence[0]))
        _add(item, child)
    for key, count in here.items():
        parent.children[key].counts[count] += 1


def _template_of(child: Dataset, named: list[Dataset] | None) -> str:
    if child.ValueType == "NUM":
        return "1419"
    return _template(child) or (TEMPLATES.get(str(named[0].CodeMeaning), "") if named else "")


def _count_parents(item: Item) -> None:
    for child in item.children.values():
        child.parents = item.seen
        _count_parents(child)


def _rows(item: Item, depth: int) -> Iterator[str]:
    name = item.name or "the measurement (8.3.4)"
    cells = (">" * depth, item.relationship, item.value_type, name, item.template, item.number, item.value)
    yield f"| {' | '.join(cells)} |"
    for key in sorted(item.children, key=_order):
        yield from _rows(item.children[key], depth + 1)


def _order(key: tuple[str, str, str]) -> tuple[int, str, str, str]:
    """Return a key by which context comes first, then modifiers, then content; containers last."""
    relationship, value_type, name = key
    rank = ("HAS OBS CONTEXT", "HAS CONCEPT MOD").index(relationship) if relationship.startswith("HAS") else 2
    return (rank + (value_type == "CONTAINER"), relationship, value_type, name)
