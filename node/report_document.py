"""The SR Document modules around a report's content (PS3.3 C.17.1 to C.17.3)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

from node.attributes import CONVERSION_ERRORS, extent
from node.identity import verbatim_item
from node.limits import MAX_COPIED_BYTES, MAX_COPIED_ELEMENTS

SEPARATE = "SEPARATE"
"""Continuity of Content: every item stands for itself, so that programs that show a report name each one."""


REQUEST_TYPE_2 = (
    *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
    *("RequestedProcedureID", "RequestedProcedureDescription"),
)
"""Text of a requested procedure that is there, even if empty (PS3.3 Table C.17-2)."""

REQUEST = frozenset(
    tag_for_keyword(word)
    for word in (
        *("SpecificCharacterSet", "StudyInstanceUID", "AccessionNumber", "RequestedProcedureCodeSequence"),
        *REQUEST_TYPE_2,
    )
)
"""Attributes of a requested procedure that come from the source as they are."""


@dataclass(frozen=True)
class Reference:
    """An object that a report refers to.

    Attributes:
        study_instance_uid: Its study.
        series_instance_uid: Its series.
        sop_class_uid: What it is.
        sop_instance_uid: Its identity.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str

    @classmethod
    def to(cls, dataset: Dataset) -> "Reference":
        """Return the reference to an object."""
        keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
        return cls(*(str(dataset.get(keyword)) for keyword in keywords))


def report_document(
    sop_class: UID, root: Dataset, evidence: Sequence[Reference], predecessor: Reference | None = None
) -> Dataset:
    """Return a complete, unverified, preliminary document without header.

    Args:
        sop_class: Comprehensive or Comprehensive 3D SR.
        root: The root content item; its containers are made to keep their items apart.
        evidence: Every object that the content refers to; all are of one study.
        predecessor: The document that this one supersedes.
    """
    for item in _containers(root):
        item.ContinuityOfContent = SEPARATE
    result = Dataset()
    result.SOPClassUID = sop_class
    for keyword in ("ValueType", "ConceptNameCodeSequence", "ContinuityOfContent", "ContentTemplateSequence"):
        setattr(result, keyword, root.get(keyword))
    result.ContentSequence = list(root.ContentSequence)
    result.ReferencedPerformedProcedureStepSequence = []
    result.PerformedProcedureCodeSequence = []
    result.CompletionFlag, result.VerificationFlag = "COMPLETE", "UNVERIFIED"
    result.PreliminaryFlag = "PRELIMINARY"
    result.CurrentRequestedProcedureEvidenceSequence = _by_study(evidence)
    if predecessor is not None:
        result.PredecessorDocumentsSequence = _by_study([predecessor])
    return result


def referenced_requests(source: Dataset, identity: Dataset) -> list[Dataset]:
    """Return the requested procedures that the source states, as a report names them (PS3.3 Table C.17-2).

    Args:
        source: The radiograph's attributes; what is malformed, absent or endless in it stays empty.
        identity: Its patient and study attributes; a request without accession number has the study's.
    """
    try:
        stated = list(source.get("RequestAttributesSequence") or [])
        elements, size = extent(stated)
        if elements > MAX_COPIED_ELEMENTS or size > MAX_COPIED_BYTES:
            return []
        return [_request(item, identity) for item in stated]
    except CONVERSION_ERRORS:
        return []


def _request(stated: Dataset, identity: Dataset) -> Dataset:
    request = verbatim_item(stated)
    for tag in list(request.keys()):
        if tag not in REQUEST:
            del request[tag]
    for keyword in REQUEST_TYPE_2:
        if keyword not in request:
            setattr(request, keyword, "")
    for keyword in ("StudyInstanceUID", "AccessionNumber"):
        if keyword not in request or not request.get_item(keyword).value:
            request[keyword] = identity.get_item(keyword)
    request.ReferencedStudySequence = []
    if "RequestedProcedureCodeSequence" not in request:
        request.RequestedProcedureCodeSequence = []
    return request


def _containers(item: Dataset) -> Iterator[Dataset]:
    if item.ValueType == "CONTAINER":
        yield item
    for child in item.get("ContentSequence") or []:
        yield from _containers(child)


def _by_study(references: Iterable[Reference]) -> list[Dataset]:
    """Return references as items of studies, series and instances (PS3.3 Table C.17-3a)."""
    tree: dict[str, dict[str, list[Reference]]] = {}
    for each in references:
        tree.setdefault(each.study_instance_uid, {}).setdefault(each.series_instance_uid, []).append(each)
    studies = []
    for study_uid, series_found in tree.items():
        study = Dataset()
        study.StudyInstanceUID = study_uid
        study.ReferencedSeriesSequence = [_series(uid, sops) for uid, sops in series_found.items()]
        studies.append(study)
    return studies


def _series(uid: str, references: Sequence[Reference]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = uid
    series.ReferencedSOPSequence = [_sop(each) for each in references]
    return series


def _sop(reference: Reference) -> Dataset:
    sop = Dataset()
    sop.ReferencedSOPClassUID = reference.sop_class_uid
    sop.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return sop
