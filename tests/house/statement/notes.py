"""What the written objects do not tell by themselves: how a value comes about, and on what it depends.

Keyed by the attribute's path of keywords, or by the kind of object and the path. An attribute without a note
is described by what was found in it.
"""

from collections.abc import Mapping

from tests.house.statement.walk import Origin

Note = tuple[Origin | None, str]
AUTO, COPY, CONFIG, FIXED = Origin.AUTO, Origin.COPY, Origin.CONFIG, Origin.FIXED

SEG, LABEL_MAP = "Segmentation", "Label Map Segmentation"
SR, PR = "Comprehensive SR and Comprehensive 3D SR", "Grayscale Softcopy Presentation State"
SC = "Secondary Capture Image"
SEGMENT = "SegmentSequence"
GROUPS = "SharedFunctionalGroupsSequence"
OBJECT = "GraphicAnnotationSequence/GraphicObjectSequence"
EVIDENCE = "CurrentRequestedProcedureEvidenceSequence/ReferencedSeriesSequence"
BEFORE = "PredecessorDocumentsSequence/ReferencedSeriesSequence"
TEXT = "GraphicAnnotationSequence/TextObjectSequence"

OF_THE_RUN = "when the object was made, in the time zone that the source states, else in that of the machine"
UID_RULE = "a function of the source, the model and the output settings (8.1.1.11)"
LABEL_TABLE = "of the structure, from the table of structures (8.3.2)"
FROM_VALUE = "where the source has lossy compression behind it"

