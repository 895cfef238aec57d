from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr.coding import CodedConcept
from pydicom.uid import generate_uid

from pipeline_training.errors import VolumeError
from pipeline_training.intake.case import load_case, read_case
from pipeline_training.intake.ct import CtVolume
from pipeline_training.volumes import LabelMap

WriteSeries = Callable[..., list[pydicom.Dataset]]
Masks = Mapping[str, npt.NDArray[np.bool_]]
LIVER, SKIN = "10200004", "39937001"


def write_seg(
    path: Path, images: list[pydicom.Dataset], masks: Masks, kind: str = "BINARY", code: str = SKIN
) -> None:
    """Write masks of the images' grid as segments that carry these labels and one code."""
    algorithm = AlgorithmIdentificationSequence("x", CodedConcept("123109", "DCM", "Manual"), "1")
    category = CodedConcept("91723000", "SCT", "Anatomical Structure")
    segments = [
        SegmentDescription(number, label, category, CodedConcept(code, "SCT", "x"), "AUTOMATIC", algorithm)
        for number, label in enumerate(masks, 1)
    ]
    pixels = np.stack(list(masks.values()), axis=-1).astype(np.uint8)
    make: Any = Segmentation
    make(images, pixels, kind, segments, generate_uid(), 9, generate_uid(), 1, "x", "x", "1", "1").save_as(
        path
    )


def loaded(folder: Path) -> LabelMap:
    volume = load_case(folder)
    assert isinstance(volume, LabelMap)
    return volume


@pytest.fixture
def prone(chest: Any) -> Masks:
    """The chest's masks on the grid of a series of which rows and columns run the other way."""
    return {name: mask[:, ::-1, ::-1] for name, mask in chest.masks.items()}


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_segments_land_where_they_lie(
    write_series: WriteSeries, chest: Any, prone: Masks, tmp_path: Path, kind: str
) -> None:
    images = write_series(tmp_path / "a", plane="prone")
    write_seg(tmp_path / "a" / "seg.dcm", images, prone, kind)
    volume = loaded(tmp_path / "a")
    assert volume.hu is not None
    np.testing.assert_array_equal(volume.hu, chest.hu)
    for name, mask in chest.masks.items():
        np.testing.assert_array_equal(volume.mask(name), mask, name)
    assert volume.vocabulary == set(chest.masks)
    assert len(volume.patient) == 16


def test_segmentation_of_few_slices_lands_on_them(
    write_series: WriteSeries, chest: Any, tmp_path: Path
) -> None:
    images = write_series(tmp_path / "a")
    part = {name: mask[2:11] for name, mask in chest.masks.items()}
    write_seg(tmp_path / "a" / "seg.dcm", images[2:11], part)
    volume = loaded(tmp_path / "a")
    lung = chest.masks["lung_left"].copy()
    lung[11:] = False
    np.testing.assert_array_equal(volume.mask("lung_left"), lung)


def test_names_may_be_ours_and_others_are_reported(
    write_series: WriteSeries, chest: Any, tmp_path: Path
) -> None:
    images = write_series(tmp_path / "a")
    names = {"lung_right": "Right lung", "lung_left": "left lung", "liver": "LIVER", "vertebrae_T5": "tumour"}
    write_seg(tmp_path / "a" / "seg.dcm", images, {ours: chest.masks[name] for name, ours in names.items()})
    case = read_case(tmp_path / "a")
    assert isinstance(case.volume, LabelMap)
    assert set(case.volume.names.values()) == {"lung_right", "lung_left", "liver"}
    assert case.remarks == ("seg.dcm: segment 4 'tumour' is no structure that is known",)


def test_unknown_name_is_taken_by_its_code(write_series: WriteSeries, chest: Any, tmp_path: Path) -> None:
    images = write_series(tmp_path / "a")
    masks = {name: chest.masks[name] for name in ("lung_right", "lung_left")}
    write_seg(tmp_path / "a" / "seg.dcm", images, masks | {"Leber": chest.masks["liver"]}, code=LIVER)
    np.testing.assert_array_equal(loaded(tmp_path / "a").mask("liver"), chest.masks["liver"])


def test_smaller_structure_stays_where_two_overlap(
    write_series: WriteSeries, chest: Any, tmp_path: Path
) -> None:
    images = write_series(tmp_path / "a")
    nodule = np.zeros_like(chest.masks["liver"])
    nodule[6:8, 4:6, 2:4] = True
    write_seg(tmp_path / "a" / "seg.dcm", images, {"kidney_left": nodule, **chest.masks})
    volume = loaded(tmp_path / "a")
    np.testing.assert_array_equal(volume.mask("kidney_left"), nodule)
    np.testing.assert_array_equal(volume.mask("lung_right"), chest.masks["lung_right"] & ~nodule)


def test_another_frame_of_reference_is_refused(write_series: WriteSeries, chest: Any, tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    images = write_series(tmp_path / "b", frame="1.2.3.4")
    write_seg(tmp_path / "a" / "seg.dcm", images, chest.masks)
    with pytest.raises(
        VolumeError, match=r"seg\.dcm has the frame of reference 1\.2\.3\.4, the CT's is 1\.2\.826"
    ):
        load_case(tmp_path / "a")


def test_flipped_segmentation_is_refused(write_series: WriteSeries, prone: Masks, tmp_path: Path) -> None:
    images = write_series(tmp_path / "a")
    write_seg(tmp_path / "a" / "seg.dcm", images, prone)
    with pytest.raises(
        VolumeError, match="a: the volume is flipped: the right lung lies left of the left lung"
    ):
        load_case(tmp_path / "a")


def test_two_segmentations_of_one_ct_are_refused(
    write_series: WriteSeries, chest: Any, tmp_path: Path
) -> None:
    images = write_series(tmp_path / "a")
    for name in ("one.dcm", "two.dcm"):
        write_seg(tmp_path / "a" / name, images, chest.masks)
    with pytest.raises(
        VolumeError, match=r"several objects label this CT: one\.dcm, two\.dcm: which one is meant"
    ):
        load_case(tmp_path / "a")


def test_fractional_segmentation_is_refused(write_series: WriteSeries, chest: Any, tmp_path: Path) -> None:
    images = write_series(tmp_path / "a")
    path = tmp_path / "a" / "seg.dcm"
    write_seg(path, images, chest.masks)
    changed = pydicom.dcmread(path)
    changed.SegmentationType = "FRACTIONAL"
    changed.save_as(path)
    with pytest.raises(
        VolumeError, match=r"seg\.dcm is a FRACTIONAL segmentation; BINARY and LABELMAP can be read"
    ):
        load_case(tmp_path / "a")


def test_segmentation_labels_the_series_that_it_was_made_from(
    write_series: WriteSeries, chest: Any, tmp_path: Path
) -> None:
    images = write_series(tmp_path / "a", uid="1.2.3.1")
    write_series(tmp_path / "a", uid="1.2.3.2")
    write_seg(tmp_path / "a" / "seg.dcm", images, chest.masks)
    assert isinstance(load_case(tmp_path / "a", "1.2.3.1"), LabelMap)
    assert isinstance(load_case(tmp_path / "a", "1.2.3.2"), CtVolume)
