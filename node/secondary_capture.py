"""From masks and measurements to a picture as a Secondary Capture Image (PS3.3 A.8.1).

For viewers that show nothing but images. The picture is upright and smaller than the radiograph, has a legend
and a strip that says what made it; nobody can measure in it, and no pixel spacing is stated.
"""

from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from ai.caption import Rgb, with_caption
from ai.measurement import Measurements
from ai.orientation import USUAL
from ai.overlay import draw_overlay
from ai.segmentation import ModelIdentity, Segmentation
from node.attributes import text, texts
from node.codes import SEGMENTATION, SOURCE_IMAGE, code_item
from node.lossy import write_lossy_compression
from node.options import OutputOptions
from node.reader import Source
from node.result_header import (
    MANUFACTURER,
    SECONDARY_CAPTURE,
    model_version,
    software_version,
    write_file_meta,
    write_header,
)

WORKSTATION = "WSD"
"""Conversion Type of a picture that a computer made of images (PS3.3 C.8.6.1)."""

FRONTAL = USUAL.letters
"""Patient Orientation of an upright frontal view."""

NOT_FOR_DIAGNOSIS = "not for diagnosis"


def write_secondary_capture(
    source: Source, segmentation: Segmentation, measurements: Measurements, options: OutputOptions
) -> Dataset:
    """Return the picture of `ai.overlay.draw_overlay` below a strip that says what made it.

    Args:
        source: The radiograph.
        segmentation: What was found in it.
        measurements: What was measured.
        options: What is written, and how.
    """
    picture = draw_overlay(source.radiograph, segmentation, measurements)
    result = Dataset()
    result.SOPClassUID = SecondaryCaptureImageStorage
    write_header(result, SECONDARY_CAPTURE, source, segmentation.model, options)
    _write_general_image(result, source)
    _write_device(result)
    write_lossy_compression(result, source)
    _write_derivation(result, source, segmentation.model)
    _write_pixels(result, with_caption(picture, caption(segmentation.model, options)))
    write_file_meta(result)
    return result


def caption(model: ModelIdentity, options: OutputOptions) -> tuple[str, ...]:
    """Return the sentences that are burnt into the picture.

    >>> caption(ModelIdentity("chest", "1.2", 64 * "a"), OutputOptions())[0]
    'AI / RESEARCH, not for diagnosis'
    """
    qualification = options.content_qualification
    use = f", {NOT_FOR_DIAGNOSIS}" if qualification == "RESEARCH" else ""
    return (
        f"AI / {qualification}{use}",
        f"model {model.id} {model_version(model)}",
        f"paxnode {software_version()}",
    )


def _write_general_image(result: Dataset, source: Source) -> None:
    result.SeriesDescription, result.BodyPartExamined = "Chest anatomy picture (AI)", "CHEST"
    result.ImageType = ["DERIVED", "SECONDARY"]
    result.PatientOrientation = _orientation(source)
    # strip and legend identify nobody; what is burnt into the source is in the picture too
    stated = text(source.dataset, "BurnedInAnnotation")
    if stated in {"YES", "NO"}:
        result.BurnedInAnnotation = stated
    face = text(source.dataset, "RecognizableVisualFeatures")
    result.RecognizableVisualFeatures = "YES" if face == "YES" else "NO"


def _orientation(source: Source) -> list[str]:
    """Return Patient Orientation of the picture (PS3.3 C.7.6.1.1.1), nothing where it is not known."""
    if not source.radiograph.view.is_lateral:
        return list(FRONTAL)
    lies = list(texts(source.dataset, "PatientOrientation"))
    return lies if source.orientation.is_usual and len(lies) == 2 and all(lies) else []


def _write_device(result: Dataset) -> None:
    result.ConversionType = WORKSTATION
    result.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    result.SecondaryCaptureDeviceManufacturerModelName = MANUFACTURER
    result.SecondaryCaptureDeviceSoftwareVersions = f"paxnode {software_version()}"[:64]
    result.DateOfSecondaryCapture, result.TimeOfSecondaryCapture = result.ContentDate, result.ContentTime


def _write_derivation(result: Dataset, source: Source, model: ModelIdentity) -> None:
    result.DerivationDescription = (
        "Picture of the radiograph with the anatomy and measurements that a neural network found, "
        f"{model.id} {model_version(model)}"
    )
    result.DerivationCodeSequence = [code_item(SEGMENTATION)]
    image = Dataset()
    image.ReferencedSOPClassUID = source.dataset.SOPClassUID
    image.ReferencedSOPInstanceUID = source.dataset.SOPInstanceUID
    image.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    image.SpatialLocationsPreserved = "NO"
    result.SourceImageSequence = [image]


def _write_pixels(result: Dataset, picture: Rgb) -> None:
    result.Rows, result.Columns = picture.shape[:2]
    result.SamplesPerPixel, result.PhotometricInterpretation, result.PlanarConfiguration = 3, "RGB", 0
    result.BitsAllocated, result.BitsStored, result.HighBit = 8, 8, 7
    result.PixelRepresentation = 0
    pixels = picture.tobytes()
    result.PixelData = pixels + bytes(len(pixels) % 2)  # of even length (PS3.5 8.1.1)
    result["PixelData"].VR = "OB"
