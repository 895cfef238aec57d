"""From measurements to a Comprehensive 3D SR document, TID 1500 "Measurement Report" (PS3.16).

Every measurement group (TID 1410) has its drawing, for OHIF 3.13 shows a black viewport if one has none. What
was not computed, what the picture shows and every remark stand as text in the Qualitative Evaluations
container of the template.
"""

from collections.abc import Iterator

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues,
    ImageContentItem,
    ImageRegion,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    RelationshipTypeValues,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard_codes

from ai.labels import Code, label
from ai.measurement import Measurement, Measurements
from ai.segmentation import Segmentation
from node import codes
from node.codes import concept, concept_of
from node.drawings import Figure, Points, figures
from node.identity import PATIENT_TYPE_2, STUDY_TYPE_2, UidMaker
from node.options import OutputOptions
from node.reader import Source
from node.result_header import (
    MANUFACTURER,
    model_version,
    software_version,
    uids_of,
    write_file_meta,
    write_header,
)

DEVICE_KIND = "device"

PLACEHOLDER = Figure(((0.0, 0.0), (1.0, 1.0)), ["nothing"])
"""For highdicom, which builds no report without a measurement group; it is taken out again."""


def write_report(
    source: Source,
    segmentation: Segmentation,
    measurements: Measurements,
    seg: Dataset | None,
    options: OutputOptions,
) -> Dataset:
    """Return the report on a radiograph.

    Args:
        source: The radiograph.
        segmentation: What was found in it.
        measurements: What was measured.
        seg: The Segmentation that is sent with the report, or None: then nothing refers to segments.
        options: What is written, and how.
    """
    writer = _ReportWriter(source, segmentation, seg, uids_of(source, segmentation.model, options))
    result = writer.document(measurements, options)
    write_header(result, "SR", source, segmentation.model, options)
    result.SeriesDescription = "Chest measurements (AI)"
    codes.write_coding_schemes(result)
    write_file_meta(result)
    return result


class _ReportWriter:
    def __init__(
        self, source: Source, segmentation: Segmentation, seg: Dataset | None, uids: UidMaker
    ) -> None:
        self._source = source
        self._segmentation = segmentation
        self._seg = seg
        self._uids = uids
        self._algorithm = AlgorithmIdentification(
            name=segmentation.model.id, version=model_version(segmentation.model)
        )

    def document(self, measurements: Measurements, options: OutputOptions) -> Dataset:
        evidence = [_evidence(self._source.dataset), *([_evidence(self._seg)] if self._seg else [])]
        report = self._content(figures(measurements.computed))
        remarks = list(self._remarks(measurements))
        if remarks:
            report[0].ContentSequence.append(_qualitative_evaluations(remarks))
        return Comprehensive3DSR(
            evidence=evidence,
            content=report,
            series_instance_uid=self._uids("SR series"),
            series_number=options.series_number_base + 1,
            sop_instance_uid=self._uids("SR"),
            instance_number=1,
            manufacturer=MANUFACTURER,
            is_complete=True,
            is_verified=False,
        )

    def _content(self, drawn: list[Figure]) -> MeasurementReport:
        report = MeasurementReport(
            observation_context=self._observer(),
            procedure_reported=concept(codes.PROCEDURE_REPORTED),
            imaging_measurements=[self._group(figure) for figure in drawn or [PLACEHOLDER]],
            title=concept(codes.REPORT_TITLE),
        )
        if not drawn:
            _remove_measurements(report[0])
        return report

    def _observer(self) -> ObservationContext:
        """Return who observed: one device for all images that a model was run on."""
        model = self._segmentation.model
        device = DeviceObserverIdentifyingAttributes(
            uid=self._uids.of_model(DEVICE_KIND),
            name=f"paxnode {software_version()}",
            manufacturer_name=MANUFACTURER,
            model_name=f"{model.id} {model_version(model)}",
            serial_number=model.sha256[:16],
        )
        return ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=standard_codes.DCM.Device, observer_identifying_attributes=device
            )
        )

    def _group(self, figure: Figure) -> PlanarROIMeasurementsAndQualitativeEvaluations:
        names = [measurement.name for measurement in figure.measurements] or figure.names
        structures = figure.measurements[0].structures if figure.measurements else ()
        finding = label(structures[0]).type if structures else codes.THORAX
        return PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(
                uid=self._uids(f"line {', '.join((*figure.names, *names))}"), identifier=", ".join(names)
            ),
            referenced_region=self._region(figure.points),
            finding_type=concept(finding),
            finding_sites=_finding_sites(structures),
            algorithm_id=self._algorithm,
            measurements=[self._number(measurement) for measurement in figure.measurements],
        )

    def _region(self, points: Points) -> ImageRegion:
        stored = np.array([self._source.stored_point(point) for point in points], np.float64)
        highest = (self._source.shape[1], self._source.shape[0])
        dataset = self._source.dataset
        return ImageRegion(
            graphic_type=GraphicTypeValues.POLYLINE,
            graphic_data=np.clip(stored, 0, highest),
            source_image=SourceImageForRegion(dataset.SOPClassUID, dataset.SOPInstanceUID),
        )

    def _number(self, measurement: Measurement) -> MeasurementItem:
        name = concept_of(measurement.name, measurement.unit)
        derivation = codes.DERIVATIONS.get(measurement.name)
        item = MeasurementItem(
            name=concept(name),
            value=measurement.rounded,
            unit=concept(codes.UNITS[measurement.unit]),
            derivation=concept(derivation) if derivation else None,
            finding_sites=_finding_sites(measurement.structures),
        )
        numbers = self._segment_numbers(measurement.structures)
        if numbers and self._seg:
            item[0].ContentSequence.append(_segments_measured(self._seg, numbers))
        return item

    def _segment_numbers(self, structures: tuple[str, ...]) -> list[int]:
        if self._seg is None:
            return []
        by_name = {segment.SegmentLabel: segment.SegmentNumber for segment in self._seg.SegmentSequence}
        return [by_name[name] for name in structures if name in by_name]

    def _remarks(self, measurements: Measurements) -> Iterator[TextContentItem]:
        for missing in measurements.not_computed:
            yield _text(codes.NOT_COMPUTED, f"{missing.name}: {missing.reason}")
        for measurement in measurements.computed:
            for remark in measurement.remarks:
                yield _text(codes.LIMITATION, f"{measurement.name}: {remark}")
        for finding in measurements.findings:
            yield _text(codes.FIELD, f"{finding.name}: {finding.text}")
        for note in self._source.radiograph.notes:
            yield _text(codes.SOURCE_NOTE, note)
        for repair in self._segmentation.repairs:
            yield _text(codes.MASK_NOTE, repair)


