"""The content of both reports against the templates that they name (PS3.16 TID 1500, 1410, 1419, 4019)."""

from collections.abc import Callable, Iterator

import pytest
from pydicom import Dataset

from tests.node.written_profiles import Case

Row = tuple[str, str, str]
"""Relationship Type, Value Type, and the Code Value of the Concept Name."""

ROOT: list[Row] = [
    ("HAS CONCEPT MOD", "CODE", "121049"),  # TID 1204, Language of Content Item and Descendants
    ("HAS OBS CONTEXT", "CODE", "121005"),  # TID 1002, Observer Type: said because it is no person
    ("HAS OBS CONTEXT", "UIDREF", "121012"),  # TID 1004, Device Observer UID
    ("HAS OBS CONTEXT", "TEXT", "121013"),  # its Name
    ("HAS OBS CONTEXT", "TEXT", "121014"),  # its Manufacturer
    ("HAS OBS CONTEXT", "TEXT", "121015"),  # its Model Name
    ("HAS OBS CONTEXT", "TEXT", "121016"),  # its Serial Number
    ("HAS CONCEPT MOD", "CODE", "121058"),  # Procedure reported
    ("CONTAINS", "CONTAINER", "126010"),  # Imaging Measurements
    ("CONTAINS", "CONTAINER", "C0034375"),  # Qualitative Evaluations
]
"""TID 1500 in its order."""

FIRST_OF_GROUP: list[Row] = [
    ("HAS OBS CONTEXT", "TEXT", "112039"),  # Tracking Identifier
    ("HAS OBS CONTEXT", "UIDREF", "112040"),  # Tracking Unique Identifier
]
EVERY_GROUP: list[Row] = [
    *FIRST_OF_GROUP,
    ("CONTAINS", "CODE", "121071"),  # Finding
    ("HAS CONCEPT MOD", "TEXT", "111001"),  # TID 4019, Algorithm Name
    ("HAS CONCEPT MOD", "TEXT", "111003"),  # Algorithm Version
]
SITE: Row = ("HAS CONCEPT MOD", "CODE", "363698007")
CATEGORY: Row = ("CONTAINS", "CODE", "276214006")
REGION: Row = ("CONTAINS", "SCOORD", "111030")
SEGMENT: list[Row] = [("CONTAINS", "IMAGE", "121214"), ("CONTAINS", "IMAGE", "121233")]
"""Referenced Segmentation Frame, and the Source Image for Segmentation that it asks for."""

BELOW = {
    "NUM": {("HAS CONCEPT MOD", "CODE", "121401"), SITE, ("INFERRED FROM", "IMAGE", "121112")},
    "SCOORD": {("SELECTED FROM", "IMAGE", "260753009")},
    "CODE": {("HAS CONCEPT MOD", "CODE", "272741003"), ("HAS CONCEPT MOD", "CODE", "106233006")},
}
"""What may stand below: derivation, site and segments; the source; laterality and topographical modifier."""


@pytest.fixture(params=["SR", "SR structures"])
def report(request: pytest.FixtureRequest, cases: Callable[[str, str], Case]) -> Dataset:
    return cases("a quarter turn", "standard").objects[request.param]


def _row(item: Dataset) -> Row:
    return item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence[0].CodeValue


def _rows(item: Dataset) -> list[Row]:
    return [_row(child) for child in item.get("ContentSequence", [])]


def _all(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from _all(child)


def _groups(report: Dataset) -> list[Dataset]:
    return [item for item in _all(report) if item.ConceptNameCodeSequence[0].CodeValue == "125007"]


def test_the_root_has_the_rows_of_tid_1500_in_their_order(report: Dataset) -> None:
    assert _rows(report) == ROOT
    measurements, evaluations = report.ContentSequence[-2:]
    assert set(_rows(measurements)) == {("CONTAINS", "CONTAINER", "125007")}
    assert {row[:2] for row in _rows(evaluations)} <= {("CONTAINS", "CODE"), ("CONTAINS", "TEXT")}


def test_each_template_is_named_where_its_container_stands_and_nowhere_else(report: Dataset) -> None:
    named = {
        item.ConceptNameCodeSequence[0].CodeValue: [
            (each.MappingResource, each.TemplateIdentifier) for each in item.ContentTemplateSequence
        ]
        for item in (report, *_all(report))
        if "ContentTemplateSequence" in item
    }
    assert named == {"126000": [("DCMR", "1500")], "125007": [("DCMR", "1410")]}
    assert all("ContentTemplateSequence" in group for group in _groups(report))


def test_each_group_has_what_tid_1410_requires_and_one_way_to_say_where(report: Dataset) -> None:
    assert _groups(report)
    for group in _groups(report):
        rows = _rows(group)
        assert rows[:2] == FIRST_OF_GROUP
        assert [row for row in EVERY_GROUP if rows.count(row) != 1] == []
        is_drawn = rows.count(REGION) == 1
        assert [row for row in rows if row in SEGMENT] == ([] if is_drawn else SEGMENT)
        others = [row for row in rows if row not in {*EVERY_GROUP, SITE, CATEGORY, REGION, *SEGMENT}]
        assert {row[:2] for row in others} <= {("CONTAINS", "NUM")}


def test_below_an_item_stands_only_what_its_template_allows(report: Dataset) -> None:
    for item in _all(report):
        if item.ValueType != "CONTAINER":
            assert set(_rows(item)) <= BELOW.get(item.ValueType, set())
        if item.ValueType == "SCOORD":
            assert len(item.ContentSequence) == 1
        if item.ValueType == "IMAGE":  # PS3.3 Table 10-3: a frame and a segment exclude each other
            assert "ReferencedFrameNumber" not in item.ReferencedSOPSequence[0]
