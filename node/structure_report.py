"""The second report: what is known of each segment that is sent. Nothing in it is drawn but the segments.

The profiles of viewers that cannot show a measurement group without a line of its own (OHIF 3.13: a black
viewport) leave it out.
"""

from collections.abc import Iterator, Mapping

from highdicom.sr import Measurement as MeasurementItem
from highdicom.sr import (
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegmentationFrame,
    SourceImageForSegmentation,
    TrackingIdentifier,
)
from pydicom import Dataset

from ai.availability import length_remarks
from ai.labels import Code, label
from ai.measure_area import areas
from ai.measurement import DIGITS, Unit
from node import codes
from node.codes import concept
from node.report_frame import Group, Remark, ReportFrame, finding_sites, text_item
from node.result_header import STRUCTURE_REPORT

TITLE = "Chest structures (AI)"

TRUST_DECIMALS = 2


def write_structure_report(frame: ReportFrame) -> Dataset:
    """Return the report on the structures that are sent.

    Args:
        frame: What the report is about; at least one Segmentation is sent with it.
    """
    sent = {name: where for name in frame.segmentation.masks if (where := frame.segment(name))}
    found = areas(frame.source.radiograph, frame.segmentation, sent)
    groups = [_group(frame, name, where, found[name]) for name, where in sent.items()]
    return frame.document(STRUCTURE_REPORT, TITLE, groups, list(_remarks(frame, found)))


def _remarks(frame: ReportFrame, found: Mapping[str, float | str]) -> Iterator[Remark]:
    """Yield each reason for which there is no area once, with the structures that it holds for."""
    without: dict[str, list[str]] = {}
    for name, area in found.items():
        if isinstance(area, str):
            without.setdefault(area, []).append(name)
    for reason, names in without.items():
        of_whom = "" if len(names) == len(found) else f" of {', '.join(names)}"
        yield text_item(codes.NOT_COMPUTED, f"area{of_whom}: {reason}")
    if any(not isinstance(area, str) for area in found.values()):
        for remark in length_remarks(frame.source.radiograph):
            yield text_item(codes.MEASUREMENT_NOTE, f"area: {remark}")


def _group(frame: ReportFrame, name: str, where: tuple[Dataset, int], area: float | str) -> Group:
    """Return the group of a structure: its Segmentation and segment, and what is known of it."""
    item = label(name)
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=frame.uids(f"structure {name}"), identifier=name),
        referenced_segment=_segment(frame, *where),
        finding_type=concept(item.type),
        finding_category=concept(item.category),
        finding_sites=finding_sites([name]),
        algorithm_id=frame.algorithm,
        measurements=list(_numbers(frame, name, area)),
    )


def _segment(frame: ReportFrame, seg: Dataset, number: int) -> ReferencedSegmentationFrame:
    """Return the reference to a segment: by its number alone, for frame and segment exclude each other."""
    dataset = frame.source.dataset
    source = SourceImageForSegmentation(dataset.SOPClassUID, dataset.SOPInstanceUID)
    reference = ReferencedSegmentationFrame(seg.SOPClassUID, seg.SOPInstanceUID, number, number, source)
    del reference[0].ReferencedSOPSequence[0].ReferencedFrameNumber
    return reference


def _numbers(frame: ReportFrame, name: str, area: float | str) -> Iterator[MeasurementItem]:
    if not isinstance(area, str):
        unit = Unit.SQUARE_CENTIMETRE
        yield _number(codes.AREA, round(area, DIGITS[unit]), codes.UNITS[unit])
    if trust := frame.segmentation.trust.get(name):
        yield _number(codes.TRUST, round(trust.probability, TRUST_DECIMALS), codes.UNITS[Unit.RATIO])


def _number(name: Code, value: float, unit: Code) -> MeasurementItem:
    return MeasurementItem(name=concept(name), value=value, unit=concept(unit))
