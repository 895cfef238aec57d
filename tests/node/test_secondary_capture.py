"""The secondary capture as a reader of its bytes sees it."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from ai.caption import with_caption
from ai.measure import measure
from ai.measurement import Measurements
from ai.overlay import draw_overlay
from ai.radiograph import View
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from node.errors import RefusedImageError
from node.options import OutputOptions
from node.orientation import frontal_orientation
from node.reader import Source, read_radiograph
from node.result_header import software_version
from node.secondary_capture import caption, write_secondary_capture

MakeDx = Callable[..., Dataset]
OPTIONS = OutputOptions()
TYPE_2 = ("PatientID", "PatientBirthDate", "AccessionNumber", "StudyID", "StudyDate")


def _through_bytes(dataset: Dataset) -> BytesIO:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return content


class Written:
    """A secondary capture, and what it was made of."""

    def __init__(self, dataset: Dataset) -> None:
        self.source: Source = read_radiograph(_through_bytes(dataset))
        self.segmentation: Segmentation = StandInSegmenter().segment([self.source.radiograph])[0]
        self.measurements: Measurements = measure(self.source.radiograph, self.segmentation)
        self.capture = self.write()

    def write(self, options: OutputOptions = OPTIONS) -> Dataset:
        made = write_secondary_capture(self.source, self.segmentation, self.measurements, options)
        return dcmread(_through_bytes(made))

    def overlay(self) -> npt.NDArray[np.uint8]:
        return draw_overlay(self.source.radiograph, self.segmentation, self.measurements)


def _without(dataset: Dataset, keywords: Sequence[str]) -> Dataset:
    for keyword in keywords:
        delattr(dataset, keyword)
    return dataset


@pytest.fixture(scope="module")
def written(make_dx: MakeDx) -> Written:
    return Written(make_dx())


SOURCES: dict[str, Callable[[MakeDx], Dataset]] = {
    "dx": lambda make: make(),
    "monochrome1": lambda make: make(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "cr": lambda make: make(SOPClassUID=ComputedRadiographyImageStorage, Modality="CR"),
    "sc": lambda make: make(SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", BodyPartExamined=""),
    "no type 2": lambda make: _without(make(), TYPE_2),
    "no spacing": lambda make: _without(make(), ["ImagerPixelSpacing"]),
    "odd size": lambda make: make(rows=1251, columns=1123),
    "mirrored": lambda make: make(PatientOrientation=["R", "F"]),
    "frame of reference": lambda make: make(FrameOfReferenceUID=generate_uid()),
    "lossy": lambda make: make(
        LossyImageCompression="01",
        LossyImageCompressionRatio="12",
        LossyImageCompressionMethod="ISO_10918_1",
    ),
    "silent": lambda make: _without(make(), ["PatientOrientation", "ViewPosition", "BurnedInAnnotation"]),
    "japanese": lambda make: make(
        SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎"
    ),
}


def _dciodvfy_errors(dataset: Dataset, folder: Path) -> list[str]:
    """Return what dciodvfy (dicom3tools) finds, and nothing where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        return []
    path = folder / "capture.dcm"
    dataset.save_as(path, enforce_file_format=True)
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith(("Error", "Abort"))]


@pytest.mark.parametrize("name", SOURCES)
def test_a_secondary_capture_conforms_and_shows_the_overlay_below_its_strip(
    make_dx: MakeDx, tmp_path: Path, name: str
) -> None:
    written = Written(SOURCES[name](make_dx))
    capture = written.capture
    assert _dciodvfy_errors(capture, tmp_path) == []
    overlay = written.overlay()
    pixels = capture.pixel_array
    strip = pixels.shape[0] - overlay.shape[0]
    assert strip > 15
    assert np.array_equal(pixels[strip:], overlay)
    assert len(capture.PixelData) % 2 == 0


def test_it_is_a_colour_image_of_eight_bits(written: Written) -> None:
    capture = written.capture
    assert capture.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (capture.SamplesPerPixel, capture.PhotometricInterpretation) == (3, "RGB")
    assert (capture.BitsAllocated, capture.BitsStored, capture.HighBit) == (8, 8, 7)
    assert capture["PixelData"].VR == "OB"


