"""The last look at a result: what the Standard requires, and what viewers trip over. Nothing else leaves.

These checks are fast and ours; tests hold them against dciodvfy where it is installed.
"""

import re
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.encaps import generate_frames
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from node.attributes import CONVERSION_ERRORS
from node.errors import ResultError

_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")

TYPE_1 = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "InstanceNumber"),
    *("SeriesNumber", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
    *("ContentDate", "ContentTime"),
)
TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""Attributes of every composite object: present with a value, and present (PS3.3 A.51.3, A.35.13.3)."""

OWN_UIDS = ("SOPInstanceUID", "SeriesInstanceUID")
"""Made by us; those of the source may break a rule and are copied all the same."""

SEG_TYPE_1 = (
    *("ImageType", "ContentLabel", "Rows", "Columns", "BitsAllocated", "NumberOfFrames", "SegmentationType"),
    *("LossyImageCompression", "DimensionOrganizationSequence", "DimensionIndexSequence", "SegmentSequence"),
    *("ReferencedSeriesSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    "PixelData",
)
SEGMENT_TYPE_1 = (
    *("SegmentNumber", "SegmentLabel", "SegmentAlgorithmType", "SegmentAlgorithmName", "TrackingID"),
    *("TrackingUID", "SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"),
    "RecommendedDisplayCIELabValue",
)
MAX_LO = 64
"""Characters of a Long String (PS3.5 Table 6.2-1)."""


def check_conformance(result: Dataset) -> None:
    """Raise if a result must not leave.

    Raises:
        ResultError: Naming the rules that it breaks.
    """
    broken = violations(result)
    if broken:
        more = f" (and {len(broken) - 3} more)" if len(broken) > 3 else ""
        raise ResultError(
            f"the {result.get('Modality', 'result')} does not conform: {'; '.join(broken[:3])}{more}"
        )


def violations(dataset: Dataset) -> list[str]:
    """Return what is wrong with a Segmentation or a report, one sentence each; empty if nothing is."""
    found = list(_general(dataset))
    by_class = {SegmentationStorage: _segmentation, Comprehensive3DSRStorage: _report}
    checks = by_class.get(dataset.get("SOPClassUID"))
    if checks is None:
        return [*found, "SOP Class UID is neither Segmentation nor Comprehensive 3D SR"]
    if found:
        return found
    return [*checks(dataset), *_encodes(dataset)]


def _general(dataset: Dataset) -> Iterator[str]:
    yield from _missing(dataset, TYPE_1)
    yield from (f"{keyword} is missing" for keyword in TYPE_2 if keyword not in dataset)
    bad = (keyword for keyword in OWN_UIDS if not _is_uid(str(dataset.get(keyword))))
    yield from (f"{keyword} is no valid UID" for keyword in bad)
    meta = getattr(dataset, "file_meta", Dataset())
    if meta.get("MediaStorageSOPInstanceUID") != dataset.get("SOPInstanceUID"):
        yield "the file meta information names another SOP Instance UID"
    if not meta.get("TransferSyntaxUID"):
        yield "the file meta information names no transfer syntax"


def _is_uid(value: str) -> bool:
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def _missing(dataset: Dataset, keywords: tuple[str, ...], where: str = "") -> Iterator[str]:
    for keyword in keywords:
        if dataset.get(keyword) in (None, "", b"", []):
            yield f"{where}{keyword} is missing or empty"


def _encodes(dataset: Dataset) -> Iterator[str]:
    header = Dataset()
    header.update({tag: dataset.get_item(tag) for tag in dataset.keys() if tag != 0x7FE00010})  # noqa: SIM118
    try:
        dcmwrite(BytesIO(), header, implicit_vr=False, little_endian=True)
    except CONVERSION_ERRORS as exc:
        yield f"it cannot be encoded ({type(exc).__name__})"


def _segmentation(seg: Dataset) -> Iterator[str]:
    missing = list(_missing(seg, SEG_TYPE_1))
    yield from missing
    if missing:
        return
    yield from _segments(seg)
    yield from _frames(seg)
    yield from _pixels(seg)
    yield from _geometry(seg)


def _segments(seg: Dataset) -> Iterator[str]:
    numbers = [segment.get("SegmentNumber") for segment in seg.SegmentSequence]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "Segment Numbers do not run from 1 without a gap"
    for segment in seg.SegmentSequence:
        where = f"segment {segment.get('SegmentNumber')}: "
        yield from _missing(segment, SEGMENT_TYPE_1, where)
        if len(segment.get("SegmentLabel", "")) > MAX_LO:
            yield f"{where}SegmentLabel is longer than {MAX_LO} characters"
        for keyword in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"):
            for code in segment.get(keyword) or []:
                yield from _missing(code, ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), where)


def _frames(seg: Dataset) -> Iterator[str]:
    frames = seg.PerFrameFunctionalGroupsSequence
    if len(frames) != seg.NumberOfFrames:
        yield f"Number of Frames {seg.NumberOfFrames} differs from {len(frames)} per-frame items"
    shown = {frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in frames}
    if shown != {segment.SegmentNumber for segment in seg.SegmentSequence}:
        yield "segments and frames do not correspond: OHIF hangs on an empty segment"
    if not all(frame.get("DerivationImageSequence") for frame in frames):
        yield "a frame does not name its source image (Derivation Image Sequence)"


def _pixels(seg: Dataset) -> Iterator[str]:
    if seg.file_meta.TransferSyntaxUID.is_encapsulated:
        yield from _encapsulated_pixels(seg)
        return
    pixels_per_frame = seg.Rows * seg.Columns
    if seg.BitsAllocated == 1 and seg.NumberOfFrames > 1 and pixels_per_frame % 8:
        yield "frames of one bit a pixel do not begin with a byte: OHIF draws them shifted"
        return
    frame_bytes = -(-pixels_per_frame * seg.BitsAllocated // 8)
    wanted = frame_bytes * seg.NumberOfFrames
    if len(seg.PixelData) != wanted + wanted % 2:
        yield f"Pixel Data has {len(seg.PixelData)} bytes, {wanted + wanted % 2} belong there"
        return
    data = np.frombuffer(seg.PixelData, np.uint8, wanted).reshape(seg.NumberOfFrames, frame_bytes)
    yield from (f"frame {index + 1} is empty" for index in np.flatnonzero(~data.any(axis=1)))


def _encapsulated_pixels(seg: Dataset) -> Iterator[str]:
    if seg.BitsAllocated == 1:
        yield "one bit a pixel is encapsulated: Orthanc breaks down on it"
    try:
        frames = sum(1 for _ in generate_frames(seg.PixelData, number_of_frames=seg.NumberOfFrames))
    except CONVERSION_ERRORS:
        frames = 0
    if frames != seg.NumberOfFrames:
        yield f"Pixel Data holds {frames} frames, not {seg.NumberOfFrames}"


def _geometry(seg: Dataset) -> Iterator[str]:
    shared = seg.SharedFunctionalGroupsSequence[0]
    orientation = shared.get("PlaneOrientationSequence")
    if orientation and "FrameOfReferenceUID" not in seg:
        stated = [float(value) for value in orientation[0].ImageOrientationPatient]
        if stated != [1, 0, 0, 0, 1, 0]:
            yield "an orientation in space is stated that the source does not have"
    series = seg.ReferencedSeriesSequence[0]
    yield from _missing(series, ("SeriesInstanceUID", "ReferencedInstanceSequence"), "referenced series: ")


def _report(report: Dataset) -> Iterator[str]:
    missing = list(_missing(report, ("CompletionFlag", "VerificationFlag", "ContentSequence")))
    yield from missing
    if missing:
        return
    if report.VerificationFlag != "UNVERIFIED":
        yield "Verification Flag is not UNVERIFIED, and nobody has verified it"
    evidence = set(_evidence(report))
    for item in _content(report):
        yield from _content_item(item, evidence)


def _content(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence") or []:
        yield child
        yield from _content(child)


def _content_item(item: Dataset, evidence: set[str]) -> Iterator[str]:
    named = item.get("ConceptNameCodeSequence")
    name = named[0].CodeMeaning if named else "item"
    if item.ValueType == "CONTAINER" and name == "Measurement Group":
        if not any(child.ValueType == "SCOORD" for child in item.get("ContentSequence") or []):
            yield "a measurement group has no drawing: OHIF shows a black viewport"
    elif item.ValueType == "NUM":
        for value in item.get("MeasuredValueSequence") or [Dataset()]:
            yield from _missing(value, ("NumericValue", "MeasurementUnitsCodeSequence"), f"{name}: ")
    elif item.ValueType == "TEXT":
        yield from _missing(item, ("TextValue",), f"{name}: ")
    yield from _references(item, name, evidence)


def _references(item: Dataset, name: str, evidence: set[str]) -> Iterator[str]:
    for reference in item.get("ReferencedSOPSequence") or []:
        if reference.ReferencedSOPInstanceUID not in evidence:
            yield f"{name} refers to an object that is not in the evidence"
        if "ReferencedFrameNumber" in reference and "ReferencedSegmentNumber" in reference:
            yield f"{name} refers to a frame and a segment at once"


def _evidence(report: Dataset) -> Iterator[str]:
    for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for study in report.get(keyword) or []:
            for series in study.ReferencedSeriesSequence:
                yield from (sop.ReferencedSOPInstanceUID for sop in series.ReferencedSOPSequence)
