"""From masks and measurements to a Grayscale Softcopy Presentation State (PS3.3 A.33.1) on the source image.

For viewers that show no Segmentation: outlines, lines and values are vectors, and the image itself is the
source, shown as it wants to be shown. It is not turned: everything lies on the pixels as stored.
"""

from pydicom import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from ai.measurement import Measurements
from ai.overlay import readable_subset
from ai.segmentation import ModelIdentity, Segmentation
from node.attributes import number, numbers
from node.display_shutter import write_display_shutter
from node.graphic_annotation import OVERLAYS, Annotations
from node.options import OutputOptions
from node.reader import Source
from node.result_header import PRESENTATION_STATE, model_version, uids_of, write_file_meta, write_header
from node.softcopy_lut import write_softcopy_luts

OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
OVERLAY_DATA, OVERLAY_ACTIVATION_LAYER = 0x3000, 0x1001
"""Elements of the repeating group 60xx (PS3.3 C.9.2, C.11.7). Some films have their side marker in it."""

OF_OTHER_RESULTS = ("ContentDate", "ContentTime", "ContentQualification")
"""In the header of all results, and not of this IOD (PS3.3 A.33.1); the mark says what it may be used for."""

SQUARE = (1, 1)
"""Presentation Pixel Aspect Ratio where nothing tells another."""


def can_be_presented(source: Source) -> bool:
    """Whether such a presentation state may refer to the source: it is one of grayscale images only."""
    return number(source.dataset, "SamplesPerPixel", 1) == 1


def write_presentation_state(
    source: Source, segmentation: Segmentation, measurements: Measurements, options: OutputOptions
) -> Dataset:
    """Return the presentation state of a radiograph: how it is shown, and what is drawn over it.

    Args:
        source: The radiograph; `can_be_presented` holds of it.
        segmentation: What was found in it.
        measurements: What was measured.
        options: What is written, and how.

    Raises:
        ValueError: If the source's pixels are stored in colour.
    """
    if not can_be_presented(source):
        raise ValueError("Samples per Pixel 3: a grayscale presentation state cannot refer to a colour image")
    result = Dataset()
    result.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    write_header(result, PRESENTATION_STATE, source, segmentation.model, options)
    _write_identification(result)
    _write_relationship(result, source)
    write_display_shutter(result, source.dataset)
    result.DisplayedAreaSelectionSequence = [_displayed_area(source)]
    _write_annotations(result, source, segmentation, measurements, options)
    write_softcopy_luts(result, source)
    write_file_meta(result)
    return result


def mark(model: ModelIdentity, options: OutputOptions) -> str:
    """Return the words that say what made the drawings, and what they may be used for."""
    return f"AI, {options.content_qualification}: {model.id} {model_version(model)}"


def _write_identification(result: Dataset) -> None:
    result.SeriesDescription, result.BodyPartExamined = "Chest outlines (AI)", "CHEST"
    result.ContentLabel = "CHEST_ANATOMY"
    result.ContentDescription = "Anatomy and measurements found by a neural network"
    result.ContentCreatorName = ""
    result.PresentationCreationDate = result.ContentDate
    result.PresentationCreationTime = result.ContentTime
    for keyword in OF_OTHER_RESULTS:
        delattr(result, keyword)


def _write_relationship(result: Dataset, source: Source) -> None:
    image, series = Dataset(), Dataset()
    image.ReferencedSOPClassUID = source.dataset.SOPClassUID
    image.ReferencedSOPInstanceUID = source.dataset.SOPInstanceUID
    series.SeriesInstanceUID = source.dataset.SeriesInstanceUID
    series.ReferencedImageSequence = [image]
    result.ReferencedSeriesSequence = [series]


def _displayed_area(source: Source) -> Dataset:
    """Return the whole image, as large as there is room (PS3.3 C.10.4)."""
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [source.shape[1], source.shape[0]]
    area.PresentationSizeMode = "SCALE TO FIT"
    spacing = source.radiograph.spacing
    if spacing is not None:
        stored = source.orientation.spacing_to_usual(spacing)  # its own inverse
        area.PresentationPixelSpacing = [f"{stored.row_mm:.10g}", f"{stored.column_mm:.10g}"]
    else:
        area.PresentationPixelAspectRatio = list(_aspect_ratio(source.dataset))
    return area


def _aspect_ratio(dataset: Dataset) -> tuple[int, int]:
    stated = numbers(dataset, "PixelAspectRatio")
    if len(stated) == 2 and all(value >= 1 and value == round(value) for value in stated):
        return round(stated[0]), round(stated[1])
    return SQUARE


def _overlay_groups(dataset: Dataset) -> list[int]:
    """Return the groups of the image's overlay planes; a viewer shows those that are activated (C.11.7)."""
    found = (group for group in OVERLAY_GROUPS if (group, OVERLAY_DATA) in dataset)
    return [group for group in found if dataset.get_item((group, OVERLAY_DATA)).value]


def _write_annotations(
    result: Dataset,
    source: Source,
    segmentation: Segmentation,
    measurements: Measurements,
    options: OutputOptions,
) -> None:
    annotations = Annotations(source, uids_of(source, segmentation.model, options))
    annotations.add_structures(segmentation)
    drawn = {item.name for item in readable_subset(segmentation)}
    annotations.add_measurements(measurements, drawn)
    annotations.add_mark(mark(segmentation.model, options), measurements.legend)
    for group in _overlay_groups(source.dataset):
        annotations.add_overlays()
        result.add_new((group, OVERLAY_ACTIVATION_LAYER), "CS", OVERLAYS.name)
    result.GraphicAnnotationSequence = annotations.items
    result.GraphicLayerSequence = annotations.layers