NOTES: Mapping[str, Note] = {
    "SOPInstanceUID": (AUTO, UID_RULE),
    "SeriesInstanceUID": (AUTO, UID_RULE),
    "InstanceCreationDate": (AUTO, OF_THE_RUN),
    "InstanceCreationTime": (AUTO, OF_THE_RUN),
    "SeriesDate": (AUTO, OF_THE_RUN),
    "SeriesTime": (AUTO, OF_THE_RUN),
    "ContentDate": (AUTO, OF_THE_RUN),
    "ContentTime": (AUTO, OF_THE_RUN),
    "PresentationCreationDate": (AUTO, OF_THE_RUN),
    "PresentationCreationTime": (AUTO, OF_THE_RUN),
    "DateOfSecondaryCapture": (AUTO, OF_THE_RUN),
    "TimeOfSecondaryCapture": (AUTO, OF_THE_RUN),
    "ManufacturerModelName": (AUTO, "id of the model bundle, at most 64 characters"),
    "DeviceSerialNumber": (AUTO, "first 16 digits of the SHA-256 of the model's weights"),
    "SoftwareVersions": (
        AUTO,
        "paxnode and its version; the model's version and the first 12 digits of its SHA-256",
    ),
    "SeriesNumber": (CONFIG, "`results.series_number_base`, plus the place of the object among the results"),
    "ContentQualification": (
        CONFIG,
        "`results.content_qualification`: RESEARCH (default), PRODUCT or SERVICE",
    ),
    "Rows": (COPY, "results lie on the pixels as stored"),
    "Columns": (COPY, "results lie on the pixels as stored"),
    f"{SC}/Rows": (AUTO, "of the picture with its strip and legend"),
    f"{SC}/Columns": (AUTO, "of the picture, at most 1600"),
    "PatientOrientation": (
        COPY,
        "AUTO where the source states none, one that no frontal view has, or one that its "
        "pixels contradict: how the pixels lie; L\\F in a frontal view without any sign",
    ),
    f"{SC}/PatientOrientation": (
        AUTO,
        "L\\F: a frontal picture is upright; of a lateral view that of the source, or empty",
    ),
    "FrameOfReferenceUID": (COPY, "where the source has one; no position is written"),
    "PositionReferenceIndicator": (COPY, "with Frame of Reference UID"),
    "LossyImageCompression": (
        COPY,
        "AUTO where the source does not state it: 00, or 01 where its transfer syntax is lossy",
    ),
    "LossyImageCompressionRatio": (
        COPY,
        f"{FROM_VALUE}; AUTO, of its Pixel Data, where the source states none",
    ),
    "LossyImageCompressionMethod": (
        COPY,
        f"{FROM_VALUE}; AUTO, by its transfer syntax, where the source states none",
    ),
    "BurnedInAnnotation": (COPY, "absent where the source says neither YES nor NO"),
    "RecognizableVisualFeatures": (AUTO, "YES where the source says so, else NO"),
    "DerivationDescription": (AUTO, "in words, with the model's id and version"),
    "PixelData": (AUTO, "8.1.1.10 has its forms"),
    f"{SC}/PixelData": (AUTO, "the picture"),
    "SecondaryCaptureDeviceSoftwareVersions": (AUTO, "paxnode and its version"),
    "BitsAllocated": (AUTO, "1 (BINARY) or 8 (FRACTIONAL)"),
    "BitsStored": (AUTO, "as Bits Allocated"),
    "HighBit": (AUTO, "Bits Stored less 1"),
    f"{LABEL_MAP}/BitsAllocated": (FIXED, "8"),
    f"{LABEL_MAP}/BitsStored": (FIXED, "8"),
    f"{LABEL_MAP}/HighBit": (FIXED, "7"),
    f"{SC}/BitsAllocated": (FIXED, "8"),
    f"{SC}/BitsStored": (FIXED, "8"),
    f"{SC}/HighBit": (FIXED, "7"),
    "SegmentationType": (
        CONFIG,
        "`seg` of the profile: BINARY, or FRACTIONAL; FRACTIONAL too where Rows x Columns is no "
        "multiple of 8 and there are several frames",
    ),
    f"{LABEL_MAP}/SegmentationType": (FIXED, "LABELMAP"),
    "SegmentationFractionalType": (FIXED, "OCCUPANCY, in FRACTIONAL objects; pixels are 0 or 255"),
    "MaximumFractionalValue": (FIXED, "255, in FRACTIONAL objects"),
    "NumberOfFrames": (AUTO, "one for each segment"),
    f"{LABEL_MAP}/NumberOfFrames": (FIXED, "1"),
    "SeriesDescription": (AUTO, '"Chest anatomy (AI)", or the group of structures and "(AI)"'),
    "ContentLabel": (AUTO, "CHEST_ANATOMY, or the group of structures"),
    f"{SR}/SeriesDescription": (AUTO, '"Chest measurements (AI)" or "Chest structures (AI)"'),
    f"{PR}/SeriesDescription": (FIXED, '"Chest outlines (AI)"'),
    f"{PR}/ContentLabel": (FIXED, "CHEST_ANATOMY"),
    f"{SC}/SeriesDescription": (FIXED, '"Chest anatomy picture (AI)"'),
    f"{SEGMENT}/SegmentNumber": (AUTO, "from 1, without a gap, in the order of the table of structures"),
    f"{SEGMENT}/SegmentLabel": (AUTO, "name " + LABEL_TABLE),
    f"{SEGMENT}/TrackingID": (AUTO, "name " + LABEL_TABLE),
    f"{SEGMENT}/TrackingUID": (AUTO, UID_RULE),
    f"{SEGMENT}/RecommendedDisplayCIELabValue": (AUTO, "colour " + LABEL_TABLE),
    f"{SEGMENT}/SegmentedPropertyCategoryCodeSequence": (AUTO, "category " + LABEL_TABLE),
    f"{SEGMENT}/SegmentedPropertyTypeCodeSequence": (AUTO, "type " + LABEL_TABLE),
    f"{SEGMENT}/SegmentedPropertyTypeCodeSequence/SegmentedPropertyTypeModifierCodeSequence": (
        AUTO,
        "side and part " + LABEL_TABLE,
    ),
    f"{SEGMENT}/SegmentAlgorithmName": (AUTO, "id and version of the model"),
    f"{SEGMENT}/SegmentationAlgorithmIdentificationSequence/AlgorithmName": (AUTO, "id of the model"),
    f"{SEGMENT}/SegmentationAlgorithmIdentificationSequence/AlgorithmVersion": (
        AUTO,
        "version of the model and the first 12 digits of its SHA-256",
    ),
    "DimensionOrganizationSequence/DimensionOrganizationUID": (AUTO, UID_RULE),
    "DimensionIndexSequence/DimensionOrganizationUID": (AUTO, "as in Dimension Organization Sequence"),
    f"{GROUPS}/PlaneOrientationSequence": (CONFIG, "only with `orientation_shim` of the profile"),
    f"{GROUPS}/PlaneOrientationSequence/ImageOrientationPatient": (
        FIXED,
        "1\\0\\0\\0\\1\\0: neutral, and says nothing about the patient",
    ),
    f"{GROUPS}/PixelMeasuresSequence": (None, "where a spacing was believed, or with `orientation_shim`"),
    f"{GROUPS}/PixelMeasuresSequence/PixelSpacing": (AUTO, "the spacing that was believed (docs/dicom.md)"),
    f"{GROUPS}/PixelMeasuresSequence/SliceThickness": (FIXED, "1: a projection has none, readers expect it"),
    "PerFrameFunctionalGroupsSequence/FrameContentSequence/DimensionIndexValues": (
        AUTO,
        "number of the segment",
    ),
    f"{LABEL_MAP}/PerFrameFunctionalGroupsSequence/FrameContentSequence/DimensionIndexValues": (FIXED, "1"),
    "PerFrameFunctionalGroupsSequence/SegmentIdentificationSequence/ReferencedSegmentNumber": (
        AUTO,
        "number of the segment",
    ),
    f"{SR}/SOPClassUID": (CONFIG, "`report` of the profile: Comprehensive SR or Comprehensive 3D SR"),
    f"{SR}/CodingSchemeIdentificationSequence": (None, "where a code of 99PAXNODE is used"),
    "PredecessorDocumentsSequence": (None, "where an earlier report on the same image is superseded"),
    f"{BEFORE}/ReferencedSOPSequence/ReferencedSOPClassUID": (
        AUTO,
        "of the report that is superseded",
    ),
    f"{BEFORE}/ReferencedSOPSequence/ReferencedSOPInstanceUID": (
        AUTO,
        "of the report that is superseded",
    ),
    f"{BEFORE}/SeriesInstanceUID": (
        AUTO,
        "of the report that is superseded",
    ),
    f"{EVIDENCE}/ReferencedSOPSequence/ReferencedSOPClassUID": (
        AUTO,
        "of the source image and of the Segmentations that go with the report",
    ),
    f"{EVIDENCE}/ReferencedSOPSequence/ReferencedSOPInstanceUID": (
        AUTO,
        "of the source image and of the Segmentations that go with the report",
    ),
    f"{EVIDENCE}/SeriesInstanceUID": (
        AUTO,
        "of the source image and of the Segmentations that go with the report",
    ),
    "ContentSequence": (None, "8.1.1.9 has the content trees"),
    "CenterOfCircularShutter": (COPY, "of the source"),
    "RadiusOfCircularShutter": (COPY, "of the source"),
    "VerticesOfThePolygonalShutter": (COPY, "of the source"),
    "FileMetaInformationVersion": (FIXED, "00\\01"),
    "MediaStorageSOPClassUID": (AUTO, "as SOP Class UID"),
    "MediaStorageSOPInstanceUID": (AUTO, "as SOP Instance UID"),
    "TransferSyntaxUID": (AUTO, "8.1.1.10 has it for each kind of object"),
    "RescaleIntercept": (COPY, "where the source has it and no Modality LUT"),
    "RescaleSlope": (COPY, "with Rescale Intercept; 1 where the source states 0"),
    "RescaleType": (COPY, "with Rescale Intercept; US where the source states none"),
    "ModalityLUTSequence": (
        COPY,
        "where the source has one that can be read; Modality LUT Type US where it states none",
    ),
    "SoftcopyVOILUTSequence": (
        None,
        "absent where the source is FOR PROCESSING and linear in X-ray intensity",
    ),
    "SoftcopyVOILUTSequence/WindowCenter": (
        COPY,
        "the first window of the source that shows anything; AUTO, from percentiles, where there is none",
    ),
    "SoftcopyVOILUTSequence/WindowWidth": (COPY, "with Window Center"),
    "SoftcopyVOILUTSequence/VOILUTSequence": (COPY, "where the source has one that can be read"),
    "SoftcopyVOILUTSequence/VOILUTSequence/LUTDescriptor": (COPY, "of the source"),
    "SoftcopyVOILUTSequence/VOILUTSequence/LUTData": (COPY, "of the source"),
    "PresentationLUTShape": (
        AUTO,
        "INVERSE where Photometric Interpretation MONOCHROME1 or the source's Presentation LUT "
        "Shape say so, else IDENTITY",
    ),
    "OverlayActivationLayer": (AUTO, "OVERLAYS, for each overlay plane of the source"),
    "DisplayedAreaSelectionSequence/DisplayedAreaBottomRightHandCorner": (
        COPY,
        "Columns\\Rows: the whole image",
    ),
    "DisplayedAreaSelectionSequence/PresentationPixelSpacing": (AUTO, "the spacing that was believed"),
    "DisplayedAreaSelectionSequence/PresentationPixelAspectRatio": (
        COPY,
        "where no spacing was believed: Pixel Aspect Ratio, else 1\\1",
    ),
    f"{OBJECT}/TrackingID": (AUTO, "name of the structure or of the measurements"),
    f"{OBJECT}/TrackingUID": (AUTO, "as in the Segmentation or the report"),
    f"{OBJECT}/NumberOfGraphicPoints": (AUTO, "at most 201 of an outline of a structure"),
    f"{OBJECT}/GraphicData": (AUTO, "column\\row pairs on the pixels as stored, inside the image"),
    f"{OBJECT}/LineStyleSequence": (None, "of outlines of structures"),
    f"{OBJECT}/LineStyleSequence/PatternOnColorCIELabValue": (AUTO, "colour of the structure"),
    f"{OBJECT}/LineStyleSequence/LineThickness": (AUTO, "0.001 of the longer side of the image, at least 1"),
    f"{OBJECT}/GraphicFilled": (FIXED, "N, of closed lines"),
    f"{TEXT}/UnformattedTextValue": (
        AUTO,
        'a value with its name and unit; or "AI, (Content Qualification): model, version"',
    ),
    f"{TEXT}/BoundingBoxTopLeftHandCorner": (AUTO, "inside the image, over no other text"),
    f"{TEXT}/BoundingBoxBottomRightHandCorner": (AUTO, "inside the image, over no other text"),
    f"{TEXT}/AnchorPoint": (AUTO, "on the line whose value it is"),
    "GraphicLayerSequence/GraphicLayerOrder": (AUTO, "from 1: ANATOMY, BONES, MEASUREMENTS, MARK, OVERLAYS"),
    "GraphicLayerSequence/GraphicLayerDescription": (AUTO, "in words"),
    "GraphicLayerSequence/GraphicLayerRecommendedDisplayCIELabValue": (AUTO, "a colour for each layer"),
}


def note_on(kind: str, path: str) -> Note:
    """Return what is noted of an attribute of a kind of object; (None, "") where nothing is."""
    return NOTES.get(f"{kind}/{path}") or NOTES.get(path) or (None, "")