def test_it_belongs_to_the_study_and_names_its_source(written: Written) -> None:
    capture, dataset = written.capture, written.source.dataset
    assert (capture.Modality, capture.SeriesNumber) == ("OT", OPTIONS.series_number_base + 4)
    assert (capture.StudyInstanceUID, capture.PatientID) == (dataset.StudyInstanceUID, dataset.PatientID)
    assert capture.SeriesInstanceUID != dataset.SeriesInstanceUID
    assert (list(capture.ImageType), capture.ConversionType) == (["DERIVED", "SECONDARY"], "WSD")
    (image,) = capture.SourceImageSequence
    assert image.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    assert image.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert capture.DerivationCodeSequence[0].CodeValue == "113076"
    assert written.segmentation.model.id in capture.DerivationDescription


def test_the_same_image_gives_the_same_uids_and_pixels(written: Written) -> None:
    again = written.write()
    assert again.SOPInstanceUID == written.capture.SOPInstanceUID
    assert again.PixelData == written.capture.PixelData


@pytest.mark.parametrize("qualification", ["RESEARCH", "PRODUCT", "SERVICE"])
def test_the_strip_says_what_made_it_and_what_it_is_for(written: Written, qualification: str) -> None:
    options = OutputOptions(content_qualification=qualification)
    model = written.segmentation.model
    use, made_by, program = caption(model, options)
    assert use.startswith(f"AI / {qualification}")
    assert ("not for diagnosis" in use) == (qualification == "RESEARCH")
    assert made_by == f"model stand-in 1 ({model.sha256[:12]})"
    assert program == f"paxnode {software_version()}"
    shown = written.write(options).pixel_array
    assert np.array_equal(shown, with_caption(written.overlay(), (use, made_by, program)))


@pytest.mark.parametrize("lies", ["RF", "LH", "FL", "HR"])
def test_the_picture_is_upright_however_the_source_lies(make_dx: MakeDx, written: Written, lies: str) -> None:
    orientation = frontal_orientation(*lies)
    assert orientation is not None
    stored = orientation.to_stored(make_dx().pixel_array)
    attributes = {"PatientOrientation": list(lies), "PixelData": stored.tobytes()}
    turned = Written(make_dx(*stored.shape, ImagerPixelSpacing=[350 / 256, 350 / 256], **attributes))
    assert np.array_equal(turned.capture.pixel_array, written.capture.pixel_array)
    assert list(turned.capture.PatientOrientation) == ["L", "F"]


def test_monochrome1_is_shown_with_bright_bone(make_dx: MakeDx, written: Written) -> None:
    values = 4095 - make_dx().pixel_array
    attributes = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    capture = Written(make_dx(PixelData=values.tobytes(), **attributes)).capture
    differences = np.abs(capture.pixel_array.astype(int) - written.capture.pixel_array.astype(int))
    assert differences.max() <= 2


def test_a_lateral_picture_has_the_orientation_of_its_source_or_none(written: Written) -> None:
    lateral = replace(written.source.radiograph, view=View.LEFT_LATERAL)
    dataset = Dataset()
    dataset.update(written.source.dataset)
    for stated in (["A", "F"], []):
        dataset.PatientOrientation = stated
        source = replace(written.source, radiograph=lateral, dataset=dataset)
        capture = write_secondary_capture(source, written.segmentation, written.measurements, OPTIONS)
        assert list(dcmread(_through_bytes(capture)).get("PatientOrientation") or []) == stated


@pytest.mark.parametrize("stated", ["YES", "NO", None])
def test_what_is_burnt_into_the_source_is_burnt_into_the_picture(make_dx: MakeDx, stated: str | None) -> None:
    dataset = make_dx(RecognizableVisualFeatures=stated)
    del dataset.BurnedInAnnotation
    if stated:
        dataset.BurnedInAnnotation = stated
    capture = Written(dataset).capture
    assert capture.get("BurnedInAnnotation") == stated
    assert capture.RecognizableVisualFeatures == (stated or "NO")


def test_a_picture_that_is_sent_back_is_not_segmented_again(written: Written) -> None:
    with pytest.raises(RefusedImageError, match="coloured"):
        read_radiograph(_through_bytes(written.capture))


def test_nothing_can_be_measured_in_it(written: Written) -> None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        assert keyword not in written.capture


def test_without_structures_the_picture_still_says_what_made_it(written: Written) -> None:
    nothing = replace(written.segmentation, masks={})
    measurements = measure(written.source.radiograph, nothing)
    capture = write_secondary_capture(written.source, nothing, measurements, OPTIONS)
    overlay = draw_overlay(written.source.radiograph, nothing, measurements)
    assert dcmread(_through_bytes(capture)).Rows > overlay.shape[0]
