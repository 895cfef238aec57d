"""Many written objects of one kind as one table: attributes, when they are there, and whence values come."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from highdicom.version import __version__ as highdicom_version
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_description, dictionary_has_tag, keyword_for_tag
from pydicom.tag import BaseTag

from node.result_header import software_version
from tests.house.statement.subjects import OTHERWISE, Written

CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
CONTENT_SEQUENCE = BaseTag(0x0040A730)
"""The content tree of a report has a table of its own."""

UIDS_OF_SOURCE = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
IMPLEMENTATION_CLASS_UID = BaseTag(0x00020012)
"""Holds the one UID of our own that is the same in every object."""

OF_A_RUN = frozenset({"DA", "TM", "DT"})
"""Never fixed, though two objects that were written in one second share them."""

BULK = frozenset({"OB", "OW", "OF", "UN"})
MAX_TERMS = 8
"""More values than this of a code string, or more codes, are not listed."""

REPEATING = 0x6000
"""Stands for every group 60xx (PS3.5 7.6)."""

REGISTERED = "1.2.840.10008."
"""Root of the UIDs that the Standard defines (PS3.6 A)."""


class Presence(StrEnum):
    """Whether an attribute is there, in the words of PS3.2 A.8.1."""

    ALWAYS = "ALWAYS"
    VNAP = "VNAP"
    ANAP = "ANAP"
    EMPTY = "EMPTY"


class Origin(StrEnum):
    """Where values come from."""

    FIXED = "FIXED"
    AUTO = "AUTO"
    COPY = "COPY"
    CONFIG = "CONFIG"


@dataclass
class Node:
    """An attribute in all objects of a kind.

    Attributes:
        tag: Which.
        vrs: Value representations that it was written in.
        parents: In how many data sets or items it could have been.
        seen: In how many of them it was.
        filled: In how many of them it had a value.
        values: What values it had in each run.
        own: What values the source had under the same tag, at any depth, in each run.
        uids: Which UIDs the source had, in each run.
        codes: Its codes, if it is a code sequence.
        children: What is in its items, by tag.
        copied: In how many data sets it was the sequence of the source.
    """

    tag: BaseTag
    vrs: set[str] = field(default_factory=set)
    parents: int = 0
    seen: int = 0
    filled: int = 0
    values: dict[str, set[str]] = field(default_factory=dict)
    own: dict[str, set[str]] = field(default_factory=dict)
    uids: dict[str, Mapping[str, str]] = field(default_factory=dict)
    codes: set[tuple[str, ...]] = field(default_factory=set)
    children: dict[BaseTag, "Node"] = field(default_factory=dict)
    items: int = 0
    copied: int = 0

    @property
    def presence(self) -> Presence:
        """When it is there; in items, when its item is."""
        if self.seen < self.parents:
            return Presence.ANAP
        if not self.filled:
            return Presence.EMPTY
        return Presence.ALWAYS if self.filled == self.seen else Presence.VNAP

    @property
    def origin(self) -> Origin:
        """Where its values come from, as far as the objects tell."""
        filled = {run: found - {""} for run, found in self.values.items() if found - {""}}
        terms = set().union(*filled.values()) if filled else set()
        if self.copied:
            return Origin.COPY
        if len(self.codes) == 1:
            return Origin.FIXED
        if self.vrs & BULK:
            return Origin.AUTO
        if len(terms) == 1 and not self._changes(terms):
            return Origin.FIXED
        if filled and self.copied_uid:
            return Origin.COPY
        if filled and all(found <= self.own.get(run, set()) for run, found in filled.items()):
            return Origin.COPY
        if "UI" not in self.vrs and not self.vrs & OF_A_RUN and self._differs_by_settings(filled):
            return Origin.CONFIG
        return Origin.AUTO

    @property
    def copied_uid(self) -> str:
        """Which UID of the source it holds in every run; "" if none."""
        for keyword in UIDS_OF_SOURCE:
            if self.values and all(
                found == {self.uids[run].get(keyword)} for run, found in self.values.items()
            ):
                return keyword
        return ""

    @property
    def terms(self) -> tuple[str, ...]:
        """Every value that it had, sorted; nothing for what changes from run to run."""
        found = sorted(set().union(*self.values.values()) - {""}) if self.values else []
        return () if self._changes(set(found)) else tuple(found)

    def _changes(self, terms: set[str]) -> bool:
        if self.vrs & (OF_A_RUN | BULK):
            return True
        is_of_standard = all(term.startswith(REGISTERED) for term in terms)
        return "UI" in self.vrs and self.tag != IMPLEMENTATION_CLASS_UID and not is_of_standard

    def _differs_by_settings(self, filled: Mapping[str, set[str]]) -> bool:
        pairs = ((filled.get(run), filled.get(f"{run}{OTHERWISE}")) for run in filled)
        return any(after is not None and before != after for before, after in pairs)


@dataclass(frozen=True)
class Row:
    """A line of the table of a kind of object.

    Attributes:
        depth: In how many sequences it lies.
        path: Keywords from the top, joined by "/".
        node: What was found.
    """

    depth: int
    path: str
    node: Node

    @property
    def name(self) -> str:
        """The attribute's name with a ">" for each sequence that it lies in."""
        tag = self.node.tag
        is_known = dictionary_has_tag(tag) or tag.group == REPEATING
        name = dictionary_description(tag) if is_known else "private attribute"
        return f"{'>' * self.depth}{name}"

    @property
    def tag(self) -> str:
        """The tag as the Standard prints it; repeating groups are 60xx."""
        return _tag(self.node.tag)


