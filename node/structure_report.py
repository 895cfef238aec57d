"""The second report: what is known of each segment that is sent. Nothing in it is drawn but the segments.

The profiles of viewers that cannot show a measurement group without a line of its own (OHIF 3.13: a black
viewport) leave it out.
"""

from collections.abc import Iterator

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
from ai.measure_area import SQUARE_MM_PER_SQUARE_CM
from ai.measurement import DIGITS, Unit
from ai.radiograph import Radiograph
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
    groups = [group for name in frame.segmentation.masks for group in _group(frame, name)]
    return frame.document(STRUCTURE_REPORT, TITLE, groups, list(_remarks(frame.source.radiograph)))


def _remarks(radiograph: Radiograph) -> Iterator[Remark]:
    if radiograph.spacing is None:
        yield text_item(codes.NOT_COMPUTED, f"area: {radiograph.why_no_spacing}")
    for remark in length_remarks(radiograph):
        yield text_item(codes.MEASUREMENT_NOTE, f"area: {remark}")


def _group(frame: ReportFrame, name: str) -> Iterator[Group]:
    """Yield the group of a structure; nothing for one that is not sent."""
    found, item = frame.segment(name), label(name)
    if found is None:
        return
    yield PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=frame.uids(f"structure {name}"), identifier=name),
        referenced_segment=_segment(frame, *found),
        finding_type=concept(item.type),
        finding_category=concept(item.category),
        finding_sites=finding_sites([name]),
        algorithm_id=frame.algorithm,
        measurements=list(_numbers(frame, name)),
    )


def _segment(frame: ReportFrame, seg: Dataset, number: int) -> ReferencedSegmentationFrame:
    """Return the reference to a segment: by its number alone, for frame and segment exclude each other."""
    dataset = frame.source.dataset
    source = SourceImageForSegmentation(dataset.SOPClassUID, dataset.SOPInstanceUID)
    reference = ReferencedSegmentationFrame(seg.SOPClassUID, seg.SOPInstanceUID, number, number, source)
    del reference[0].ReferencedSOPSequence[0].ReferencedFrameNumber
    return reference


def _numbers(frame: ReportFrame, name: str) -> Iterator[MeasurementItem]:
    pixels, spacing = frame.segmentation.masks[name].area, frame.source.radiograph.spacing
    if spacing is not None:
        area = pixels * spacing.row_mm * spacing.column_mm / SQUARE_MM_PER_SQUARE_CM
        unit = Unit.SQUARE_CENTIMETRE
        yield _number(codes.AREA, round(area, DIGITS[unit]), codes.UNITS[unit])
    if trust := frame.segmentation.trust.get(name):
        yield _number(codes.TRUST, round(trust.probability, TRUST_DECIMALS), codes.UNITS[Unit.RATIO])


def _number(name: Code, value: float, unit: Code) -> MeasurementItem:
    return MeasurementItem(name=concept(name), value=value, unit=concept(unit))
