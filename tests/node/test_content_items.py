"""Our content items beside those that highdicom makes."""

import highdicom.sr as hd
import numpy as np
import pytest
from highdicom.sr import RelationshipTypeValues as Theirs
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, SegmentationStorage

from ai.labels import Code
from node.content_items import Relation, coded, container, image, number, polyline, text, uid_reference

NAME, VALUE, UNIT = Code("1", "99TEST", "name"), Code("2", "99TEST", "value"), Code("mm", "UCUM", "mm")


def concept(code: Code) -> hd.CodedConcept:
    return hd.CodedConcept(code.value, code.scheme, code.meaning)


def with_content(item: Dataset, *children: Dataset) -> Dataset:
    whole = Dataset({element.tag: element for element in item})  # theirs takes nothing but its own
    whole.ContentSequence = list(children)
    return whole


SOURCE = image(NAME, DigitalXRayImageStorageForPresentation, "1.2.3", Relation.SELECTED_FROM)
MODIFIER = coded(VALUE, NAME, Relation.CONCEPT_MODIFIER)
PAIRS = {
    "text": (text(NAME, "words"), hd.TextContentItem(concept(NAME), "words", Theirs.CONTAINS)),
    "uid": (
        uid_reference(NAME, "1.2.3", Relation.CONTEXT),
        hd.UIDRefContentItem(concept(NAME), "1.2.3", Theirs.HAS_OBS_CONTEXT),
    ),
    "code": (coded(NAME, VALUE), hd.CodeContentItem(concept(NAME), concept(VALUE), Theirs.CONTAINS)),
    "site": (
        coded(NAME, VALUE, children=((VALUE, NAME),)),
        with_content(hd.CodeContentItem(concept(NAME), concept(VALUE), Theirs.CONTAINS), MODIFIER),
    ),
    "whole number": (
        number(NAME, 7, UNIT),
        hd.NumContentItem(concept(NAME), 7, concept(UNIT), None, Theirs.CONTAINS),
    ),
    "number": (
        number(NAME, 0.41, UNIT, [MODIFIER]),
        with_content(hd.NumContentItem(concept(NAME), 0.41, concept(UNIT), None, Theirs.CONTAINS), MODIFIER),
    ),
    "image": (
        SOURCE,
        hd.ImageContentItem(
            concept(NAME),
            DigitalXRayImageStorageForPresentation,
            "1.2.3",
            relationship_type=Theirs.SELECTED_FROM,
        ),
    ),
    "segments": (
        image(NAME, SegmentationStorage, "1.2.3", Relation.INFERRED_FROM, [2, 5]),
        hd.ImageContentItem(
            concept(NAME), SegmentationStorage, "1.2.3", None, [2, 5], relationship_type=Theirs.INFERRED_FROM
        ),
    ),
    "line": (
        polyline(NAME, [0.5, 1.5, 2.0, 3.0], SOURCE),
        with_content(
            hd.ScoordContentItem(
                concept(NAME),
                "POLYLINE",
                np.array([[0.5, 1.5], [2.0, 3.0]]),
                relationship_type=Theirs.CONTAINS,
            ),
            SOURCE,
        ),
    ),
    "container": (
        container(NAME, [MODIFIER], template="1410"),
        with_content(
            hd.ContainerContentItem(concept(NAME), False, "1410", relationship_type=Theirs.CONTAINS), MODIFIER
        ),
    ),
    "root": (container(NAME, [], None), hd.ContainerContentItem(concept(NAME), False)),
}


@pytest.mark.parametrize("form", PAIRS)
def test_items_are_those_that_highdicom_makes(form: str) -> None:
    ours, theirs = PAIRS[form]
    assert ours.to_json_dict() == theirs.to_json_dict()
    assert set(ours.keys()) == set(theirs.keys())


def test_what_every_report_says_is_made_once() -> None:
    assert coded(NAME, VALUE) is coded(NAME, VALUE)
