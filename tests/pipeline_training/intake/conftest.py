"""A chest of boxes, stored in every format and orientation; each must come back as it was."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

SPACING_MM = 1.5
SHAPE = (14, 10, 16)
FIRST_MM = (-20.0, 35.0, -410.5)
"""Left, posterior, superior of the centre of the first voxel."""

MARKER = (11, 2, 13)
Box = tuple[slice, slice, slice]
STRUCTURES: Mapping[str, Box] = {
    "lung_right": (slice(4, 12), slice(2, 8), slice(1, 6)),
    "lung_left": (slice(4, 12), slice(2, 8), slice(10, 14)),
    "liver": (slice(1, 3), slice(2, 6), slice(2, 7)),
    "vertebrae_T5": (slice(8, 10), slice(8, 10), slice(7, 9)),
}
PLANES = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "prone": ((-1, 0, 0), (0, -1, 0)),
    "upside down": ((-1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}
"""Direction of a row and of a column of the stored slices, LPS."""

Cosines = tuple[float, float, float]
Edit = Callable[[int, pydicom.Dataset], None]


@dataclass(frozen=True)
class Chest:
    """A CT (slices, rows, columns) growing to superior, posterior, left, and where its boxes are."""

    hu: npt.NDArray[np.int16]
    masks: Mapping[str, npt.NDArray[np.bool_]]


@pytest.fixture(scope="session")
def chest() -> Chest:
    """A chest of 14 x 10 x 16 voxels of 1.5 mm with one voxel of metal; do not change its arrays."""
    hu = np.random.default_rng(3).integers(-900, 200, SHAPE).astype(np.int16)
    hu[MARKER] = 1500
    masks = {name: np.zeros(SHAPE, np.bool_) for name in STRUCTURES}
    for name, box in STRUCTURES.items():
        masks[name][box] = True
    return Chest(hu, masks)


def stored(voxels: npt.NDArray[Any], row: Cosines, column: Cosines) -> tuple[npt.NDArray[Any], Cosines]:
    """Return voxels as slices of another direction, and where the first of them begins."""
    directions = (np.cross(row, column), np.array(column), np.array(row))
    axes = [int(np.abs(each).argmax()) for each in directions]
    turned = voxels.transpose([2 - axis for axis in axes])
    first = np.array(FIRST_MM)
    for place, (axis, direction) in enumerate(zip(axes, directions, strict=True)):
        if direction[axis] < 0:
            first[axis] += SPACING_MM * (voxels.shape[2 - axis] - 1)
            turned = np.flip(turned, place)
    return np.ascontiguousarray(turned), (first[0], first[1], first[2])


@dataclass(frozen=True)
class Series:
    """How a series of CT images is written; `edit` changes the image of a number before it is stored."""

    plane: str = "axial"
    uid: str = ""
    frame: str = "1.2.826.0.1.3680043.8.498.77"
    edit: Edit = lambda number, image: None
    skip: tuple[int, ...] = ()

    def images(self, hu: npt.NDArray[np.int16]) -> list[pydicom.Dataset]:
        row, column = PLANES[self.plane]
        voxels, first = stored(hu, row, column)
        normal = np.cross(row, column)
        uid = self.uid or generate_uid()
        images = []
        for number, pixels in enumerate(voxels):
            image = _ct_image(pixels, uid, self.frame, number)
            image.ImageOrientationPatient = [*row, *column]
            image.ImagePositionPatient = (np.array(first) + number * SPACING_MM * normal).tolist()
            self.edit(number, image)
            images.append(image)
        return [image for number, image in enumerate(images) if number not in self.skip]


def _ct_image(pixels: npt.NDArray[np.int16], series: str, frame: str, number: int) -> pydicom.Dataset:
    image = pydicom.Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.1", series
    image.FrameOfReferenceUID = frame
    image.PositionReferenceIndicator = image.AccessionNumber = image.StudyID = ""
    image.PatientID, image.PatientName, image.PatientBirthDate, image.PatientSex = "A 17", "", "", ""
    image.StudyDate = image.StudyTime = image.ReferringPhysicianName = ""
    image.Modality, image.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SeriesNumber, image.InstanceNumber = 1, 1000 - 7 * number  # says nothing about the order
    image.PixelSpacing, image.SliceThickness = [SPACING_MM, SPACING_MM], 5.0
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, -1024, "HU"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.Rows, image.Columns = pixels.shape
    image.PixelData = (pixels.astype(np.int32) + 1024).astype(np.uint16).tobytes()
    return image


WriteSeries = Callable[..., list[pydicom.Dataset]]


@pytest.fixture
def write_series(chest: Chest) -> WriteSeries:
    """Writes the chest as CT images, file names in no order; further arguments are those of `Series`."""

    def write(folder: Path, how: Series = Series(), **changes: Any) -> list[pydicom.Dataset]:
        images = replace(how, **changes).images(chest.hu)
        folder.mkdir(exist_ok=True)
        for image in images:
            image.save_as(folder / f"{image.SOPInstanceUID}.dcm", enforce_file_format=True)
        return images

    return write


def write_nifti(path: Path, voxels: npt.NDArray[Any], axes: str = "LPS") -> None:
    """Write working-grid voxels as NIfTI, axes stored as the three letters say."""
    library: Any = nibabel
    affine = np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = np.multiply(FIRST_MM, (-1, -1, 1))
    data = np.ascontiguousarray(voxels.transpose(2, 1, 0))
    image = library.nifti1.Nifti1Image(data.astype(np.uint8) if data.dtype == bool else data, affine)
    change = library.orientations.ornt_transform(
        library.orientations.io_orientation(affine), library.orientations.axcodes2ornt(tuple(axes))
    )
    library.loadsave.save(image.as_reoriented(change), path)


def write_itk(path: Path, voxels: npt.NDArray[Any], flipped: bool = False) -> None:
    """Write working-grid voxels by SimpleITK; `flipped` stores the columns from left to right."""
    image: Any = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels[:, :, ::-1] if flipped else voxels))
    image.SetSpacing((SPACING_MM,) * 3)
    left = FIRST_MM[0] + (SPACING_MM * (voxels.shape[2] - 1) if flipped else 0)
    image.SetOrigin((left, *FIRST_MM[1:]))
    image.SetDirection((-1.0 if flipped else 1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    SimpleITK.WriteImage(image, str(path))


def write_seg(
    path: Path,
    images: list[pydicom.Dataset],
    masks: Mapping[str, npt.NDArray[np.bool_]],
    codes: Mapping[str, tuple[str, str]],
    kind: str = "BINARY",
) -> pydicom.Dataset:
    """Write masks, in the order of the images, as segments of these labels and SNOMED CT codes."""
    algorithm = AlgorithmIdentificationSequence("x", CodedConcept("123109", "DCM", "Manual"), "1")
    segments = [
        SegmentDescription(
            number, label, CodedConcept("91723000", "SCT", "Anatomical Structure"),
            CodedConcept(codes.get(label, ("49755003", ""))[0], "SCT", label or "thing"),
            SegmentAlgorithmTypeValues.AUTOMATIC, algorithm,
        )
        for number, label in enumerate(masks, 1)
    ]  # fmt: skip
    seg = Segmentation(
        images, np.stack(list(masks.values()), axis=-1).astype(np.uint8), SegmentationTypeValues(kind),
        segments, generate_uid(), 9, generate_uid(), 1, "x", "x", "1", "1",
    )  # fmt: skip
    seg.save_as(path)
    return seg


def rectangle(slice_: int, rows: tuple[float, float], columns: tuple[float, float]) -> list[float]:
    """Return the corners of a rectangle on a slice of the working grid, pixel edges at halves, LPS mm."""
    corners = [(c, r) for c, r in zip(np.repeat(columns, 2), (*rows, *rows[::-1]), strict=True)]
    left, posterior, superior = FIRST_MM
    return [
        value
        for column, row in corners
        for value in (left + column * 1.5, posterior + row * 1.5, superior + slice_ * 1.5)
    ]


def box_contours(box: Box) -> list[list[float]]:
    slices, rows, columns = box
    edges = [(side.start - 0.5, side.stop - 0.5) for side in (rows, columns)]
    return [rectangle(number, *edges) for number in range(slices.start, slices.stop)]


def write_rtstruct(
    path: Path, images: list[pydicom.Dataset], regions: Mapping[str, Iterable[list[float]]], frame: str = ""
) -> pydicom.Dataset:
    """Write closed planar contours."""
    plan = pydicom.Dataset()
    plan.file_meta = FileMetaDataset()
    plan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plan.file_meta.MediaStorageSOPClassUID = plan.SOPClassUID = RTStructureSetStorage
    plan.file_meta.MediaStorageSOPInstanceUID = plan.SOPInstanceUID = generate_uid()
    plan.Modality, plan.SeriesInstanceUID, plan.PatientID = "RTSTRUCT", generate_uid(), "A 17"
    plan.StructureSetROISequence, plan.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions.items(), 1):
        region, drawn = pydicom.Dataset(), pydicom.Dataset()
        region.ROINumber, region.ROIName = number, name
        region.ReferencedFrameOfReferenceUID = frame or images[0].FrameOfReferenceUID
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            contour = pydicom.Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points) // 3
            contour.ContourData = [f"{value:.4f}" for value in points]
            drawn.ContourSequence.append(contour)
        plan.StructureSetROISequence.append(region)
        plan.ROIContourSequence.append(drawn)
    plan.save_as(path, enforce_file_format=True)
    return plan