def merged(objects: Iterable[Written], what: str = "dataset") -> list[Row]:
    """Return the rows of objects of one kind; of their "file_meta" instead of their "dataset" where asked."""
    top = Node(BaseTag(0))
    for each in objects:
        dataset = each.dataset if what == "dataset" else each.dataset.file_meta
        top.items += 1
        _add(top, dataset, each, is_top=True)
    _count_parents(top)
    return list(_rows(top, 0, ""))


def _add(parent: Node, dataset: Dataset, each: Written, *, is_top: bool = False) -> None:
    for element in dataset:
        tag = _merged_group(element.tag)
        node = parent.children.setdefault(tag, Node(tag))
        node.vrs.add(element.VR)
        node.seen += 1
        node.filled += bool(element.value is not None and not element.is_empty)
        run = each.kind + each.run  # what else differs is in the end of it
        node.uids[run] = {keyword: str(each.source.get(keyword)) for keyword in UIDS_OF_SOURCE}
        own = each.source.get(tag)
        if element.VR != "SQ":
            node.values.setdefault(run, set()).add(_shown(element))
            if run not in node.own:
                node.own[run] = set(_values_of(each.source, element.tag))
        elif is_top and own is not None and own.value and element.value == own.value:
            node.copied += 1
        elif tag != CONTENT_SEQUENCE:
            _add_items(node, element.value, each)


def _values_of(source: Dataset, tag: BaseTag) -> Iterator[str]:
    """Yield the values of an attribute in a source, at any depth."""
    for element in source:
        if element.tag == tag and element.VR != "SQ":
            yield _shown(element)
        elif element.VR == "SQ":
            for item in element.value:
                yield from _values_of(item, tag)


def _merged_group(tag: BaseTag) -> BaseTag:
    return BaseTag(REPEATING << 16 | tag.element) if tag.group >> 8 == REPEATING >> 8 else tag


def _add_items(node: Node, items: Sequence[Dataset], each: Written) -> None:
    for item in items:
        node.items += 1
        if "CodeValue" in item:
            node.codes.add(tuple(str(item.get(keyword)) for keyword in CODE))
        _add(node, item, each)


def _shown(element: DataElement) -> str:
    if element.VR in BULK or element.is_empty:
        return "" if element.is_empty else "bytes"
    values = element.value if element.VM > 1 else [element.value]
    if element.VR in {"DS", "IS", "FD", "FL"}:
        return "\\".join(f"{float(value):.10g}" for value in values)
    if element.VR == "AT":
        return "\\".join(keyword_for_tag(value) or str(value) for value in values)
    return "\\".join(map(str, values))


def _count_parents(node: Node) -> None:
    for child in node.children.values():
        child.parents = node.items
        _count_parents(child)


def _tag(tag: BaseTag) -> str:
    group = "60xx" if tag.group == REPEATING else f"{tag.group:04X}"
    return f"({group},{tag.element:04X})"


def _keyword(tag: BaseTag) -> str:
    """Return a tag's keyword, also of a repeating group, for which pydicom gives none."""
    return keyword_for_tag(tag) or dictionary_description(tag).replace(" ", "")


def _rows(node: Node, depth: int, path: str) -> Iterator[Row]:
    for tag in sorted(node.children):
        child = node.children[tag]
        keyword = _keyword(tag)
        if node.codes and keyword in CODE:  # told as the code of the sequence
            continue
        here = f"{path}/{keyword}".lstrip("/")
        yield Row(depth, here, child)
        yield from _rows(child, depth + 1, here)


def without_versions(value: str) -> str:
    """Return a value with versions as words, so that the statement does not depend on what is installed."""
    shown = value.replace(f"paxnode {software_version()}", "paxnode and its version")
    return "the version of highdicom" if shown == highdicom_version else shown