def _evidence(dataset: Dataset) -> Dataset:
    """Return what highdicom needs of an object to refer to it; the identity is written afterwards."""
    evidence = Dataset()
    for keyword in (*PATIENT_TYPE_2, *STUDY_TYPE_2):
        setattr(evidence, keyword, "")
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(evidence, keyword, str(dataset.get(keyword)))
    return evidence


def _remove_measurements(root: Dataset) -> None:
    """Take out Imaging Measurements: a report may consist of remarks alone (PS3.16 TID 1500)."""
    name = codes.IMAGING_MEASUREMENTS.value
    kept = [item for item in root.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue != name]
    root.ContentSequence = ContentSequence(kept)


def _finding_sites(structures: list[str] | tuple[str, ...]) -> list[FindingSite]:
    sites: dict[tuple[Code, Code | None, Code | None], FindingSite] = {}
    for name in structures:
        item = label(name)
        key = (item.type, codes.side_of(item), codes.part_of(item))
        side, part = (concept(code) if code else None for code in key[1:])
        sites[key] = FindingSite(concept(item.type), laterality=side, topographical_modifier=part)
    return list(sites.values())


def _segments_measured(seg: Dataset, numbers: list[int]) -> ImageContentItem:
    return ImageContentItem(
        name=concept(codes.SOURCE_OF_MEASUREMENT),
        referenced_sop_class_uid=seg.SOPClassUID,
        referenced_sop_instance_uid=seg.SOPInstanceUID,
        referenced_segment_numbers=numbers,
        relationship_type=RelationshipTypeValues.INFERRED_FROM,
    )


def _text(name: Code, value: str) -> TextContentItem:
    return TextContentItem(concept(name), value, RelationshipTypeValues.CONTAINS)


def _qualitative_evaluations(items: list[TextContentItem]) -> ContainerContentItem:
    container = ContainerContentItem(
        concept(codes.QUALITATIVE_EVALUATIONS), relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = ContentSequence(items)
    return container
