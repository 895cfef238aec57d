"""Corrected masks as DICOM SEG, written by highdicom as another program would, and as folders of pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from pipeline_training.corrected import source_of
from pipeline_training.dataset import GRID
from pipeline_training.errors import RadiographSetError
from pipeline_training.seg_folders import image_hash, patient_hash, read_corrected

SHAPE = (96, 80)
NAMES = ("heart", "aorta", "trachea")


def ramp() -> npt.NDArray[np.uint16]:
    return np.tile(np.linspace(0, 4000, SHAPE[1]).astype(np.uint16), (SHAPE[0], 1))


def radiograph(patient: str = "A", **attributes: Any) -> Dataset:
    """Return a DX image for presentation, grey values rising from left to right."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.FrameOfReferenceUID = generate_uid()
    image.PatientID, image.PatientName, image.PatientBirthDate, image.PatientSex = patient, "", "", ""
    image.AccessionNumber, image.StudyID, image.StudyDate, image.StudyTime = "", "", "", ""
    image.ReferringPhysicianName, image.Modality, image.InstanceNumber = "", "DX", 1
    image.PatientOrientation, image.ViewPosition = ["L", "F"], "PA"
    image.Rows, image.Columns = SHAPE
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = ramp().tobytes()
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


def masks() -> npt.NDArray[np.uint8]:
    """Return (rows, columns, segments): a box, another one, and nothing."""
    drawn = np.zeros((*SHAPE, len(NAMES)), np.uint8)
    drawn[20:60, 30:70, 0] = 1
    drawn[10:30, 35:45, 1] = 1
    return drawn


def seg_of(image: Dataset, drawn: npt.NDArray[np.uint8], names: tuple[str, ...] = NAMES) -> Segmentation:
    """Return the SEG that highdicom makes of masks on an image."""
    algorithm = AlgorithmIdentificationSequence(
        name="tester", version="1", family=codes.DCM.ArtificialIntelligence
    )
    described = [
        SegmentDescription(number, name, codes.SCT.Organ, codes.SCT.Heart, "SEMIAUTOMATIC", algorithm)
        for number, name in enumerate(names, start=1)
    ]
    return Segmentation(
        [image], drawn[None], "BINARY", described, generate_uid(), 7, generate_uid(), 1, "maker", "model",
        "1", "serial", omit_empty_frames=True,
    )  # fmt: skip


def store(folder: Path, name: str, dataset: Dataset) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    dataset.save_as(folder / name, enforce_file_format=True)
    return folder


@pytest.fixture
def pair() -> tuple[Dataset, Dataset]:
    image = radiograph()
    return image, seg_of(image, masks())


