"""What rules find in an image, and how it compares: everything that docs/rules.md says of values."""

from typing import Any

import pytest
from pydicom import DataElement, Dataset

from config.conditions import Condition
from node.rule_facts import PRESENT, Titles, found_in, holds

CR = "1.2.840.10008.5.1.4.1.1.1"
TITLES = Titles("CR1", "PAXNODE")


def condition(attribute: str, **operator: Any) -> Condition:
    return Condition.model_validate({"attribute": attribute, **operator})


def is_so(header: Dataset, attribute: str, **operator: Any) -> bool:
    wanted = condition(attribute, **operator)
    return holds(wanted, found_in(header, TITLES, wanted.subject))


def header(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def region(*codes: str) -> Dataset:
    return header(AnatomicRegionSequence=[header(CodeValue=code, CodeMeaning="Chest") for code in codes])


@pytest.mark.parametrize(
    ("dataset", "attribute", "operator", "expected"),
    [
        # text: case and blanks around do not count, blanks inside do
        (header(BodyPartExamined=" Chest "), "BodyPartExamined", {"is": "chest"}, True),
        (header(StationName="ROOM 1"), "StationName", {"is": "ROOM  1"}, False),
        (header(StationName="ROOM 1"), "StationName", {"contains": "om"}, True),
        (header(StationName="ROOM 1"), "StationName", {"begins_with": "room"}, True),
        (header(StationName="ROOM 1"), "StationName", {"begins_with": "1"}, False),
        (header(StationName="ROOM 1"), "StationName", {"matches": r"room \d"}, True),
        (header(StationName="ROOM 12"), "StationName", {"matches": r"room \d"}, False),
        (header(StationName="ROOM D"), "StationName", {"matches": r"ROOM \D"}, True),
        (header(StudyDescription="x" * 65), "StudyDescription", {"matches": "x*"}, False),
        # AE titles and UIDs: exact
        (header(StationAETitle="CR1"), "StationAETitle", {"is": "cr1"}, False),
        (header(StationAETitle="CR1 "), "StationAETitle", {"is": "CR1"}, True),
        (header(), "calling_ae_title", {"is": "CR1"}, True),
        (header(), "calling_ae_title", {"is": "cr1"}, False),
        (header(), "called_ae_title", {"one_of": ["AI", "PAXNODE"]}, True),
        # several values: one that fits is enough, and negated none may
        (header(ImageType=["DERIVED", "SECONDARY"]), "ImageType", {"is": "SECONDARY"}, True),
        (header(ImageType=["DERIVED", "SECONDARY"]), "ImageType", {"is_not": "SECONDARY"}, False),
        (header(ImageType=["DERIVED", "SECONDARY"]), "ImageType", {"is_not": "PRIMARY"}, True),
        (header(ImageType=["DERIVED", "SECONDARY"]), "ImageType", {"none_of": ["PRIMARY", "DERIVED"]}, False),
        # missing, empty
        (header(), "Modality", {"is": "DX"}, False),
        (header(), "Modality", {"is_not": "DX"}, True),
        (header(), "Modality", {"none_of": ["DX"]}, True),
        (header(Modality=""), "Modality", {"exists": True}, False),
        (header(Modality=" "), "Modality", {"exists": False}, True),
        (header(Modality="DX"), "Modality", {"exists": True}, True),
        (header(), "Rows", {"below": 10}, False),
        # numbers
        (header(Rows=512), "Rows", {"below": 513}, True),
        (header(Rows=512), "Rows", {"at_least": 512}, True),
        (header(KVP="120.0"), "KVP", {"is": 120}, True),
        (header(KVP="120.5"), "KVP", {"one_of": [120, 121]}, False),
        # dates
        (header(StudyDate="20250131"), "StudyDate", {"is": "2025-01-31"}, True),
        (header(StudyDate="20250131"), "StudyDate", {"below": "2025-02-01"}, True),
        (header(StudyDate="20250131"), "StudyDate", {"at_least": "20250201"}, False),
        (header(StudyDate="31.01.2025"), "StudyDate", {"at_least": "19000101"}, False),
        # nested: any item
        (region("1", "51185008"), "AnatomicRegionSequence.CodeValue", {"is": "51185008"}, True),
        (region("1", "51185008"), "AnatomicRegionSequence.CodeValue", {"is_not": "51185008"}, False),
        (region(), "AnatomicRegionSequence.CodeValue", {"exists": True}, False),
        (region("1"), "AnatomicRegionSequence", {"exists": True}, True),
        (region(), "AnatomicRegionSequence", {"exists": True}, False),
        # what is no attribute
        (header(ViewPosition="LL"), "view", {"is": "ll"}, True),
        (header(ViewPosition="LLD"), "view", {"is": "LLD"}, True),
        (header(PatientPosition="AP"), "view", {"is": "AP"}, True),
        (header(), "view", {"exists": False}, True),
        (header(StationName="R1"), "station", {"is": "r1"}, True),
        (header(BodyPartExamined="CHEST"), "body_part", {"is": "chest"}, True),
        (region("51185008"), "body_part", {"is": "chest"}, True),
        (header(PatientAge="014Y"), "age_years", {"below": 16}, True),
        (header(PatientAge="018M"), "age_years", {"at_least": 1.5}, True),
        (header(PatientAge="000Y"), "age_years", {"exists": True}, False),
        (header(PatientBirthDate="20000301", StudyDate="20160229"), "age_years", {"is": 15}, True),
        (header(PatientBirthDate="20260301", StudyDate="20160229"), "age_years", {"exists": True}, False),
        (header(SOPClassUID=CR), "sop_class", {"is": "ComputedRadiographyImageStorage"}, True),
        (header(SOPClassUID=CR), "sop_class", {"begins_with": "Computed Radio"}, True),
        (header(SOPClassUID=CR), "sop_class", {"is": CR}, True),
    ],
)  # fmt: skip
def test_a_value_compares_as_the_page_says(
    dataset: Dataset, attribute: str, operator: dict[str, Any], expected: bool
) -> None:
    assert is_so(dataset, attribute, **operator) is expected


def test_what_is_malformed_counts_as_missing() -> None:
    dataset = Dataset()
    dataset.add(DataElement("Rows", "LO", "many"))
    dataset.add(DataElement("AnatomicRegionSequence", "LO", "no sequence"))

    assert not is_so(dataset, "Rows", below=10_000)
    assert not is_so(dataset, "AnatomicRegionSequence.CodeValue", exists=True)


def test_values_without_a_form_to_show_are_only_said_to_be_there() -> None:
    dataset = header(AnatomicRegionSequence=[header(CodeValue="1")])

    assert found_in(dataset, TITLES, condition("AnatomicRegionSequence", exists=True).subject) == (PRESENT,)
