"""CT volumes and label maps, oriented so that indices grow towards left, posterior and superior.

A case is a folder with `labels.nii.gz` and `labels.json` ({"labels": {id: structure name}}) and, where there is one,
`ct.nii.gz` on the same grid. Structure names are TotalSegmentator v2's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.processing import conform
from scipy import ndimage

from pipeline_training.errors import VolumeError

WORKING_SPACING_MM = 1.5
"""Every volume is brought to this isotropic spacing, the one of the development data."""

KEPT_BELOW_LUNGS_MM = 150.0
KEPT_ABOVE_LUNGS_MM = 150.0
"""A chest radiograph's field of view reaches no further beyond the lungs."""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A labelled volume on an isotropic grid.

    Attributes:
        case: Name of the folder; the unit that data are split by.
        labels: uint8, shape (slices, rows, columns) = (superior, posterior, left) growing.
        names: Structure name by id; an id that is not in it is background.
        hu: int16 of the same shape, or None where only labels exist.
        spacing_mm: Edge length of a voxel.
    """

    case: str
    labels: npt.NDArray[np.uint8]
    names: Mapping[int, str]
    hu: npt.NDArray[np.int16] | None
    spacing_mm: float

    def ids(self, *names: str) -> list[int]:
        """Return the ids of those of the names that the map holds."""
        return [i for i, name in self.names.items() if name in names]

    def mask(self, *names: str) -> npt.NDArray[np.bool_]:
        """Return the union of the named structures, all False where the map holds none of them."""
        table = np.zeros(256, np.bool_)
        table[self.ids(*names)] = True
        return table[self.labels]


LUNG_LOBES = (
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
)


def load_label_map(folder: Path) -> LabelMap:
    """Return the case in `folder`, resampled to 1.5 mm, cropped to the chest and checked for its orientation.

    Raises:
        VolumeError: If files are missing, grids differ, no lungs are labelled, or the volume is flipped.
    """
    if not (folder / "labels.json").is_file() or not (folder / "labels.nii.gz").is_file():
        raise VolumeError(f"{folder.name}: a case needs labels.nii.gz and labels.json")
    described = json.loads((folder / "labels.json").read_text())["labels"]
    image = nibabel.load(folder / "labels.nii.gz")
    labels = _oriented(image, np.uint8, order=0)
    hu = None
    if (folder / "ct.nii.gz").is_file():
        ct = nibabel.load(folder / "ct.nii.gz")
        if ct.shape != image.shape or not np.allclose(ct.affine, image.affine, atol=1e-3):
            raise VolumeError(f"{folder.name}: ct.nii.gz and labels.nii.gz are not on the same grid")
        hu = _oriented(ct, np.int16, order=1)
    present = set(np.unique(labels).tolist()) - {0}
    names = {int(i): name for i, name in described.items() if int(i) in present}
    volume = _cropped(LabelMap(folder.name, labels, names, hu, WORKING_SPACING_MM))
    check_orientation(volume)
    return volume


def _oriented(image: nibabel.Nifti1Image, dtype: type, order: int) -> npt.NDArray[np.generic]:
    """Return the voxels as (slices, rows, columns) growing towards superior, posterior, left, at 1.5 mm."""
    zooms = np.asarray(image.header.get_zooms()[:3])
    if not np.allclose(zooms, WORKING_SPACING_MM, atol=0.01):
        shape = tuple(int(n) for n in np.ceil(np.asarray(image.shape) * zooms / WORKING_SPACING_MM))
        image = conform(image, out_shape=shape, voxel_size=(WORKING_SPACING_MM,) * 3, order=order, cval=0)
    ras = nibabel.as_closest_canonical(image)
    lps = np.asarray(ras.dataobj)[::-1, ::-1, :]  # x towards left, y towards posterior
    return np.ascontiguousarray(lps.transpose(2, 1, 0).astype(dtype))


def _cropped(volume: LabelMap) -> LabelMap:
    slices = np.flatnonzero(volume.mask(*LUNG_LOBES).any(axis=(1, 2)))
    if not slices.size:
        raise VolumeError(f"{volume.case}: no lung lobe is labelled")
    low = max(0, int(slices[0] - KEPT_BELOW_LUNGS_MM / volume.spacing_mm))
    high = int(slices[-1] + KEPT_ABOVE_LUNGS_MM / volume.spacing_mm)
    hu = None if volume.hu is None else volume.hu[low:high]
    return LabelMap(volume.case, volume.labels[low:high], volume.names, hu, volume.spacing_mm)


def check_orientation(volume: LabelMap) -> None:
    """Refuse a volume whose liver is not right of, or not below, the lungs' centre, or whose heart is not left.

    Raises:
        VolumeError: Naming what lies on the wrong side.
    """
    lungs = _centre(volume.mask(*LUNG_LOBES))
    if (heart := _centre(volume.mask("heart", "heart_ventricle_left", "heart_ventricle_right"))) is not None:
        _demand(
            volume.case,
            lungs is not None and heart[2] > lungs[2],
            "the heart lies right of the lungs' centre",
        )
    if (liver := _centre(volume.mask("liver"))) is not None and lungs is not None:
        _demand(volume.case, liver[2] < lungs[2], "the liver lies left of the lungs' centre")
        _demand(volume.case, liver[0] < lungs[0], "the liver lies above the lungs' centre")
    right, left = (_centre(volume.mask(f"lung_lower_lobe_{side}")) for side in ("right", "left"))
    if right is not None and left is not None:
        _demand(volume.case, right[2] < left[2], "the right lung lies left of the left lung")


def _centre(mask: npt.NDArray[np.bool_]) -> tuple[float, ...] | None:
    return tuple(ndimage.center_of_mass(mask)) if mask.any() else None


def _demand(case: str, true: bool, otherwise: str) -> None:
    if not true:
        raise VolumeError(f"{case}: the volume is flipped: {otherwise}")
