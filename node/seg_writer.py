"""From masks to a Segmentation (PS3.3 A.51) on the source image's own grid.

A SEG pixel is a pixel of the source: same Rows and Columns, the source in Derivation Image Sequence, no
position or orientation that the source does not have (docs/dicom.md has what viewers need beyond that).
"""

from collections.abc import Sequence

from highdicom.color import CIELabColor
from pydicom import Dataset
from pydicom.uid import UID, SegmentationStorage

from ai.labels import Label, label
from ai.segmentation import Mask, ModelIdentity, Segmentation
from node.attributes import texts
from node.codes import ARTIFICIAL_INTELLIGENCE, SEGMENTATION, SOURCE_IMAGE, code_item
from node.identity import UidMaker
from node.lossy import write_lossy_compression
from node.mask_encoding import FULL, encode
from node.options import OutputOptions
from node.orientation import frontal_orientation
from node.reader import Source
from node.result_header import model_version, uids_of, write_file_meta, write_header

NOMINAL_THICKNESS_MM = 1.0
"""Slice Thickness, which readers of Pixel Measures expect; a projection has none."""

IDENTITY_ORIENTATION = [1, 0, 0, 0, 1, 0]
REFERENCED_SEGMENT_NUMBER = 0x0062000B
SEGMENT_IDENTIFICATION_SEQUENCE = 0x0062000A


def write_segmentation(source: Source, segmentation: Segmentation, options: OutputOptions) -> Dataset:
    """Return the Segmentation of a radiograph; empty structures make no segment.

    Args:
        source: The radiograph that was segmented.
        segmentation: What was found in it, at least one structure.
        options: What is written, and how.
    """
    labels = [label(name) for name in segmentation.masks]
    masks = [source.stored_mask(mask) for mask in segmentation.masks.values()]
    result = Dataset()
    result.SOPClassUID = SegmentationStorage
    write_header(result, "SEG", source, segmentation.model, options)
    _write_general_image(result, source)
    write_lossy_compression(result, source)
    uids = uids_of(source, segmentation.model, options)
    result.SegmentSequence = _segments(labels, segmentation.model, uids)
    _write_references(result, source)
    _write_dimensions(result, uids("SEG dimensions"))
    result.SharedFunctionalGroupsSequence = [_shared_groups(source, options)]
    derivation = _derivation(source)
    result.PerFrameFunctionalGroupsSequence = [
        _frame_groups(number, derivation) for number in range(1, len(labels) + 1)
    ]
    write_file_meta(result, _write_pixels(result, masks, source.shape))
    return result


def _write_general_image(result: Dataset, source: Source) -> None:
    result.ImageType = ["DERIVED", "PRIMARY"]
    result.SeriesDescription = "Chest anatomy (AI)"
    result.ContentLabel = "CHEST_ANATOMY"
    result.ContentDescription = "Anatomy found by a neural network"
    result.ContentCreatorName = ""
    lies = list(texts(source.dataset, "PatientOrientation"))
    is_lateral = source.radiograph.view.is_lateral
    if len(lies) == 2 and all(lies) and (is_lateral or frontal_orientation(*lies) == source.orientation):
        result.PatientOrientation = lies
    elif not is_lateral:  # not stated, not that of a frontal view, or contradicted by the pixels
        result.PatientOrientation = list(source.orientation.letters)
    if source.dataset.get("FrameOfReferenceUID"):
        result.FrameOfReferenceUID = source.dataset.FrameOfReferenceUID
        result.PositionReferenceIndicator = source.dataset.get("PositionReferenceIndicator", "")


def _segments(labels: Sequence[Label], model: ModelIdentity, uids: UidMaker) -> list[Dataset]:
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = [code_item(ARTIFICIAL_INTELLIGENCE)]
    algorithm.AlgorithmName, algorithm.AlgorithmVersion = model.id[:64], model_version(model)
    return [_segment(number, item, algorithm, uids) for number, item in enumerate(labels, start=1)]


def _segment(number: int, item: Label, algorithm: Dataset, uids: UidMaker) -> Dataset:
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, item.name
    segment.SegmentAlgorithmType = "AUTOMATIC"
    segment.SegmentAlgorithmName = f"{algorithm.AlgorithmName} {algorithm.AlgorithmVersion}"[:64]
    segment.SegmentationAlgorithmIdentificationSequence = [algorithm]
    segment.SegmentedPropertyCategoryCodeSequence = [code_item(item.category)]
    property_type = code_item(item.type)
    if item.modifiers:
        modifiers = [code_item(code) for code in item.modifiers]
        property_type.SegmentedPropertyTypeModifierCodeSequence = modifiers
    segment.SegmentedPropertyTypeCodeSequence = [property_type]
    segment.RecommendedDisplayCIELabValue = list(CIELabColor.from_rgb(*item.colour).value)
    segment.TrackingID, segment.TrackingUID = item.name, uids(f"structure {item.name}")
    return segment


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


def _derivation(source: Source) -> Dataset:
    image = _source_reference(source)
    image.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    image.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.SourceImageSequence = [image]
    derivation.DerivationCodeSequence = [code_item(SEGMENTATION)]
    return derivation


def _write_dimensions(result: Dataset, uid: str) -> None:
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    result.DimensionOrganizationSequence = [organization]
    index = Dataset()
    index.DimensionOrganizationUID = uid
    index.DimensionIndexPointer = REFERENCED_SEGMENT_NUMBER
    index.FunctionalGroupPointer = SEGMENT_IDENTIFICATION_SEQUENCE
    index.DimensionDescriptionLabel = "Segment"
    result.DimensionIndexSequence = [index]


def _shared_groups(source: Source, options: OutputOptions) -> Dataset:
    shared = Dataset()
    if source.radiograph.spacing is not None or options.ohif_orientation:
        shared.PixelMeasuresSequence = [_pixel_measures(source)]
    if options.ohif_orientation:
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


def _frame_groups(number: int, derivation: Dataset) -> Dataset:
    content, identification, groups = Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = [number]
    identification.ReferencedSegmentNumber = number
    groups.FrameContentSequence = [content]
    groups.SegmentIdentificationSequence = [identification]
    groups.DerivationImageSequence = [derivation]
    return groups


def _write_pixels(result: Dataset, masks: Sequence[Mask], shape: tuple[int, int]) -> UID:
    """Write the Image Pixel attributes; return the transfer syntax of the pixels."""
    encoded = encode(masks, shape)
    result.Rows, result.Columns = shape
    result.NumberOfFrames = len(masks)
    result.SamplesPerPixel, result.PhotometricInterpretation = 1, "MONOCHROME2"
    result.PixelRepresentation = 0
    result.BitsAllocated = result.BitsStored = encoded.bits
    result.HighBit = encoded.bits - 1
    result.SegmentsOverlap = "YES"
    result.SegmentationType = "BINARY" if encoded.bits == 1 else "FRACTIONAL"
    if encoded.bits == 8:
        result.SegmentationFractionalType, result.MaximumFractionalValue = "OCCUPANCY", FULL
    result.PixelData = encoded.pixel_data
    result["PixelData"].VR = "OB"
    result["PixelData"].is_undefined_length = encoded.transfer_syntax.is_encapsulated
    return encoded.transfer_syntax
