from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from pipeline_training.errors import VolumeError
from pipeline_training.intake.case import load_case, read_case
from pipeline_training.volumes import LabelMap

WriteSeries = Callable[..., list[pydicom.Dataset]]
Contours = Iterable[list[float]]
FRAME = "1.2.826.0.1.3680043.8.498.77"


def rectangle(
    chest: Any, slice_: float, rows: tuple[float, float], columns: tuple[float, float]
) -> list[float]:
    """Return a rectangle's corners on a slice of the working grid, as LPS mm."""
    corners = [(rows[0], columns[0]), (rows[1], columns[0]), (rows[1], columns[1]), (rows[0], columns[1])]
    steps = [(column, row, slice_) for row, column in corners]
    return [float(mm) for mm in (np.array(chest.first_mm) + chest.spacing_mm * np.array(steps)).ravel()]


def outlines(chest: Any, name: str) -> list[list[float]]:
    """Return the contours of a box, along the outer edges of its pixels."""
    slices, rows, columns = chest.boxes[name]
    edges = [(side.start - 0.5, side.stop - 0.5) for side in (rows, columns)]
    return [rectangle(chest, number, *edges) for number in range(slices.start, slices.stop)]


def write_plan(
    path: Path, regions: Mapping[str, Contours], frame: str = FRAME, kind: str = "CLOSED_PLANAR"
) -> None:
    plan = pydicom.Dataset()
    plan.file_meta = FileMetaDataset()
    plan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plan.file_meta.MediaStorageSOPClassUID = plan.SOPClassUID = RTStructureSetStorage
    plan.file_meta.MediaStorageSOPInstanceUID = plan.SOPInstanceUID = generate_uid()
    plan.Modality, plan.SeriesInstanceUID, plan.PatientID = "RTSTRUCT", generate_uid(), "A 17"
    plan.StructureSetROISequence, plan.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions.items(), 1):
        region, drawn = pydicom.Dataset(), pydicom.Dataset()
        region.ROINumber, region.ROIName, region.ReferencedFrameOfReferenceUID = number, name, frame
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = [_contour(points, kind) for points in contours]
        plan.StructureSetROISequence.append(region)
        plan.ROIContourSequence.append(drawn)
    path.parent.mkdir(exist_ok=True)
    plan.save_as(path, enforce_file_format=True)


def _contour(points: list[float], kind: str) -> pydicom.Dataset:
    contour = pydicom.Dataset()
    contour.ContourGeometricType, contour.NumberOfContourPoints = kind, len(points) // 3
    contour.ContourData = [f"{value:.4f}" for value in points]
    return contour


def loaded(folder: Path) -> LabelMap:
    volume = load_case(folder)
    assert isinstance(volume, LabelMap)
    return volume


def both_lungs(chest: Any) -> dict[str, Contours]:
    return {name: outlines(chest, name) for name in ("lung_right", "lung_left")}


@pytest.mark.parametrize("plane", ["axial", "prone"])
def test_contours_fill_the_boxes_that_they_follow(
    write_series: WriteSeries, chest: Any, tmp_path: Path, plane: str
) -> None:
    write_series(tmp_path / "a", plane=plane)
    write_plan(tmp_path / "a" / "plan.dcm", {name: outlines(chest, name) for name in chest.boxes})
    volume = loaded(tmp_path / "a")
    for name, mask in chest.masks.items():
        np.testing.assert_array_equal(volume.mask(name), mask, name)
    assert volume.hu is not None
    np.testing.assert_array_equal(volume.hu, chest.hu)


def test_contour_within_a_contour_is_a_hole(write_series: WriteSeries, chest: Any, tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    hole = rectangle(chest, 6, (3.5, 5.5), (2.5, 4.5))
    regions = both_lungs(chest)
    regions["lung_right"] = [*regions["lung_right"], hole]
    write_plan(tmp_path / "a" / "plan.dcm", regions)
    expected = chest.masks["lung_right"].copy()
    expected[6, 4:6, 3:5] = False
    np.testing.assert_array_equal(loaded(tmp_path / "a").mask("lung_right"), expected)


def test_names_match_whatever_their_case_and_blanks(
    write_series: WriteSeries, chest: Any, tmp_path: Path
) -> None:
    write_series(tmp_path / "a")
    regions = {"Lung Right": outlines(chest, "lung_right"), "LUNG_LEFT": outlines(chest, "lung_left")}
    write_plan(tmp_path / "a" / "plan.dcm", regions | {"PTV 60": outlines(chest, "liver"), "liver": []})
    case = read_case(tmp_path / "a")
    assert isinstance(case.volume, LabelMap)
    assert set(case.volume.names.values()) == {"lung_right", "lung_left"}
    assert case.volume.absent == {"liver"}
    assert case.remarks == ("plan.dcm: region 3 'PTV 60' is no structure that is known",)


def test_another_frame_of_reference_is_refused(write_series: WriteSeries, chest: Any, tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    write_plan(tmp_path / "a" / "plan.dcm", both_lungs(chest), "1.2.3.4")
    with pytest.raises(
        VolumeError,
        match=r"plan\.dcm: 'lung_right' was drawn in the frame of reference 1\.2\.3\.4, the CT's is",
    ):
        load_case(tmp_path / "a")


@pytest.mark.parametrize(("slice_", "beside"), [(6.5, r"0\.50 slices"), (30.0, r"on no slice of the CT")])
def test_contour_beside_every_slice_is_refused(
    write_series: WriteSeries, chest: Any, tmp_path: Path, slice_: float, beside: str
) -> None:
    write_series(tmp_path / "a")
    regions = both_lungs(chest) | {"liver": [rectangle(chest, slice_, (1, 3), (1, 3))]}
    write_plan(tmp_path / "a" / "plan.dcm", regions)
    with pytest.raises(VolumeError, match=r"a contour of liver at \(.* mm lies on no slice.*") as caught:
        load_case(tmp_path / "a")
    assert beside.replace("\\", "") in str(caught.value)


def test_points_enclose_nothing_and_are_told(write_series: WriteSeries, chest: Any, tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    write_plan(tmp_path / "a" / "plan.dcm", both_lungs(chest), kind="POINT")
    with pytest.raises(VolumeError, match="a: no lung lobe is labelled"):
        load_case(tmp_path / "a")
