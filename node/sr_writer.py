"""From measurements to a Comprehensive (or 3D) SR document, TID 1500 "Measurement Report" (PS3.16).

Every measurement group (TID 1410) has its drawing, for OHIF 3.13 shows a black viewport if one has none. What
was not computed, what the picture shows and every remark stand in the template's Qualitative Evaluations.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from highdicom.sr import (
    GraphicTypeValues,
    ImageRegion,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForRegion,
    TrackingIdentifier,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom import Dataset

from ai.labels import label
from ai.measurement import Finding, Measurement, Measurements
from node import codes
from node.codes import concept, concept_of
from node.drawings import Figure, Points, figures
from node.report_frame import Group, Remark, ReportFrame, code_content, finding_sites, text_item
from node.result_header import REPORT

TITLE = "Chest measurements (AI)"


def write_report(frame: ReportFrame, measurements: Measurements) -> Dataset:
    """Return the report on a radiograph.

    Args:
        frame: What the report is about.
        measurements: What was measured.
    """
    groups = [_group(frame, figure) for figure in figures(measurements.computed)]
    return frame.document(REPORT, TITLE, groups, list(_remarks(frame, measurements)))


def _group(frame: ReportFrame, figure: Figure) -> Group:
    names = [measurement.name for measurement in figure.measurements] or figure.names
    structures = figure.measurements[0].structures if figure.measurements else ()
    is_of_one = bool(structures) and not codes.OF_THE_THORAX.intersection(names)
    finding = label(structures[0]).type if is_of_one else codes.THORAX
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=frame.uids(f"line {', '.join((*figure.names, *names))}"), identifier=", ".join(names)
        ),
        referenced_region=_region(frame, figure.points),
        finding_type=concept(finding),
        finding_sites=finding_sites(structures),
        algorithm_id=frame.algorithm,
        measurements=[_number(frame, measurement) for measurement in figure.measurements],
    )


def _region(frame: ReportFrame, points: Points) -> ImageRegion:
    source = frame.source
    stored = np.array([source.stored_point(point) for point in points], np.float64)
    highest = (source.shape[1], source.shape[0])
    return ImageRegion(
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=np.clip(stored, 0, highest),
        source_image=SourceImageForRegion(source.dataset.SOPClassUID, source.dataset.SOPInstanceUID),
    )


def _number(frame: ReportFrame, measurement: Measurement) -> MeasurementItem:
    name = concept_of(measurement.name, measurement.unit)
    derivation = codes.DERIVATIONS.get(measurement.name)
    item = MeasurementItem(
        name=concept(name),
        value=measurement.rounded,
        unit=concept(codes.UNITS[measurement.unit]),
        derivation=concept(derivation) if derivation else None,
        finding_sites=finding_sites(measurement.structures),
    )
    for reference in frame.segments_measured(measurement.structures):
        item[0].ContentSequence.append(reference)
    return item


def _remarks(frame: ReportFrame, measurements: Measurements) -> Iterator[Remark]:
    for missing in measurements.not_computed:
        yield text_item(codes.NOT_COMPUTED, f"{missing.name}: {missing.reason}")
    for measurement in measurements.computed:
        for remark in measurement.remarks:
            yield text_item(codes.MEASUREMENT_NOTE, f"{measurement.name}: {remark}")
    yield from _answers(measurements.findings)
    for note in frame.source.radiograph.notes:
        yield text_item(codes.SOURCE_NOTE, note)
    for repair in frame.segmentation.repairs:
        yield text_item(codes.MASK_NOTE, repair)


def _answers(findings: Sequence[Finding]) -> Iterator[Remark]:
    """Yield yes and no as codes (PS3.16 CID 230), and what could not be told in words."""
    for finding in findings:
        name = codes.FINDINGS.get(finding.name)
        if finding.holds is None or name is None:
            yield text_item(codes.FIELD, f"{finding.name}: {finding.text}")
        else:
            yield code_content(name, codes.YES if finding.holds else codes.NO)
