"""From measurements to a Comprehensive (or 3D) SR document, TID 1500 "Measurement Report" (PS3.16).

Every measurement group (TID 1410) has its drawing, for OHIF 3.13 shows a black viewport if one has none. What
was not computed, what the picture shows and every remark stand in the template's Qualitative Evaluations.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from pydicom import Dataset

from ai.labels import Code, label
from ai.measurement import Finding, Measurement, Measurements
from node import codes
from node.codes import concept_of
from node.content_items import Relation, coded, image, number, polyline, text
from node.drawings import Figure, Points, figures
from node.report_frame import FINDING, ReportFrame, finding_sites
from node.result_header import REPORT

TITLE = "Chest measurements (AI)"

IMAGE_REGION = Code("111030", "DCM", "Image Region")
SOURCE = Code("260753009", "SCT", "Source")
DERIVATION = Code("121401", "DCM", "Derivation")


def write_report(frame: ReportFrame, measurements: Measurements) -> Dataset:
    """Return the report on a radiograph.

    Args:
        frame: What the report is about.
        measurements: What was measured.
    """
    groups = [_group(frame, figure) for figure in figures(measurements.computed)]
    return frame.document(REPORT, TITLE, groups, list(_remarks(frame, measurements)))


def _group(frame: ReportFrame, figure: Figure) -> Dataset:
    names = [measurement.name for measurement in figure.measurements] or figure.names
    structures = figure.measurements[0].structures if figure.measurements else ()
    finding = coded(FINDING, label(structures[0]).type if structures else codes.THORAX)
    told = [
        *(_number(frame, measurement) for measurement in figure.measurements),
        _region(frame, figure.points),
    ]
    uid = frame.uids(f"line {', '.join((*figure.names, *names))}")
    return frame.group(", ".join(names), uid, structures, [finding], told)


def _region(frame: ReportFrame, points: Points) -> Dataset:
    source, dataset = frame.source, frame.source.dataset
    stored = np.array([source.stored_point(point) for point in points], np.float64)
    inside = np.clip(stored, 0, (source.shape[1], source.shape[0]))
    shown = image(SOURCE, dataset.SOPClassUID, dataset.SOPInstanceUID, Relation.SELECTED_FROM)
    return polyline(IMAGE_REGION, inside.ravel().tolist(), shown)


def _number(frame: ReportFrame, measurement: Measurement) -> Dataset:
    derivation = codes.DERIVATIONS.get(measurement.name)
    children = [
        *([coded(DERIVATION, derivation, Relation.CONCEPT_MODIFIER)] if derivation else []),
        *finding_sites(measurement.structures),
        *frame.segments_measured(measurement.structures),
    ]
    name = concept_of(measurement.name, measurement.unit)
    return number(name, measurement.rounded, codes.UNITS[measurement.unit], children)


def _remarks(frame: ReportFrame, measurements: Measurements) -> Iterator[Dataset]:
    for missing in measurements.not_computed:
        yield text(codes.NOT_COMPUTED, f"{missing.name}: {missing.reason}")
    for measurement in measurements.computed:
        for remark in measurement.remarks:
            yield text(codes.LIMITATION, f"{measurement.name}: {remark}")
    yield from _answers(measurements.findings)
    for note in frame.source.radiograph.notes:
        yield text(codes.SOURCE_NOTE, note)
    for repair in frame.segmentation.repairs:
        yield text(codes.MASK_NOTE, repair)


def _answers(findings: Sequence[Finding]) -> Iterator[Dataset]:
    """Yield yes and no as codes (PS3.16 CID 230), and what could not be told in words."""
    for finding in findings:
        name = codes.FINDINGS.get(finding.name)
        if finding.holds is None or name is None:
            yield text(codes.FIELD, f"{finding.name}: {finding.text}")
        else:
            yield coded(name, codes.YES if finding.holds else codes.NO)
