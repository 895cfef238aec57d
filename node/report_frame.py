"""What our reports have in common: observer, evidence, references, remarks (PS3.16 TID 1500)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageContentItem,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    RelationshipTypeValues,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard_codes
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from ai.labels import Code, label
from ai.segmentation import ModelIdentity, Segmentation
from node import codes
from node.codes import concept
from node.contexts import LABEL_MAP_STORAGE
from node.identity import UidMaker
from node.options import OutputOptions
from node.reader import Source
from node.report_document import Reference, referenced_requests, report_document
from node.result_header import (
    MANUFACTURER,
    ResultKind,
    model_version,
    software_version,
    uids_of,
    write_file_meta,
    write_header,
)

DEVICE_KIND = "device"

Group = PlanarROIMeasurementsAndQualitativeEvaluations
Remark = TextContentItem | CodeContentItem

CLASSES = {"comprehensive-3d": Comprehensive3DSRStorage, "comprehensive": ComprehensiveSRStorage}
"""The SOP class of a report by the option `report`."""


@dataclass(frozen=True)
class Predecessor:
    """A report of the same kind on the same radiograph that an earlier model or configuration made.

    Attributes:
        kind: `str(ResultKind)` of it.
        sop_class_uid: What it is.
        sop_instance_uid: Its identity.
        series_instance_uid: Its series, in the study of the radiograph.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str

    def reference(self, study_instance_uid: str) -> Reference:
        """Return the reference to it, given the study of the radiograph."""
        return Reference(
            study_instance_uid, self.series_instance_uid, self.sop_class_uid, self.sop_instance_uid
        )


class ReportFrame:
    """Makes the parts of a report that do not depend on what it reports.

    Args:
        source: The radiograph.
        segmentation: What was found in it.
        segs: The Segmentations that are sent with the report.
        options: What is written, and how.
        predecessors: Reports that were made of the radiograph before, the oldest first.
    """

    def __init__(
        self,
        source: Source,
        segmentation: Segmentation,
        segs: Sequence[Dataset],
        options: OutputOptions,
        predecessors: Sequence[Predecessor] = (),
    ) -> None:
        self.source = source
        self.segmentation = segmentation
        self._segs = segs
        self._options = options
        self._predecessors = predecessors
        self.uids: UidMaker = uids_of(source, segmentation.model, options)
        self.algorithm = AlgorithmIdentification(
            name=segmentation.model.id, version=model_version(segmentation.model)
        )

    def document(
        self, kind: ResultKind, title: str, groups: Sequence[Group], remarks: Sequence[Remark]
    ) -> Dataset:
        """Return a report, finished.

        Args:
            kind: Which of the radiograph's reports.
            title: Series Description.
            groups: Measurement groups; without any, the report consists of its remarks.
            remarks: Items for Qualitative Evaluations.
        """
        content = MeasurementReport(
            observation_context=self._observer(),
            procedure_reported=concept(codes.PROCEDURE_REPORTED),
            imaging_measurements=list(groups) or [self._placeholder()],
            title=concept(codes.REPORT_TITLE),
        )
        if not groups:
            _remove_measurements(content[0])
        if remarks:
            content[0].ContentSequence.append(_qualitative_evaluations(remarks))
        before = self._superseded(kind)
        result = report_document(
            CLASSES.get(self._options.report, Comprehensive3DSRStorage),
            content[0],
            [Reference.to(dataset) for dataset in (self.source.dataset, *self._segs)],
            before.reference(str(self.source.dataset.StudyInstanceUID)) if before else None,
        )
        model = self.segmentation.model
        write_header(result, kind, self.source, model, self._options)
        if before:
            result.SOPInstanceUID = self.uids(f"{kind} after {before.sop_instance_uid}")
        result.SeriesDescription = title
        if requests := referenced_requests(self.source.dataset, self.source.identity):
            result.ReferencedRequestSequence = requests
        codes.write_coding_schemes(result)
        write_file_meta(result)
        return result

    def _placeholder(self) -> MeasurementsAndQualitativeEvaluations:
        """Return a group for highdicom, which builds no report without one; it is taken out again."""
        identifier = TrackingIdentifier(uid=self.uids("nothing"), identifier="nothing")
        return MeasurementsAndQualitativeEvaluations(tracking_identifier=identifier)

    def _superseded(self, kind: ResultKind) -> Predecessor | None:
        """Return the latest report of this kind that another model or configuration made.

        So the same model and configuration again give the same report, and going back to an earlier model
        gives one that supersedes that of the later.
        """
        own = self.uids(f"{kind} series")
        others = [report for report in self._predecessors if report.series_instance_uid != own]
        return next((report for report in reversed(others) if report.kind == str(kind)), None)

    def _observer(self) -> ObservationContext:
        """Return who observed, TID 1002 and 1004: one device for all images that a model was run on."""
        model = self.segmentation.model
        device = DeviceObserverIdentifyingAttributes(
            uid=self.uids.of_model(DEVICE_KIND),
            name=f"paxnode {software_version()}",
            manufacturer_name=MANUFACTURER,
            model_name=_model_name(model),
            serial_number=model.sha256[:16],
        )
        return ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=standard_codes.DCM.Device, observer_identifying_attributes=device
            )
        )

    def segments_measured(self, structures: Iterable[str]) -> list[ImageContentItem]:
        """Return references to the segments of structures, one for each Segmentation that holds some.

        Label maps are left out, and stand in the evidence alone: DCMTK 3.6.7 refuses a report of which an
        item refers to one, and dciodvfy does not know that they have segments.
        """
        wanted = set(structures)
        items = []
        for seg in self._segs:
            if seg.SOPClassUID == LABEL_MAP_STORAGE:
                continue
            numbers = [int(s.SegmentNumber) for s in seg.SegmentSequence if s.SegmentLabel in wanted]
            if numbers:
                items.append(_segments_measured(seg, numbers))
        return items

    def segment(self, structure: str) -> tuple[Dataset, int] | None:
        """Return the Segmentation that holds a structure, and its segment's number there."""
        for seg in self._segs:
            for segment in seg.SegmentSequence:
                if segment.SegmentLabel == structure:
                    return seg, int(segment.SegmentNumber)
        return None


def _model_name(model: ModelIdentity) -> str:
    return f"{model.id} {model_version(model)}"


def _remove_measurements(root: Dataset) -> None:
    """Take out Imaging Measurements: a report may consist of remarks alone (PS3.16 TID 1500)."""
    name = codes.IMAGING_MEASUREMENTS.value
    kept = [item for item in root.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue != name]
    root.ContentSequence = ContentSequence(kept)


def finding_sites(structures: Iterable[str]) -> list[FindingSite]:
    """Return where structures lie, each site once, with side and part."""
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


def text_item(name: Code, value: str) -> TextContentItem:
    """Return a remark in words."""
    return TextContentItem(concept(name), value, RelationshipTypeValues.CONTAINS)


def code_content(name: Code, value: Code) -> CodeContentItem:
    """Return a remark as a code."""
    return CodeContentItem(concept(name), concept(value), RelationshipTypeValues.CONTAINS)


def _qualitative_evaluations(items: Sequence[Remark]) -> ContainerContentItem:
    container = ContainerContentItem(
        concept(codes.QUALITATIVE_EVALUATIONS), relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = ContentSequence(items)
    return container
