"""The tables of created objects: one of what is the same in all of them, one of the rest of each kind."""

from collections.abc import Iterator, Mapping, Sequence

from tests.house.statement import network
from tests.house.statement.modules import EXTENSION, IODS, module_of
from tests.house.statement.network import table
from tests.house.statement.notes import note_on
from tests.house.statement.subjects import Written
from tests.house.statement.tree import code_line, content_tree
from tests.house.statement.walk import MAX_TERMS, Origin, Row, merged, without_versions

HEADS = ("Attribute", "Tag", "VR", "Presence", "Source", "Value")
FIRST_KIND = 4
"""Number of the section of the first kind of object, after 8.1.1."""

LISTED = frozenset({"CS", "US"})
"""Value representations whose values are listed where they are few."""

LONGEST = 100
"""Characters of a value that is printed."""


class Objects:
    """What the template needs to know of the objects that were written."""

    def __init__(self, objects: Sequence[Written]) -> None:
        self._objects = objects
        self._rows = {kind: merged(self._of(kind)) for kind in network.KINDS}
        self._lines = {kind: _blocks(kind, rows) for kind, rows in self._rows.items()}
        first, *others = self._lines.values()
        alike = [name for name in first if all(first[name] == other.get(name) for other in others)]
        self._common = [name for name in alike if len({_module(kind, name) for kind in network.KINDS}) == 1]

    def parts(self) -> Mapping[str, str]:
        """Return what goes into the template, by place."""
        return {
            "iods": "\n".join(self._iods()),
            "file_meta": table(HEADS, self._file_meta()),
            "common": self._table(next(iter(network.KINDS)), self._common),
            "kinds": "\n\n".join(self._sections()),
            "measurements_tree": _tree(self._objects, "SR"),
            "structures_tree": _tree(self._objects, "SR structures"),
            "extended": self._extended(),
        }

    def _of(self, kind: str) -> list[Written]:
        return [each for each in self._objects if each.dataset.SOPClassUID in network.KINDS[kind]]

    def _iods(self) -> Iterator[str]:
        for number, (kind, uids) in enumerate(network.KINDS.items(), start=FIRST_KIND):
            modality = str(self._of(kind)[0].dataset.Modality)
            names = "; ".join(f"{network.name_of(uid)} {uid}" for uid in uids)
            yield f"| {kind} | {names} | {modality} | {network.SECTIONS[kind]} | 8.1.1.{number} |"

    def _file_meta(self) -> list[str]:
        rows = merged(self._objects, "file_meta")
        return [_line("", row) for row in rows]

    def _sections(self) -> Iterator[str]:
        for number, kind in enumerate(network.KINDS, start=FIRST_KIND):
            own = [name for name in self._lines[kind] if name not in self._common]
            words = "Besides those of 8.1.1.3:"
            yield f"##### 8.1.1.{number} {kind}\n\n{words}\n\n{self._table(kind, own)}"

    def _table(self, kind: str, names: Sequence[str]) -> str:
        lines: list[str] = []
        for module in (*IODS[kind], EXTENSION):
            members = [name for name in names if module_of(kind, name) == module]
            if members:
                lines += [f"| **{module}** | | | | | |"]
                lines += [line for name in members for line in self._lines[kind][name]]
        return table(HEADS, lines)

    def _extended(self) -> str:
        found = {
            kind: [name for name in blocks if module_of(kind, name) == EXTENSION]
            for kind, blocks in self._lines.items()
        }
        told = [
            f"* {kind}: {', '.join(map(network.attribute_name, names))}."
            for kind, names in found.items()
            if names
        ]
        if not told:
            return "No standard extended SOP classes."
        words = "Some are Standard Extended, by attributes of the Standard that their IOD does not have:"
        return f"{words}\n\n" + "\n".join(told)


def _module(kind: str, name: str) -> str:
    """Return the module of an attribute; the two of the series have the common ones alike."""
    return module_of(kind, name).replace("SR Document Series", "General Series")


def _blocks(kind: str, rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the lines of each top-level attribute with what lies in it, by keyword."""
    blocks: dict[str, list[str]] = {}
    for row in rows:
        blocks.setdefault(row.path.split("/")[0], []).append(_line(kind, row))
    return blocks


def _line(kind: str, row: Row) -> str:
    origin, words = note_on(kind, row.path)
    node = row.node
    if origin is None and not (node.vrs == {"SQ"} and not node.codes and not node.copied):
        origin = node.origin if node.presence != "EMPTY" else None
    cells = (
        row.name,
        row.tag,
        " or ".join(sorted(node.vrs)),
        node.presence,
        origin or "",
        words or _value(row),
    )
    return f"| {' | '.join(cells)} |"


def _value(row: Row) -> str:
    node = row.node
    if node.presence == "EMPTY":
        return ""
    if node.codes:
        return "; ".join(sorted(map(code_line, node.codes))) if len(node.codes) <= MAX_TERMS else ""
    if node.origin is Origin.COPY:
        return (
            f"{network.attribute_name(node.copied_uid)} of the source" if node.copied_uid else "of the source"
        )
    terms = [_term(row, term) for term in node.terms]
    is_listed = node.origin is Origin.FIXED or (node.vrs <= LISTED and len(terms) <= MAX_TERMS)
    return " or ".join(terms) if is_listed and all(len(term) <= LONGEST for term in terms) else ""


def _term(row: Row, term: str) -> str:
    if "UI" in row.node.vrs:
        name = network.name_of(term)
        return term if name == term else f"{name} {term}"
    if "AT" in row.node.vrs:
        return network.attribute_name(term)
    return without_versions(term)


def _tree(objects: Sequence[Written], kind: str) -> str:
    heads = ("", "Relationship", "Value type", "Concept name", "TID", "Number", "Value")
    return table(heads, content_tree(each for each in objects if each.kind == kind))
