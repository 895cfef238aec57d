"""Several cases in a folder, enhanced and compressed CTs, what was passed over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from pipeline_training.errors import VolumeError
from pipeline_training.intake.case import load_case, load_cases, read_case
from pipeline_training.intake.ct import CtVolume

# fmt: off
COMMON = (
    "PatientID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "SamplesPerPixel", "Rows", "Columns",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)
# fmt: on
WriteSeries = Callable[..., list[pydicom.Dataset]]


def hu_of(folder: Path) -> Any:
    volume = load_case(folder)
    assert isinstance(volume, CtVolume)
    return volume.hu


def enhanced(images: list[pydicom.Dataset]) -> pydicom.Dataset:
    """Return the images as the frames of one Enhanced CT Image, their order shuffled."""
    one = pydicom.Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = EnhancedCTImageStorage
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = generate_uid()
    for keyword in COMMON:
        setattr(one, keyword, getattr(images[0], keyword))
    one.ImageType, one.NumberOfFrames = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], len(images)
    shuffled = np.random.default_rng(0).permutation(len(images))
    one.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
    shared = one.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence = [item(images[0], "PixelSpacing")]
    shared.PlaneOrientationSequence = [item(images[0], "ImageOrientationPatient")]
    one.PerFrameFunctionalGroupsSequence = []
    for number in shuffled:
        frame = pydicom.Dataset()
        frame.PlanePositionSequence = [item(images[number], "ImagePositionPatient")]
        frame.PixelValueTransformationSequence = [
            item(images[number], "RescaleSlope", "RescaleIntercept", "RescaleType")
        ]
        one.PerFrameFunctionalGroupsSequence.append(frame)
    one.PixelData = b"".join(images[number].PixelData for number in shuffled)
    return one


def item(image: pydicom.Dataset, *keywords: str) -> pydicom.Dataset:
    answer = pydicom.Dataset()
    for keyword in keywords:
        setattr(answer, keyword, getattr(image, keyword))
    return answer


def test_frames_of_an_enhanced_ct_are_sorted_by_their_place(
    write_series: WriteSeries, chest: Any, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    whole = enhanced(write_series(tmp_path / "single", plane="coronal"))
    whole.save_as(tmp_path / "a" / "x", enforce_file_format=True)
    np.testing.assert_array_equal(hu_of(tmp_path / "a"), chest.hu)


def test_enhanced_ct_without_rescale_is_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    whole = enhanced(write_series(tmp_path / "single"))
    del whole.PerFrameFunctionalGroupsSequence[4].PixelValueTransformationSequence
    whole.save_as(tmp_path / "a" / "x", enforce_file_format=True)
    with pytest.raises(VolumeError, match="a: RescaleSlope or RescaleIntercept is missing"):
        load_case(tmp_path / "a")


def test_compressed_images_are_decoded(write_series: WriteSeries, chest: Any, tmp_path: Path) -> None:
    for image in write_series(tmp_path / "a"):
        image.compress(RLELossless, generate_instance_uid=False)
        image.save_as(tmp_path / "a" / f"{image.SOPInstanceUID}.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(hu_of(tmp_path / "a"), chest.hu)


def test_each_series_of_a_folder_becomes_a_case(
    write_series: WriteSeries, chest: Any, tmp_path: Path
) -> None:
    write_series(tmp_path / "a", uid="1.2.3.1")
    write_series(tmp_path / "a", uid="1.2.3.2", plane="sagittal")
    cases = list(load_cases(tmp_path / "a"))
    assert len({case.volume.case for case in cases}) == 2
    for case in cases:
        assert case.volume.case.startswith("a-")
        np.testing.assert_array_equal(case.volume.hu, chest.hu)


def test_what_was_passed_over_is_told(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    (tmp_path / "a" / "notes.txt").write_text("hello")
    (tmp_path / "a" / ".hidden").write_text("hello")
    picture = write_series(tmp_path / "b", uid="1.2.3.4")[0]
    picture.Modality, picture.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
    picture.file_meta.MediaStorageSOPClassUID = picture.SOPClassUID
    picture.save_as(tmp_path / "a" / "mr.dcm", enforce_file_format=True)
    assert read_case(tmp_path / "a").remarks == ("1 objects of modality MR", "1 files that are not DICOM")


def test_other_spacing_may_be_asked_for(write_series: WriteSeries, chest: Any, tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    volume = load_case(tmp_path / "a", spacing_mm=3.0)
    assert isinstance(volume, CtVolume)
    assert (volume.hu.shape, volume.spacing_mm) == ((7, 5, 8), 3.0)


def test_slices_beside_their_line_are_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    def moved(number: int, image: pydicom.Dataset) -> None:
        if number == 4:
            image.ImagePositionPatient = [-18.0, *image.ImagePositionPatient[1:]]

    write_series(tmp_path / "a", edit=moved)
    with pytest.raises(
        VolumeError, match=r"the slice at -404\.50 mm lies 2\.00 mm beside the line of the others"
    ):
        load_case(tmp_path / "a")


def test_uneven_slices_are_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    def uneven(number: int, image: pydicom.Dataset) -> None:
        if number == 4:
            image.ImagePositionPatient = [*image.ImagePositionPatient[:2], -404.1]

    write_series(tmp_path / "a", edit=uneven)
    words = r"the slices are unevenly spaced between the positions -406\.00 and -404\.10 mm"
    with pytest.raises(VolumeError, match=words):
        load_case(tmp_path / "a")


def test_light_on_dark_is_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    def inverted(_: int, image: pydicom.Dataset) -> None:
        image.PhotometricInterpretation = "MONOCHROME1"

    write_series(tmp_path / "a", edit=inverted)
    with pytest.raises(VolumeError, match="PhotometricInterpretation is MONOCHROME1, not MONOCHROME2"):
        load_case(tmp_path / "a")
