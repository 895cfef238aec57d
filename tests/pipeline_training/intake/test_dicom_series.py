from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from pipeline_training.errors import VolumeError
from pipeline_training.intake.case import load_case, load_cases
from pipeline_training.intake.ct import CtVolume
from pipeline_training.intake.dicom_folder import read_folder
from pipeline_training.intake.dicom_series import read_series
from pipeline_training.intake.geometry import working_grid


class Chest(Protocol):
    hu: npt.NDArray[np.int16]


WriteSeries = Callable[..., list[pydicom.Dataset]]
MARKER = (11, 2, 13)
MARKER_MM = (-20.0 + 1.5 * 13, 35.0 + 1.5 * 2, -410.5 + 1.5 * 11)


def ct(folder: Path) -> CtVolume:
    volume = load_case(folder)
    assert isinstance(volume, CtVolume)
    return volume


@pytest.mark.parametrize("plane", ["axial", "prone", "upside down", "coronal", "sagittal"])
def test_every_orientation_gives_the_same_volume(
    write_series: WriteSeries, chest: Chest, tmp_path: Path, plane: str
) -> None:
    write_series(tmp_path / "a", plane=plane)
    volume = ct(tmp_path / "a")
    np.testing.assert_array_equal(volume.hu, chest.hu)
    assert (volume.case, volume.spacing_mm) == ("a", 1.5)


@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_marker_lies_at_its_place_in_the_patient(
    write_series: WriteSeries, tmp_path: Path, plane: str
) -> None:
    write_series(tmp_path / "a", plane=plane)
    scan = read_series(read_folder(tmp_path / "a"))
    stored = np.unravel_index(int(scan.placed.voxels.argmax()), scan.placed.voxels.shape)
    np.testing.assert_allclose((scan.placed.to_patient @ [*stored, 1])[:3], MARKER_MM, atol=1e-6)
    grid = working_grid(scan.placed)
    np.testing.assert_allclose((grid.to_patient @ [*MARKER, 1])[:3], MARKER_MM, atol=1e-6)
    assert scan.volume(grid).hu[MARKER] == 1500


def test_turned_patient_is_brought_upright(write_series: WriteSeries, tmp_path: Path) -> None:
    angle = np.radians(12)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])

    def turned(_: int, image: pydicom.Dataset) -> None:
        image.ImagePositionPatient = (turn @ np.array(image.ImagePositionPatient, float)).tolist()
        cosines = np.array(image.ImageOrientationPatient, float)
        image.ImageOrientationPatient = [*(turn @ cosines[:3]), *(turn @ cosines[3:])]

    write_series(tmp_path / "a", edit=turned)
    scan = read_series(read_folder(tmp_path / "a"))
    grid = working_grid(scan.placed)
    hu = scan.volume(grid).hu
    place = np.unravel_index(int(hu.argmax()), hu.shape)
    found = (grid.to_patient @ [*place, 1])[:3]
    np.testing.assert_allclose(found, turn @ MARKER_MM, atol=0.8)
    assert hu[0, 0, 0] == -1000  # the corner that the turned block does not reach


def test_finer_pixels_are_brought_to_the_working_spacing(write_series: WriteSeries, tmp_path: Path) -> None:
    def finer(_: int, image: pydicom.Dataset) -> None:
        image.PixelSpacing = [0.75, 0.5]

    write_series(tmp_path / "a", edit=finer)
    assert ct(tmp_path / "a").hu.shape == (14, 5, 6)


def test_patient_is_a_hash_that_does_not_name_him(write_series: WriteSeries, tmp_path: Path) -> None:
    def other(_: int, image: pydicom.Dataset) -> None:
        image.PatientID = "B 18"

    write_series(tmp_path / "a")
    write_series(tmp_path / "b")
    write_series(tmp_path / "c", edit=other)
    one, same, another = (ct(tmp_path / name).patient for name in "abc")
    assert one == same != another
    assert len(one) == 16


def change(keyword: str, value: object, numbers: range = range(1, 2)) -> Callable[..., None]:
    def edit(number: int, image: pydicom.Dataset) -> None:
        if number in numbers:
            if value is None:
                delattr(image, keyword)
            else:
                setattr(image, keyword, value)

    return edit


def tilted(number: int, image: pydicom.Dataset) -> None:
    x, y, z = image.ImagePositionPatient
    image.ImagePositionPatient = [x, y + number * 1.5 * np.tan(np.radians(10)), z]


def doubled(number: int, image: pydicom.Dataset) -> None:
    if number == 3:
        image.ImagePositionPatient = [-20.0, 35.0, -410.5 + 2 * 1.5]


def modality(_: int, image: pydicom.Dataset) -> None:
    image.Modality, image.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID


