"""What the conformance statement looks at: results of made radiographs that differ in everything they can.

An attribute that has one value in all of them is fixed; one that follows its source is copied; one that is
not in every one is conditional. So the sources differ in every value, one has all that is optional and one
has none of it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from ai.labels import LABELS
from ai.radiograph import Radiograph, View
from ai.segmentation import Mask, ModelIdentity, Segmentation
from ai.stand_in import StandInSegmenter
from ai.uncertainty import Trust
from node.identity import OPTIONAL, PATIENT_TYPE_2, STUDY_TYPE_2
from node.options import OutputOptions
from node.pipeline import Understood, understand, write
from node.report_frame import Predecessor
from tests.conftest import _dx

EVERYTHING = OutputOptions(
    orientation_shim=True, structure_report=True, presentation_state=True, secondary_capture=True
)
PLAIN = OutputOptions(seg="fractional", grouping="anatomy", report="comprehensive")
WITHOUT_SEG = OutputOptions(seg="none", presentation_state=True)
LABEL_MAPS = OutputOptions(seg="labelmap", grouping="anatomy", report="none", orientation_shim=True)
PICTURES = OutputOptions(report="none", presentation_state=True, secondary_capture=True)
BY_THE_BOOK = replace(EVERYTHING, orientation_shim=False)

OTHERWISE = " otherwise"
"""How runs end that differ from another one in the other settings of `[results]` alone."""

NOT_COPIED_YET = (
    *("PatientSexNeutered", "AdditionalPatientHistory", "MedicalAlerts", "Allergies", "Occupation"),
    *("OtherPatientNames", "QualityControlSubject", "AdmissionID", "AdmittingDiagnosesDescription"),
    *("StudyComments", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "ConsultingPhysicianName"),
    *("ReferencedStudySequence", "ReferencedPatientSequence", "ReasonForPerformedProcedureCodeSequence"),
    *("ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription", "ClinicalTrialSeriesID"),
    *("ClinicalTrialCoordinatingCenterName", "ClinicalTrialProtocolEthicsCommitteeName"),
    *("RequestAttributesSequence", "ReferencedPerformedProcedureStepSequence", "ProtocolName"),
    *("PerformedProcedureStepID", "PerformedProcedureStepDescription", "PerformedProtocolCodeSequence"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "OperatorsName"),
    *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName"),
    *("PerformingPhysicianName", "SeriesDescription", "AcquisitionNumber", "ImageComments"),
    *("InstitutionalDepartmentTypeCodeSequence", "PatientPosition", "SynchronizationFrameOfReferenceUID"),
)
"""What a source may hold besides; whatever of it is copied one day shows in the statement by itself."""

NEEDLESS = frozenset(f"vertebrae T{number}" for number in range(3, 9))
LONE = "clavicle left"
EVERY = 16
"""One in so many structures of the table is drawn besides those of the stand-in."""

CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
REFERENCE = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
ISSUER = ("UniversalEntityID", "UniversalEntityIDType")
ITEMS = {
    "OtherPatientIDsSequence": ("PatientID", "TypeOfPatientID"),
    "IssuerOfPatientIDQualifiersSequence": ISSUER,
    "IssuerOfAccessionNumberSequence": ISSUER,
    "ReferencedStudySequence": REFERENCE,
    "ReferencedPatientSequence": REFERENCE,
    "ReferencedPerformedProcedureStepSequence": REFERENCE,
    "RequestAttributesSequence": (
        *("StudyInstanceUID", "AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription"),
        *("RequestedProcedureCodeSequence", "ScheduledProcedureStepID", "ScheduledProcedureStepDescription"),
        *("ReasonForTheRequestedProcedure", "IssuerOfAccessionNumberSequence", "ReferencedStudySequence"),
        *("OrderPlacerIdentifierSequence", "FillerOrderNumberImagingServiceRequest"),
    ),
}
"""What an item of a sequence holds; of any other, a code."""

FORMED = {
    "SpecificCharacterSet": ("ISO_IR 100", "ISO_IR 101", "ISO_IR 192"),
    "TimezoneOffsetFromUTC": ("+0100", "-0500", "+0530"),
    "PatientIdentityRemoved": ("YES", "NO", "NO"),
    "PatientSex": ("F", "M", "O"),
    "PatientPosition": ("PA", "PA", "PA"),
    "PatientSexNeutered": ("UNALTERED", "UNALTERED", "UNALTERED"),
    "QualityControlSubject": ("YES", "NO", "NO"),
    "TypeOfPatientID": ("TEXT", "RFID", "BARCODE"),
    "UniversalEntityIDType": ("ISO", "DNS", "URI"),
    "CodingSchemeDesignator": ("99MADE", "99MADE", "99MADE"),
    "ReferencedSOPClassUID": 3 * ("1.2.840.10008.3.1.2.3.1",),
    "StudyInstanceUID": ("2.25.61", "2.25.62", "2.25.63"),
    "PatientAge": ("041Y", "042Y", "043Y"),
}
"""Values that must have a form, for each of the three full sources."""


@dataclass(frozen=True, eq=False)
class Written:
    """A result with what it was made of.

    Attributes:
        kind: `str(ResultKind)`.
        dataset: The result.
        source: The radiograph's attributes.
        run: Which radiograph, model and options.
    """

    kind: str
    dataset: Dataset
    source: Dataset
    run: str


class FewStructures(StandInSegmenter):
    """The stand-in without most of its vertebrae, which make reports long and tell nothing new."""

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        """Return one segmentation for each radiograph; see `StandInSegmenter.segment`."""
        return [_without(found, NEEDLESS) for found in super().segment(radiographs)]


class OtherModel(FewStructures):
    """The stand-in with other structures of the table as small squares, a trust in each, and a repair."""

    model = ModelIdentity("other-model", "2.5", 64 * "b")

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        """Return one segmentation for each radiograph; see `StandInSegmenter.segment`."""
        return [self._complete(found) for found in super().segment(radiographs)]

    def _complete(self, found: Segmentation) -> Segmentation:
        columns = found.shape[1] // 10
        masks = {
            item.name: found.masks.get(item.name)
            or Mask(np.ones((8, 8), np.bool_), 10 * (item.id // columns), 10 * (item.id % columns))
            for item in LABELS
            if item.name in found.masks or item.id % EVERY == 0
        }
        return replace(
            found,
            masks=masks,
            unsupported=(),
            trust={name: Trust(0.9, 0.8) for name in masks},
            repairs=("a hole was filled", "a piece was left out"),
        )


class OneStructure(FewStructures):
    """The stand-in with a structure in which nothing can be measured, and no other."""

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        """Return one segmentation for each radiograph; see `StandInSegmenter.segment`."""
        return [_without(found, set(found.masks) - {LONE}) for found in super().segment(radiographs)]


class AnyView(FewStructures):
    """The stand-in, which draws the same in a lateral view."""

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        """Return one segmentation for each radiograph; see `StandInSegmenter.segment`."""
        return super().segment([replace(radiograph, view=View.PA) for radiograph in radiographs])


def _without(found: Segmentation, names: Collection[str]) -> Segmentation:
    return replace(found, masks={name: mask for name, mask in found.masks.items() if name not in names})


def written() -> Iterator[Written]:
    """Yield results of every kind, of radiographs, models and settings that differ."""
    full, stand_in = _full(0), FewStructures()
    found = _understood(full, stand_in)
    yield from _results("full", found, full, EVERYTHING)
    yield from _results(f"full{OTHERWISE}", found, full, _otherwise(EVERYTHING))
    yield from _results("maps", found, full, LABEL_MAPS)
    yield from _results(f"maps{OTHERWISE}", found, full, _otherwise(LABEL_MAPS))
    yield from _results("plain", found, full, PLAIN, _predecessors())
    found = _understood(full, OtherModel())
    yield from _results("model", found, full, EVERYTHING)
    yield from _results("model maps", found, full, LABEL_MAPS)
    yield from _results("lone", _understood(full, OneStructure()), full, OutputOptions())
    raw, lateral = _raw(), _lateral()
    yield from _results("raw", _understood(raw, stand_in), raw, WITHOUT_SEG)
    found = _understood(lateral, AnyView())
    yield from _results("lateral", found, lateral, PICTURES)
    yield from _results("lateral maps", found, lateral, LABEL_MAPS)
    for name, source in {"bare": _bare(), "lossy": _lossy(), "colour": _colour()}.items():
        found = _understood(source, stand_in)
        yield from _results(name, found, source, BY_THE_BOOK if name != "lossy" else PICTURES)
        yield from _results(f"{name} maps", found, source, replace(LABEL_MAPS, orientation_shim=False))


def _results(
    run: str,
    found: Understood,
    source: Dataset,
    options: OutputOptions,
    predecessors: Sequence[Predecessor] = (),
) -> Iterator[Written]:
    for result in write(found, options, predecessors):
        yield Written(result.kind, result.dataset, source, run)


def _understood(source: Dataset, segmenter: StandInSegmenter) -> Understood:
    content = BytesIO()
    source.save_as(content, enforce_file_format=True)
    content.seek(0)
    return understand(content, segmenter, lambda _stage, _seconds: None)


def _otherwise(options: OutputOptions) -> OutputOptions:
    others = replace(options, series_number_base=100, content_qualification="PRODUCT")
    return replace(others, uid_root="1.2.826.0.1", structure_report=False)


def _predecessors() -> tuple[Predecessor, ...]:
    return (Predecessor("SR", Comprehensive3DSRStorage, "2.25.11", "2.25.12"),)


def _full(number: int, rows: int = 256, columns: int = 224, **attributes: object) -> Dataset:
    """Return a radiograph with all that may be copied; each number has other values."""
    keywords = (*OPTIONAL, *PATIENT_TYPE_2, *STUDY_TYPE_2, *NOT_COPIED_YET)
    values: dict[str, object] = {keyword: _value(keyword, number) for keyword in keywords}
    values |= {"PatientBirthDate": f"196{number}0101", "InstanceNumber": 40 + number, "SeriesNumber": 50}
    values |= {"FrameOfReferenceUID": f"2.25.77{number}", "PositionReferenceIndicator": f"MARK {number}"}
    values |= {"BurnedInAnnotation": ("NO", "YES", "NO")[number], "Manufacturer": f"Maker {number}"}
    values |= {"RecognizableVisualFeatures": ("NO", "YES", "NO")[number]}
    values |= {"WindowCenter": str(2000 + number), "WindowWidth": str(3500 + number)}
    values |= {f"Shutter{side}Edge": 9 for side in ("LeftVertical", "UpperHorizontal")}
    values |= {f"Shutter{side}Edge": 200 for side in ("RightVertical", "LowerHorizontal")}
    values |= {"ShutterShape": "RECTANGULAR", "ShutterPresentationValue": 3}
    source = _dx(rows, columns, **(values | attributes))
    source.add_new((0x6000, 0x0010), "US", rows)
    source.add_new((0x6000, 0x0011), "US", columns)
    source.add_new((0x6000, 0x0040), "CS", "G")
    source.add_new((0x6000, 0x0050), "SS", [1, 1])
    source.add_new((0x6000, 0x0100), "US", 1)
    source.add_new((0x6000, 0x0102), "US", 0)
    source.add_new((0x6000, 0x3000), "OW", bytes((rows * columns + 15) // 16 * 2))
    return source


def _value(keyword: str, number: int) -> object:
    if keyword in FORMED:
        return FORMED[keyword][number]
    vr = dictionary_VR(keyword)
    if vr == "SQ":
        return [_item(ITEMS.get(keyword, CODE), number)]
    by_vr: Mapping[str, object] = {
        "DA": f"2025010{number + 1}",
        "TM": f"10111{number}",
        "PN": f"Made^Name {number}",
        "IS": 60 + number,
        "DS": f"7{number}.5",
        "CS": f"MADE {number}",
        "UI": f"2.25.88{number}",
    }
    return by_vr.get(vr, f"made {number}")


def _item(keywords: Sequence[str], number: int) -> Dataset:
    item = Dataset()
    for keyword in keywords:
        setattr(item, keyword, _value(keyword, number))
    return item


def _bare() -> Dataset:
    """Return a radiograph without anything that is not needed, of an odd number of pixels."""
    source = _dx(251, 223)
    needless: tuple[str, ...] = (
        *PATIENT_TYPE_2,
        *STUDY_TYPE_2,
        "ImagerPixelSpacing",
        "PatientOrientation",
        "ViewPosition",
    )
    needless += ("BurnedInAnnotation", "SeriesNumber", "WindowCenter", "WindowWidth")
    for keyword in needless:
        delattr(source, keyword)
    source.RescaleIntercept, source.RescaleSlope, source.RescaleType = "-10", "0.5", "OD"
    return source


def _raw() -> Dataset:
    """Return a radiograph for processing that is linear in X-ray intensity: no window is a logarithm."""
    source = _dx(
        SOPClassUID=DigitalXRayImageStorageForProcessing,
        PresentationIntentType="FOR PROCESSING",
        PixelIntensityRelationship="LIN",
        SOPInstanceUID="2.25.31",
        SeriesInstanceUID="2.25.32",
        StudyInstanceUID="2.25.33",
    )
    del source.WindowCenter, source.WindowWidth
    source.file_meta.MediaStorageSOPClassUID = UID(source.SOPClassUID)
    source.file_meta.MediaStorageSOPInstanceUID = UID(source.SOPInstanceUID)
    return source


def _lateral() -> Dataset:
    """Return a lateral view that does not say how it lies."""
    source = _dx(
        ViewPosition="LL", SOPInstanceUID="2.25.41", SeriesInstanceUID="2.25.42", StudyInstanceUID="2.25.43"
    )
    source.file_meta.MediaStorageSOPInstanceUID = UID(source.SOPInstanceUID)
    del source.PatientOrientation
    return source


def _lossy() -> Dataset:
    """Return a CR with lookup tables, a shutter of every shape, compressed with loss once, bone dark."""
    curve = (np.linspace(0, 1, 4096) ** 0.7 * 0xFFFF).round().astype(np.uint16)
    wide = np.linspace(0, 0xFFFF, 0x10000).round().astype(np.uint16)
    source = _full(
        1,
        384,
        320,
        SOPClassUID=ComputedRadiographyImageStorage,
        Modality="CR",
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="INVERSE",
        PatientOrientation=["R", "F"],
        LossyImageCompression="01",
        LossyImageCompressionMethod="ISO_15444_1",
        LossyImageCompressionRatio="12.5",
        ModalityLUTSequence=[_lut(curve, ModalityLUTType="OD")],
        VOILUTSequence=[_lut(wide % 0xFFFF)],
        ShutterShape=["RECTANGULAR", "CIRCULAR", "POLYGONAL"],
        **{f"Shutter{side}Edge": 5 for side in ("LeftVertical", "UpperHorizontal")},
        **{f"Shutter{side}Edge": 300 for side in ("RightVertical", "LowerHorizontal")},
        CenterOfCircularShutter=[190, 160],
        RadiusOfCircularShutter=150,
        VerticesOfThePolygonalShutter=[1, 1, 1, 300, 300, 300],
        ShutterPresentationValue=7,
        PixelAspectRatio=[1, 1],
    )
    for keyword in ("RescaleIntercept", "RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth"):
        delattr(source, keyword)
    source.file_meta.MediaStorageSOPClassUID = UID(source.SOPClassUID)
    return source


def _lut(entries: "np.ndarray[tuple[int, ...], np.dtype[np.uint16]]", **attributes: object) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) % 0x10000, 0, 16])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _colour() -> Dataset:
    """Return a Secondary Capture in RGB of equal channels, with a calibrated spacing."""
    source = _full(
        2,
        320,
        280,
        SOPClassUID=SecondaryCaptureImageStorage,
        Modality="OT",
        PixelSpacing=[1.2, 1.2],
        PixelSpacingCalibrationType="FIDUCIAL",
        LossyImageCompression="01",
        LossyImageCompressionMethod="ISO_10918_1",
        LossyImageCompressionRatio="8",
    )
    gray = np.frombuffer(source.PixelData, "<u2") >> 4
    source.SamplesPerPixel, source.PhotometricInterpretation, source.PlanarConfiguration = 3, "RGB", 0
    source.BitsAllocated, source.BitsStored, source.HighBit = 8, 8, 7
    source.PixelData = np.repeat(gray.astype(np.uint8), 3).tobytes()
    del source.WindowCenter, source.WindowWidth
    return source
