"""From masks to Segmentations (PS3.3 A.51, A.51.5.1; label maps A.96) on the source image's own grid.

A SEG pixel is a pixel of the source: same Rows and Columns, the source in Derivation Image Sequence, no
position or orientation that the source does not have (docs/dicom.md has what viewers need beyond that).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from highdicom.color import CIELabColor
from pydicom import DataElement, Dataset
from pydicom.tag import BaseTag
from pydicom.uid import SegmentationStorage

from ai.labels import Label, label
from ai.segmentation import ModelIdentity, Segmentation
from node.attributes import texts
from node.codes import ARTIFICIAL_INTELLIGENCE, SEGMENTATION, SOURCE_IMAGE, code_item
from node.contexts import LABEL_MAP_STORAGE
from node.identity import UidMaker, is_uid
from node.lossy import write_lossy_compression
from node.mask_encoding import FULL, EncodedMasks, SegmentationType, encode
from node.options import OutputOptions
from node.orientation import frontal_orientation
from node.reader import Source
from node.result_header import ResultKind, model_version, uids_of, write_file_meta, write_header
from node.seg_parts import SegPart, seg_parts

NOMINAL_THICKNESS_MM = 1.0
"""Slice Thickness, which readers of Pixel Measures expect; a projection has none."""

IDENTITY_ORIENTATION = [1, 0, 0, 0, 1, 0]
REFERENCED_SEGMENT_NUMBER = BaseTag(0x0062000B)
SEGMENT_IDENTIFICATION_SEQUENCE = BaseTag(0x0062000A)
FRAME_LABEL = BaseTag(0x00209453)
FRAME_CONTENT_SEQUENCE = BaseTag(0x00209111)
DIMENSION_INDEX_VALUES = BaseTag(0x00209157)
DERIVATION_IMAGE_SEQUENCE = BaseTag(0x00089124)

BACKGROUND = 0
"""Pixel value of a label map where there is nothing; no segment has it (OHIF 3.13 would shift every name)."""


def write_segmentations(
    source: Source, segmentation: Segmentation, options: OutputOptions
) -> list[tuple[ResultKind, Dataset]]:
    """Return the Segmentations of a radiograph; empty structures make no segment.

    Args:
        source: The radiograph that was segmented.
        segmentation: What was found in it.
        options: What is written, and how; where it chooses nothing that was found there is no Segmentation.
    """
    parts = seg_parts(segmentation, options)
    kinds = [ResultKind("SEG", part.key, place) for place, part in enumerate(parts)]
    return [
        (kind, _segmentation(source, part, kind, segmentation.model, options))
        for kind, part in zip(kinds, parts, strict=True)
    ]


def _segmentation(
    source: Source, part: SegPart, kind: ResultKind, model: ModelIdentity, options: OutputOptions
) -> Dataset:
    labels = [label(name) for name in part.masks]
    encoded = encode([source.stored_mask(mask) for mask in part.masks.values()], source.shape, options.seg)
    is_map = encoded.type is SegmentationType.LABELMAP
    result = Dataset()
    result.SOPClassUID = LABEL_MAP_STORAGE if is_map else SegmentationStorage
    write_header(result, kind, source, model, options)
    _write_general_image(result, source, part, options)
    write_lossy_compression(result, source)
    uids = uids_of(source, model, options)
    result.SegmentSequence = _segments(labels, model, uids)
    _write_references(result, source)
    _write_dimensions(result, uids(f"{kind} dimensions"), is_map)
    result.SharedFunctionalGroupsSequence = [_shared_groups(source, options)]
    derivation = _derivation(source)
    result.PerFrameFunctionalGroupsSequence = [
        _frame_groups(number, derivation, is_map) for number in range(1, encoded.frames + 1)
    ]
    _write_pixels(result, encoded, source.shape)
    write_file_meta(result, encoded.transfer_syntax)
    return result


def _write_general_image(result: Dataset, source: Source, part: SegPart, options: OutputOptions) -> None:
    result.ImageType = ["DERIVED", "PRIMARY"]
    result.SeriesDescription = f"{part.title[0].upper()}{part.title[1:]} (AI)"
    result.ContentLabel, result.BodyPartExamined = part.content_label, "CHEST"
    result.ContentDescription = "Anatomy found by a neural network"
    result.ContentCreatorName = ""
    lies = list(texts(source.dataset, "PatientOrientation"))
    is_lateral = source.radiograph.view.is_lateral
    if len(lies) == 2 and all(lies) and (is_lateral or frontal_orientation(*lies) == source.orientation):
        result.PatientOrientation = lies
    elif not is_lateral:  # not stated, not that of a frontal view, or contradicted by the pixels
        result.PatientOrientation = list(source.orientation.letters)
    else:  # type 2C of the General Image Module
        result.PatientOrientation = ""
    frame = str(source.dataset.get("FrameOfReferenceUID") or "")
    if is_uid(frame) and not options.orientation_shim:  # there the neutral orientation would be a statement
        result.FrameOfReferenceUID = frame
        result.PositionReferenceIndicator = ""


def _segments(labels: Sequence[Label], model: ModelIdentity, uids: UidMaker) -> list[Dataset]:
    name, version = model.id[:64], model_version(model)
    segments = []
    for number, item in enumerate(labels, start=1):
        segment = Dataset(dict(_of_every_image(item, name, version)))
        segment.SegmentNumber, segment.TrackingUID = number, uids(f"structure {item.name}")
        segments.append(segment)
    return segments


@lru_cache(maxsize=1024)
def _of_every_image(item: Label, name: str, version: str) -> Mapping[BaseTag, DataElement]:
    """Return what a structure's segment has in the results of every image; nobody changes these elements.

    Args:
        item: The structure.
        name: Of the model.
        version: Of the model.
    """
    segment = Dataset()
    segment.SegmentLabel = segment.TrackingID = item.name
    segment.SegmentAlgorithmType = "AUTOMATIC"
    segment.SegmentAlgorithmName = f"{name} {version}"[:64]
    segment.SegmentationAlgorithmIdentificationSequence = [_algorithm(name, version)]
    segment.SegmentedPropertyCategoryCodeSequence = [code_item(item.category)]
    property_type = code_item(item.type)
    if item.modifiers:
        modifiers = [code_item(code) for code in item.modifiers]
        property_type = Dataset({element.tag: element for element in property_type})
        property_type.SegmentedPropertyTypeModifierCodeSequence = modifiers
    segment.SegmentedPropertyTypeCodeSequence = [property_type]
    segment.RecommendedDisplayCIELabValue = list(CIELabColor.from_rgb(*item.colour).value)
    return {element.tag: element for element in segment}


@lru_cache(maxsize=16)
def _algorithm(name: str, version: str) -> Dataset:
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = [code_item(ARTIFICIAL_INTELLIGENCE)]
    algorithm.AlgorithmName, algorithm.AlgorithmVersion = name, version
    return algorithm


def _write_references(result: Dataset, source: Source) -> None:
    series = Dataset()
    series.SeriesInstanceUID = source.dataset.SeriesInstanceUID
    series.ReferencedInstanceSequence = [_source_reference(source)]
    result.ReferencedSeriesSequence = [series]


def _source_reference(source: Source) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.dataset.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.dataset.SOPInstanceUID
    return reference


def _derivation(source: Source) -> DataElement:
    image = _source_reference(source)
    image.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    image.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.SourceImageSequence = [image]
    derivation.DerivationCodeSequence = [code_item(SEGMENTATION)]
    return DataElement(DERIVATION_IMAGE_SEQUENCE, "SQ", [derivation])


def _write_dimensions(result: Dataset, uid: str, is_map: bool) -> None:
    """Say what tells frames apart: their segment; the one frame of a label map has its label."""
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    result.DimensionOrganizationSequence = [organization]
    index = Dataset()
    index.DimensionOrganizationUID = uid
    index.DimensionIndexPointer = FRAME_LABEL if is_map else REFERENCED_SEGMENT_NUMBER
    index.FunctionalGroupPointer = FRAME_CONTENT_SEQUENCE if is_map else SEGMENT_IDENTIFICATION_SEQUENCE
    index.DimensionDescriptionLabel = "Frame Label" if is_map else "Segment"
    result.DimensionIndexSequence = [index]


def _shared_groups(source: Source, options: OutputOptions) -> Dataset:
    shared = Dataset()
    if source.radiograph.spacing is not None or options.orientation_shim:
        shared.PixelMeasuresSequence = [_pixel_measures(source)]
    if options.orientation_shim:
        orientation = Dataset()
        orientation.ImageOrientationPatient = IDENTITY_ORIENTATION
        shared.PlaneOrientationSequence = [orientation]
    return shared


def _pixel_measures(source: Source) -> Dataset:
    """Return Pixel Measures; without a known spacing there is only what OHIF 3.13 cannot do without."""
    measures = Dataset()
    spacing = source.radiograph.spacing
    if spacing is not None:
        stored = source.orientation.spacing_to_usual(spacing)  # its own inverse
        measures.PixelSpacing = [f"{stored.row_mm:.10g}", f"{stored.column_mm:.10g}"]
    measures.SliceThickness = NOMINAL_THICKNESS_MM
    return measures


def _frame_groups(number: int, derivation: DataElement, is_map: bool) -> Dataset:
    """Return the Functional Groups of a frame; made of elements, for a Segmentation has a hundred such."""
    content, groups = Dataset(), Dataset({DERIVATION_IMAGE_SEQUENCE: derivation})
    content[DIMENSION_INDEX_VALUES] = DataElement(DIMENSION_INDEX_VALUES, "UL", [number])
    groups[FRAME_CONTENT_SEQUENCE] = DataElement(FRAME_CONTENT_SEQUENCE, "SQ", [content])
    if is_map:
        content.FrameLabel = "Label map"
    else:  # PS3.3 C.8.20.3.1: a label map's pixels identify the segment
        named = Dataset()
        named[REFERENCED_SEGMENT_NUMBER] = DataElement(REFERENCED_SEGMENT_NUMBER, "US", number)
        groups[SEGMENT_IDENTIFICATION_SEQUENCE] = DataElement(SEGMENT_IDENTIFICATION_SEQUENCE, "SQ", [named])
    return groups


def _write_pixels(result: Dataset, encoded: EncodedMasks, shape: tuple[int, int]) -> None:
    result.Rows, result.Columns = shape
    result.NumberOfFrames = encoded.frames
    result.SamplesPerPixel, result.PhotometricInterpretation = 1, "MONOCHROME2"
    result.PixelRepresentation = 0
    result.BitsAllocated = result.BitsStored = encoded.bits
    result.HighBit = encoded.bits - 1
    result.SegmentationType = str(encoded.type)
    result.SegmentsOverlap = "NO" if encoded.type is SegmentationType.LABELMAP else "YES"
    if encoded.type is SegmentationType.FRACTIONAL:
        result.SegmentationFractionalType, result.MaximumFractionalValue = "OCCUPANCY", FULL
    if encoded.type is SegmentationType.LABELMAP:
        result.add_new("PixelPaddingValue", "US", BACKGROUND)
    result.PixelData = encoded.pixel_data
    result["PixelData"].VR = "OB"
    result["PixelData"].is_undefined_length = encoded.transfer_syntax.is_encapsulated
