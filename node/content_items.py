"""The content items of our reports (PS3.3 C.17.3), each made of its elements at once.

A report has a thousand items, and most say the same in every report: such ones are made once and kept, and
nobody changes them.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache, lru_cache

from pydicom import DataElement, Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import DS

from ai.labels import Code
from node.codes import code_item

SEPARATE = "SEPARATE"
"""Continuity of Content: every item stands for itself, so that programs that show a report name each one."""

RELATIONSHIP_TYPE = BaseTag(0x0040A010)
VALUE_TYPE = BaseTag(0x0040A040)
CONCEPT_NAME_CODE_SEQUENCE = BaseTag(0x0040A043)
CONTINUITY_OF_CONTENT = BaseTag(0x0040A050)
REFERENCED_SOP_SEQUENCE = BaseTag(0x00081199)
REFERENCED_SOP_CLASS_UID = BaseTag(0x00081150)
REFERENCED_SOP_INSTANCE_UID = BaseTag(0x00081155)
REFERENCED_SEGMENT_NUMBER = BaseTag(0x0062000B)
UID_VALUE = BaseTag(0x0040A124)
TEXT_VALUE = BaseTag(0x0040A160)
FLOATING_POINT_VALUE = BaseTag(0x0040A161)
CONCEPT_CODE_SEQUENCE = BaseTag(0x0040A168)
MEASURED_VALUE_SEQUENCE = BaseTag(0x0040A300)
NUMERIC_VALUE = BaseTag(0x0040A30A)
MEASUREMENT_UNITS_CODE_SEQUENCE = BaseTag(0x004008EA)
CONTENT_TEMPLATE_SEQUENCE = BaseTag(0x0040A504)
MAPPING_RESOURCE = BaseTag(0x00080105)
TEMPLATE_IDENTIFIER = BaseTag(0x0040DB00)
CONTENT_SEQUENCE = BaseTag(0x0040A730)
GRAPHIC_DATA = BaseTag(0x00700022)
GRAPHIC_TYPE = BaseTag(0x00700023)


class Relation(StrEnum):
    """Relationship Type of an item to the one that holds it (PS3.3 C.17.3.2.4)."""

    CONTAINS = "CONTAINS"
    CONCEPT_MODIFIER = "HAS CONCEPT MOD"
    CONTEXT = "HAS OBS CONTEXT"
    INFERRED_FROM = "INFERRED FROM"
    SELECTED_FROM = "SELECTED FROM"


def text(name: Code, value: str, relation: Relation = Relation.CONTAINS) -> Dataset:
    """Return an item in words."""
    return _item("TEXT", name, relation, DataElement(TEXT_VALUE, "UT", value))


def uid_reference(name: Code, uid: str, relation: Relation) -> Dataset:
    """Return an item that is a UID."""
    return _item("UIDREF", name, relation, DataElement(UID_VALUE, "UI", uid))


@lru_cache(maxsize=4096)
def coded(
    name: Code,
    value: Code,
    relation: Relation = Relation.CONTAINS,
    children: tuple[tuple[Code, Code], ...] = (),
) -> Dataset:
    """Return an item that is a code: one and the same wherever it stands.

    Args:
        name: What is told.
        value: What it is.
        relation: To the item that holds this one.
        children: Name and value of the codes that say more about it.
    """
    further = [coded(each, said, Relation.CONCEPT_MODIFIER) for each, said in children]
    return _item("CODE", name, relation, _codes(CONCEPT_CODE_SEQUENCE, value), *_content(further))


def number(name: Code, value: float, unit: Code, children: Sequence[Dataset] = ()) -> Dataset:
    """Return an item that is a number with a unit.

    Args:
        name: What was measured.
        value: As it is told; whole numbers as int.
        unit: In the terms of UCUM.
        children: What says more about it.
    """
    parts = [DataElement(NUMERIC_VALUE, "DS", DS(value, auto_format=True))]
    if isinstance(value, float):
        parts.append(DataElement(FLOATING_POINT_VALUE, "FD", value))
    measured = _of([*parts, _codes(MEASUREMENT_UNITS_CODE_SEQUENCE, unit)])
    sequence = DataElement(MEASURED_VALUE_SEQUENCE, "SQ", [measured])
    return _item("NUM", name, Relation.CONTAINS, sequence, *_content(children))


def image(
    name: Code, sop_class: str, sop_instance: str, relation: Relation, segments: Sequence[int] = ()
) -> Dataset:
    """Return a reference to an image.

    Args:
        name: What it is for.
        sop_class: SOP Class UID of the image.
        sop_instance: SOP Instance UID of the image.
        relation: To the item that holds this one.
        segments: Of a Segmentation those that are meant; none: the image as a whole.
    """
    parts = [
        DataElement(REFERENCED_SOP_CLASS_UID, "UI", str(sop_class)),
        DataElement(REFERENCED_SOP_INSTANCE_UID, "UI", str(sop_instance)),
    ]
    if segments:
        parts.append(DataElement(REFERENCED_SEGMENT_NUMBER, "US", list(segments)))
    return _item("IMAGE", name, relation, DataElement(REFERENCED_SOP_SEQUENCE, "SQ", [_of(parts)]))


def polyline(name: Code, coordinates: Sequence[float], source: Dataset) -> Dataset:
    """Return a line in an image.

    Args:
        name: What it is.
        coordinates: Column and row of each point, one after the other.
        source: The item that refers to the image.
    """
    graphic = DataElement(GRAPHIC_TYPE, "CS", "POLYLINE"), DataElement(GRAPHIC_DATA, "FL", list(coordinates))
    return _item("SCOORD", name, Relation.CONTAINS, *graphic, *_content([source]))


def container(
    name: Code, content: Sequence[Dataset], relation: Relation | None = Relation.CONTAINS, template: str = ""
) -> Dataset:
    """Return an item that holds others, and keeps them apart.

    Args:
        name: What it is.
        content: Its items.
        relation: To the item that holds this one; None for the root.
        template: Identifier of its template in PS3.16, if that is told.
    """
    parts = [DataElement(CONTINUITY_OF_CONTENT, "CS", SEPARATE), *_content(content)]
    if template:
        parts.append(_template(template))
    return _item("CONTAINER", name, relation, *parts)


def _item(value_type: str, name: Code, relation: Relation | None, *parts: DataElement) -> Dataset:
    common = [_word(VALUE_TYPE, value_type), _codes(CONCEPT_NAME_CODE_SEQUENCE, name)]
    if relation is not None:
        common.append(_word(RELATIONSHIP_TYPE, str(relation)))
    return _of([*common, *parts])


def _of(elements: Sequence[DataElement]) -> Dataset:
    return Dataset({element.tag: element for element in elements})


def _content(items: Sequence[Dataset]) -> list[DataElement]:
    return [DataElement(CONTENT_SEQUENCE, "SQ", list(items))] if items else []


@cache
def _word(tag: BaseTag, value: str) -> DataElement:
    return DataElement(tag, "CS", value)


@lru_cache(maxsize=4096)
def _codes(tag: BaseTag, code: Code) -> DataElement:
    return DataElement(tag, "SQ", [code_item(code)])


@cache
def _template(identifier: str) -> DataElement:
    resource, name = _word(MAPPING_RESOURCE, "DCMR"), _word(TEMPLATE_IDENTIFIER, identifier)
    return DataElement(CONTENT_TEMPLATE_SEQUENCE, "SQ", [_of([resource, name])])
