"""A chest of boxes, stored in every format and orientation; each must come back as it was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

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
    boxes: Mapping[str, Box]
    masks: Mapping[str, npt.NDArray[np.bool_]]
    first_mm: tuple[float, float, float]
    spacing_mm: float


@pytest.fixture(scope="session")
def chest() -> Chest:
    """A chest of 14 x 10 x 16 voxels of 1.5 mm with one voxel of metal; do not change its arrays."""
    hu = np.random.default_rng(3).integers(-900, 200, SHAPE).astype(np.int16)
    hu[MARKER] = 1500
    masks = {name: np.zeros(SHAPE, np.bool_) for name in STRUCTURES}
    for name, box in STRUCTURES.items():
        masks[name][box] = True
    return Chest(hu, STRUCTURES, masks, FIRST_MM, SPACING_MM)


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