def test_segments_lie_where_they_were_drawn(pair: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    store(tmp_path / "deep", "image.dcm", pair[0])
    store(tmp_path, "seg.dcm", pair[1])
    (tmp_path / "note.txt").write_text("not DICOM")
    (found,) = read_corrected(tmp_path)
    assert (found.name, found.structures) == ("image.dcm", frozenset(NAMES))
    drawn = found.read()
    for number, name in enumerate(NAMES):
        assert np.array_equal(drawn.dense(name), masks()[:, :, number] > 0), name
    assert drawn.masks["trachea"] is None, "a segment without a frame: known not to be there"
    source = source_of(found, ("heart", "trachea"))
    assert source.coverage.shape == (2, GRID, GRID)
    assert source.coverage[0].sum() > 0 == source.coverage[1].sum()


def test_images_of_one_file_name_are_told_apart_by_what_tells_nobody(tmp_path: Path) -> None:
    """Exports often number the files of each patient anew: p1/IM1, p2/IM1."""
    images = [radiograph("A"), radiograph("B")]
    for number, image in enumerate(images):
        folder = store(tmp_path / f"p{number}", "IM1", image)
        store(folder, "SEG1", seg_of(image, masks()))
    found = read_corrected(tmp_path)
    assert [each.name for each in found] == ["IM1", "IM1"]
    keys = {each.key for each in found}
    assert keys == {image_hash(image.SOPInstanceUID) for image in images}
    assert len(keys) == len(images)
    assert not any(image.SOPInstanceUID in key or "IM1" in key for key in keys for image in images)


def test_grey_values_rise_with_absorption(tmp_path: Path) -> None:
    plain, turned, rescaled = (
        radiograph(),
        radiograph(PhotometricInterpretation="MONOCHROME1", PixelData=(4000 - ramp()).tobytes()),
        radiograph(RescaleSlope="2", RescaleIntercept="-100", WindowCenter="3900", WindowWidth="8000"),
    )
    for number, image in enumerate((plain, turned, rescaled)):
        folder = store(tmp_path / str(number), "image.dcm", image)
        store(folder, "seg.dcm", seg_of(image, masks()))
        (found,) = read_corrected(folder)
        np.testing.assert_allclose(found.read().radiograph.pixels, ramp() / 4000, atol=0.01)


def test_padding_is_black_and_does_not_count(tmp_path: Path) -> None:
    padded = ramp() + 1000
    padded[:, :10] = 0
    padded[:, 10:12] = 5
    image = radiograph(
        PixelData=padded.tobytes(), PixelPaddingValue=0, PixelPaddingRangeLimit=5, BitsStored=16, HighBit=15,
        PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    store(store(tmp_path, "image.dcm", image), "seg.dcm", seg_of(image, masks()))
    (found,) = read_corrected(tmp_path)
    pixels = found.read().radiograph.pixels
    assert pixels[:, :12].max() == 0
    assert (pixels[0, 12], pixels[0, -1]) == (1, 0)


def test_patients_are_told_apart_by_a_hash_of_their_id() -> None:
    assert patient_hash("a", radiograph("A")) == patient_hash("b", radiograph("A"))
    assert len({patient_hash("a", image) for image in (
        radiograph("A"), radiograph("B"), radiograph("A", IssuerOfPatientID="other")
    )}) == 3  # fmt: skip
    assert "SECRET" not in patient_hash("a", radiograph("SECRET"))
    with pytest.raises(RadiographSetError, match=r"a\.dcm: Patient ID is empty"):
        patient_hash("a.dcm", radiograph(""))


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"ViewPosition": "LL"}, "View Position LL"),
        ({"PatientOrientation": ["R", "F"]}, r"Patient Orientation R\\F"),
        ({"PhotometricInterpretation": "RGB"}, "Photometric Interpretation RGB"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, "SOP Class UID .*1.1.1.1.1"),
        ({"NumberOfFrames": 2}, "Number of Frames 2"),
    ],
)
def test_radiographs_that_are_not_plain_are_refused_by_name(
    attributes: dict[str, Any], told: str, pair: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    image, seg = pair
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    store(store(tmp_path, "image.dcm", image), "seg.dcm", seg)
    with pytest.raises(RadiographSetError, match=rf"image\.dcm: {told}"):
        read_corrected(tmp_path)


def without_radiograph(folder: Path, image: Dataset, seg: Dataset) -> None:
    store(folder, "seg.dcm", seg)


def other_grid(folder: Path, image: Dataset, seg: Dataset) -> None:
    seg.Rows = 48
    store(store(folder, "image.dcm", image), "seg.dcm", seg)


def unknown_label(folder: Path, image: Dataset, seg: Dataset) -> None:
    seg.SegmentSequence[0].SegmentLabel = "hearth"
    store(store(folder, "image.dcm", image), "seg.dcm", seg)


def same_label_twice(folder: Path, image: Dataset, seg: Dataset) -> None:
    seg.SegmentSequence[1].SegmentLabel = "heart"
    store(store(folder, "image.dcm", image), "seg.dcm", seg)


def two_segs(folder: Path, image: Dataset, seg: Dataset) -> None:
    store(store(folder, "image.dcm", image), "seg.dcm", seg)
    store(folder, "seg2.dcm", seg_of(image, masks()))


def broken(folder: Path, image: Dataset, seg: Dataset) -> None:
    del seg.SegmentSequence
    store(store(folder, "image.dcm", image), "seg.dcm", seg)


def nothing(folder: Path, image: Dataset, seg: Dataset) -> None:
    store(folder, "image.dcm", image)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (without_radiograph, r"seg\.dcm: its radiograph .* is not in"),
        (other_grid, r"seg\.dcm has \(48, 80\) rows and columns, its radiograph image\.dcm \(96, 80\)"),
        (unknown_label, "seg.dcm: Segment Label: .*'hearth'; the nearest known one is 'heart'"),
        (same_label_twice, "two segments are labelled 'heart'"),
        (two_segs, r"seg\.dcm and seg2\.dcm both say where 'heart' is"),
        (broken, r"seg\.dcm cannot be read: AttributeError"),
        (nothing, "neither an images/ folder nor a DICOM SEG"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    write: Callable[[Path, Dataset, Dataset], None],
    told: str,
    pair: tuple[Dataset, Dataset],
    tmp_path: Path,
) -> None:
    write(tmp_path, *pair)
    with pytest.raises(RadiographSetError, match=told):
        read_corrected(tmp_path)


def test_seg_that_names_its_radiograph_only_as_a_reference_is_matched(
    pair: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    image, seg = pair
    for frame in seg.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    store(store(tmp_path, "image.dcm", image), "seg.dcm", seg)
    (found,) = read_corrected(tmp_path)
    assert np.array_equal(found.read().dense("aorta"), masks()[:, :, 1] > 0)
    assert pydicom.dcmread(tmp_path / "seg.dcm").SeriesNumber == 7
    assert highdicom.seg.segread(tmp_path / "seg.dcm").number_of_segments == len(NAMES)