ALL = range(99)
REFUSALS = [
    (tilted, (), r"a: gantry tilt: the slices follow a line 10\.00 degrees off their normal, more than 0\.5"),
    (None, (5,), r"a: 1 slices are missing between the positions -404\.50 and -401\.50 mm, 3\.00 mm "
                 r"apart where 1\.50 mm are usual; 1 such places"),
    (None, (4, 5, 9), r"2 slices are missing between the positions -406\.00 and -401\.50 mm.*2 such places"),
    (doubled, (), r"a: 1 slices lie where another one lies, the first at -407\.50 mm"),
    (change("Rows", 5), (), r"the slices have 2 sizes \(rows, columns\), such as \(10, 16\) and \(5, 16\)"),
    (change("PixelSpacing", [1.5, 1.2]), (), r"a: the slices have 2 pixel spacings, such as .*1\.2"),
    (change("ImageOrientationPatient", [0, 1, 0, 1, 0, 0]), (), r"a: the slices have 2 orientations"),
    (change("FrameOfReferenceUID", "1.2.3"), (), r"a: the slices have 2 frames of reference.* 1\.2\.3"),
    (change("PatientID", "B"), (), r"a: the slices have 2 patients"),
    (modality, (), r"a: no CT series: found 14 of modality MR, 0 files that are not DICOM"),
    (change("RescaleIntercept", None), (), r"a: RescaleSlope or RescaleIntercept is missing"),
    (change("RescaleType", "US", ALL), (), r"a: RescaleType is 'US', not HU"),
    (change("RescaleIntercept", 0, ALL), (), r"a: the values are not Hounsfield units: they lie in \d+\.\."),
    (change("ImagePositionPatient", None), (), r"a: ImagePositionPatient must hold 3 numbers, found None"),
    (change("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), (), r"is not two unit vectors at right angles"),
    (None, tuple(range(2, 14)), r"a: 2 slices are no volume, 3 are the fewest"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "skip", "reason"), REFUSALS)
def test_unfit_series_is_refused_by_name(
    write_series: WriteSeries,
    tmp_path: Path,
    edit: Callable[..., None] | None,
    skip: tuple[int, ...],
    reason: str,
) -> None:
    write_series(tmp_path / "a", edit=edit or (lambda number, image: None), skip=skip)
    with pytest.raises(VolumeError, match=reason):
        load_case(tmp_path / "a")


def test_several_series_are_named_and_one_can_be_chosen(
    write_series: WriteSeries, chest: Chest, tmp_path: Path
) -> None:
    write_series(tmp_path / "a", uid="1.2.3.1")
    write_series(tmp_path / "a", uid="1.2.3.2", plane="coronal", skip=(0,))
    with pytest.raises(VolumeError, match=r"2 CT series.*1\.2\.3\.1 \(14 images.*1\.2\.3\.2 \(9 images"):
        load_case(tmp_path / "a")
    chosen = load_case(tmp_path / "a", series="1.2.3.1")
    assert isinstance(chosen, CtVolume)
    np.testing.assert_array_equal(chosen.hu, chest.hu)
    assert len({case.volume.case for case in load_cases(tmp_path / "a")}) == 2


def test_series_that_is_not_there_is_named(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(tmp_path / "a", uid="1.2.3.1")
    with pytest.raises(VolumeError, match=r"there is no CT series 9\.9; 1\.2\.3\.1"):
        load_case(tmp_path / "a", series="9.9")


def test_localiser_is_left_out(write_series: WriteSeries, chest: Chest, tmp_path: Path) -> None:
    def localiser(number: int, image: pydicom.Dataset) -> None:
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(tmp_path / "a")
    write_series(tmp_path / "a", plane="coronal", edit=localiser, skip=tuple(range(1, 10)))
    np.testing.assert_array_equal(ct(tmp_path / "a").hu, chest.hu)


def test_torn_pixels_are_refused_not_raised_raw(write_series: WriteSeries, tmp_path: Path) -> None:
    def torn(number: int, image: pydicom.Dataset) -> None:
        if number == 2:
            image.PixelData = image.PixelData[:10]

    write_series(tmp_path / "a", edit=torn)
    with pytest.raises(VolumeError, match=r"a: .*\.dcm cannot be read"):
        load_case(tmp_path / "a")


def test_padding_becomes_air(write_series: WriteSeries, tmp_path: Path) -> None:
    def padded(_: int, image: pydicom.Dataset) -> None:
        image.PixelPaddingValue = 60000
        image.PixelData = b"\x60\xea" + image.PixelData[2:]  # 60000

    write_series(tmp_path / "a", edit=padded)
    assert (ct(tmp_path / "a").hu[:, 0, 0] == -1000).all()
