"""What our reports have in common: observer, evidence, references, remarks (PS3.16 TID 1500)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from ai.labels import Code, label
from ai.segmentation import ModelIdentity, Segmentation
from node import codes
from node.content_items import Relation, coded, container, image, text, uid_reference
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

LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = Code("en-US", "RFC5646", "English (United States)")
OBSERVER_TYPE, DEVICE = Code("121005", "DCM", "Observer Type"), Code("121007", "DCM", "Device")
DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_MODEL = Code("121015", "DCM", "Device Observer Model Name")
DEVICE_SERIAL_NUMBER = Code("121016", "DCM", "Device Observer Serial Number")
PROCEDURE = Code("121058", "DCM", "Procedure reported")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING_CATEGORY = Code("276214006", "SCT", "Finding category")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
LATERALITY = Code("272741003", "SCT", "Laterality")
PART = Code("106233006", "SCT", "Topographical modifier")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")

TEMPLATE, GROUP_TEMPLATE = "1500", "1410"
"""Measurement Report, and Planar ROI Measurements and Qualitative Evaluations (PS3.16)."""

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
        self._segs = [(seg, _numbers_of(seg)) for seg in segs]
        self._options = options
        self._predecessors = predecessors
        self.uids: UidMaker = uids_of(source, segmentation.model, options)
        model = segmentation.model
        self._algorithm = (
            text(codes.ALGORITHM_NAME, model.id, Relation.CONCEPT_MODIFIER),
            text(ALGORITHM_VERSION, model_version(model), Relation.CONCEPT_MODIFIER),
        )

    def document(
        self, kind: ResultKind, title: str, groups: Sequence[Dataset], remarks: Sequence[Dataset]
    ) -> Dataset:
        """Return a report, finished.

        Args:
            kind: Which of the radiograph's reports.
            title: Series Description.
            groups: Measurement groups; without any, the report consists of its remarks.
            remarks: Items for Qualitative Evaluations.
        """
        content = [
            coded(LANGUAGE, ENGLISH, Relation.CONCEPT_MODIFIER),
            *self._observer(),
            coded(PROCEDURE, codes.PROCEDURE_REPORTED, Relation.CONCEPT_MODIFIER),
        ]
        if groups:
            content.append(container(codes.IMAGING_MEASUREMENTS, groups))
        if remarks:
            content.append(container(codes.QUALITATIVE_EVALUATIONS, remarks))
        before = self._superseded(kind)
        result = report_document(
            CLASSES.get(self._options.report, Comprehensive3DSRStorage),
            container(codes.REPORT_TITLE, content, None, TEMPLATE),
            [Reference.to(dataset) for dataset in (self.source.dataset, *(seg for seg, _ in self._segs))],
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

    def group(
        self,
        name: str,
        uid: str,
        structures: Sequence[str],
        finding: Sequence[Dataset],
        told: Sequence[Dataset],
    ) -> Dataset:
        """Return a measurement group (PS3.16 TID 1410).

        Args:
            name: Its Tracking Identifier.
            uid: Its Tracking Unique Identifier.
            structures: Where it was found.
            finding: Items that say what was found.
            told: Measurements, and the region or the segment that they are of.
        """
        tracked = (
            text(TRACKING_IDENTIFIER, name, Relation.CONTEXT),
            uid_reference(TRACKING_UID, uid, Relation.CONTEXT),
        )
        content = [*tracked, *finding, *finding_sites(structures), *self._algorithm, *told]
        return container(codes.MEASUREMENT_GROUP, content, template=GROUP_TEMPLATE)

    def _superseded(self, kind: ResultKind) -> Predecessor | None:
        """Return the latest report of this kind that another model or configuration made.

        So the same model and configuration again give the same report, and going back to an earlier model
        gives one that supersedes that of the later.
        """
        own = self.uids(f"{kind} series")
        others = [report for report in self._predecessors if report.series_instance_uid != own]
        return next((report for report in reversed(others) if report.kind == str(kind)), None)

    def _observer(self) -> list[Dataset]:
        """Return who observed, TID 1002 and 1004: one device for all images that a model was run on."""
        model = self.segmentation.model
        told = {
            DEVICE_NAME: f"paxnode {software_version()}",
            DEVICE_MANUFACTURER: MANUFACTURER,
            DEVICE_MODEL: _model_name(model),
            DEVICE_SERIAL_NUMBER: model.sha256[:16],
        }
        return [
            coded(OBSERVER_TYPE, DEVICE, Relation.CONTEXT),
            uid_reference(DEVICE_UID, self.uids.of_model(DEVICE_KIND), Relation.CONTEXT),
            *(text(name, value, Relation.CONTEXT) for name, value in told.items()),
        ]

    def segments_measured(self, structures: Iterable[str]) -> list[Dataset]:
        """Return references to the segments of structures, one for each Segmentation that holds some.

        Label maps are left out, and stand in the evidence alone: DCMTK 3.6.7 refuses a report of which an
        item refers to one, and dciodvfy does not know that they have segments.
        """
        items = []
        for seg, numbers in self._segs:
            if seg.SOPClassUID == LABEL_MAP_STORAGE:
                continue
            if held := sorted({numbers[name] for name in structures if name in numbers}):
                items.append(_segments_measured(seg, held))
        return items

    def segment(self, structure: str) -> tuple[Dataset, int] | None:
        """Return the Segmentation that holds a structure, and its segment's number there."""
        return next(((seg, numbers[structure]) for seg, numbers in self._segs if structure in numbers), None)


def _numbers_of(seg: Dataset) -> dict[str, int]:
    """Return the Segment Number of each structure."""
    return {str(segment.SegmentLabel): int(segment.SegmentNumber) for segment in seg.SegmentSequence}


def _model_name(model: ModelIdentity) -> str:
    return f"{model.id} {model_version(model)}"


def finding_sites(structures: Iterable[str]) -> list[Dataset]:
    """Return where structures lie, each site once, with side and part."""
    sites = []
    for name in structures:
        item = label(name)
        said = ((LATERALITY, codes.side_of(item)), (PART, codes.part_of(item)))
        children = tuple((name, code) for name, code in said if code)
        sites.append(coded(FINDING_SITE, item.type, Relation.CONCEPT_MODIFIER, children))
    return list({id(site): site for site in sites}.values())


def _segments_measured(seg: Dataset, numbers: list[int]) -> Dataset:
    where = (str(seg.SOPClassUID), str(seg.SOPInstanceUID))
    return image(codes.SOURCE_OF_MEASUREMENT, *where, Relation.INFERRED_FROM, numbers)
