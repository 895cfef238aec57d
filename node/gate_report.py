"""Rules of reports (PS3.3 A.35, C.17; PS3.16 TID 1500), and what their viewers trip over."""

from collections.abc import Iterator

from pydicom import Dataset

from node.codes import MEASUREMENT_GROUP
from node.drawings import RECTANGLE_POINTS
from node.gate import Violation, missing, value_of

TYPE_1 = ("CompletionFlag", "VerificationFlag", "ContentSequence", "ContentDate", "ContentTime")
EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")


def report(dataset: Dataset) -> Iterator[Violation]:
    """Yield what is wrong with a report."""
    absent = list(missing(dataset, TYPE_1))
    yield from absent
    if absent:
        return
    if dataset.VerificationFlag != "UNVERIFIED":
        words = "Verification Flag is not UNVERIFIED, and nobody has verified it"
        yield Violation("SR-VERIFIED", words)
    for before in _references(value_of(dataset, "PredecessorDocumentsSequence") or []):
        if before.ReferencedSOPInstanceUID == dataset.SOPInstanceUID:
            yield Violation("SR-PREDECESSOR", "the report supersedes itself")
    evidence = {
        reference.ReferencedSOPInstanceUID
        for keyword in EVIDENCE
        for reference in _references(dataset.get(keyword) or [])
    }
    items = list(_content(dataset))
    yield from _drawings(items)
    for item in items:
        yield from _item(item, evidence)


def _references(studies: list[Dataset]) -> Iterator[Dataset]:
    for study in studies:
        for series in study.ReferencedSeriesSequence:
            yield from series.ReferencedSOPSequence


def _content(item: Dataset) -> Iterator[Dataset]:
    for child in value_of(item, "ContentSequence") or []:
        yield child
        yield from _content(child)


def _drawings(items: list[Dataset]) -> Iterator[Violation]:
    groups = [item for item in items if value_of(item, "ValueType") == "CONTAINER" and _is_group(item)]
    drawn = [
        any(value_of(child, "ValueType") == "SCOORD" for child in value_of(group, "ContentSequence") or [])
        for group in groups
    ]
    if any(drawn) and not all(drawn):
        yield Violation("SR-DRAWING", "a measurement group has no drawing, and others have one")
    if not any(drawn) and not all(_refers_to_segment(group) for group in groups):
        yield Violation("SR-DRAWING", "a measurement group has no drawing and no segment")


def _is_group(item: Dataset) -> bool:
    named = value_of(item, "ConceptNameCodeSequence")
    return bool(named) and named[0].get("CodeValue") == MEASUREMENT_GROUP.value


def _refers_to_segment(group: Dataset) -> bool:
    references = (
        reference
        for child in value_of(group, "ContentSequence") or []
        for reference in value_of(child, "ReferencedSOPSequence") or []
    )
    return any("ReferencedSegmentNumber" in reference for reference in references)


def _item(item: Dataset, evidence: set[str]) -> Iterator[Violation]:
    named = value_of(item, "ConceptNameCodeSequence")
    name = named[0].get("CodeMeaning", "item") if named else "item"
    if value_of(item, "ValueType") == "NUM":
        yield from _number(item, name)
    elif value_of(item, "ValueType") == "TEXT" and not value_of(item, "TextValue"):
        yield Violation("SR-VALUE", f"{name}: TextValue is missing or empty")
    elif value_of(item, "ValueType") == "SCOORD":
        yield from _coordinates(item, name)
    for reference in value_of(item, "ReferencedSOPSequence") or []:
        if reference.ReferencedSOPInstanceUID not in evidence:
            yield Violation("SR-EVIDENCE", f"{name} refers to an object that is not in the evidence")
        if "ReferencedFrameNumber" in reference and "ReferencedSegmentNumber" in reference:
            yield Violation("SR-REFERENCE", f"{name} refers to a frame and a segment at once")


def _number(item: Dataset, name: str) -> Iterator[Violation]:
    for value in value_of(item, "MeasuredValueSequence") or [Dataset()]:
        for found in missing(value, ("NumericValue", "MeasurementUnitsCodeSequence"), f"{name}: "):
            yield Violation("SR-VALUE", found.words)


def _coordinates(item: Dataset, name: str) -> Iterator[Violation]:
    data = [float(value) for value in value_of(item, "GraphicData") or []]
    if value_of(item, "GraphicType") == "POLYLINE" and len(data) // 2 in RECTANGLE_POINTS:
        yield Violation("SR-RECTANGLE", f"{name} has {len(data) // 2} points")
    if not data or min(data) < 0:
        yield Violation("SR-BOUNDS", f"{name} lies outside the image, or has no points")
