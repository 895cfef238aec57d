"""The second report: what is known of each segment that is sent. Nothing in it is drawn but the segments.

The profiles of viewers that cannot show a measurement group without a line of its own (OHIF 3.13: a black
viewport) leave it out.
"""

from collections.abc import Iterator

from pydicom import Dataset

from ai.availability import length_remarks
from ai.labels import Code, label
from ai.measure_area import SQUARE_MM_PER_SQUARE_CM
from ai.measurement import DIGITS, Unit
from ai.radiograph import Radiograph
from node import codes
from node.content_items import Relation, coded, image, number, text
from node.report_frame import FINDING, FINDING_CATEGORY, ReportFrame
from node.result_header import STRUCTURE_REPORT

TITLE = "Chest structures (AI)"

TRUST_DECIMALS = 2

SEGMENT = Code("121214", "DCM", "Referenced Segmentation Frame")
SOURCE_IMAGE = Code("121233", "DCM", "Source Image for Segmentation")


def write_structure_report(frame: ReportFrame) -> Dataset:
    """Return the report on the structures that are sent.

    Args:
        frame: What the report is about; at least one Segmentation is sent with it.
    """
    groups = [group for name in frame.segmentation.masks for group in _group(frame, name)]
    return frame.document(STRUCTURE_REPORT, TITLE, groups, list(_remarks(frame.source.radiograph)))


def _remarks(radiograph: Radiograph) -> Iterator[Dataset]:
    if radiograph.spacing is None:
        yield text(codes.NOT_COMPUTED, f"area: {radiograph.why_no_spacing}")
    for remark in length_remarks(radiograph):
        yield text(codes.LIMITATION, f"area: {remark}")


def _group(frame: ReportFrame, name: str) -> Iterator[Dataset]:
    """Yield the group of a structure; nothing for one that is not sent."""
    found, item = frame.segment(name), label(name)
    if found is None:
        return
    finding = [coded(FINDING_CATEGORY, item.category), coded(FINDING, item.type)]
    told = [*_numbers(frame, name), *_segment(frame, *found)]
    yield frame.group(name, frame.uids(f"structure {name}"), [name], finding, told)


def _segment(frame: ReportFrame, seg: Dataset, place: int) -> Iterator[Dataset]:
    """Yield the references to a segment, by its number alone, and to what it was made of."""
    yield image(SEGMENT, seg.SOPClassUID, seg.SOPInstanceUID, Relation.CONTAINS, [place])
    dataset = frame.source.dataset
    yield image(SOURCE_IMAGE, dataset.SOPClassUID, dataset.SOPInstanceUID, Relation.CONTAINS)


def _numbers(frame: ReportFrame, name: str) -> Iterator[Dataset]:
    pixels, spacing = frame.segmentation.masks[name].area, frame.source.radiograph.spacing
    if spacing is not None:
        area = pixels * spacing.row_mm * spacing.column_mm / SQUARE_MM_PER_SQUARE_CM
        unit = Unit.SQUARE_CENTIMETRE
        yield number(codes.AREA, round(area, DIGITS[unit]), codes.UNITS[unit])
    if trust := frame.segmentation.trust.get(name):
        yield number(codes.TRUST, round(trust.probability, TRUST_DECIMALS), codes.UNITS[Unit.RATIO])
