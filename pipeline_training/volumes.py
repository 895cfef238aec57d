"""CT volumes and label maps, oriented so that indices grow towards superior, posterior and left.

A case is a folder with `labels.nii.gz` and `labels.json` ({"labels": {id: structure name}}) and, where there
is one, `ct.nii.gz` on the same grid. labels.json may also hold "vocabulary", all names that were looked for,
and "patient". Structure names are TotalSegmentator v2's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import nibabel.processing
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from scipy import ndimage

from pipeline_training.errors import VolumeError

WORKING_SPACING_MM = 1.5
"""Volumes are brought to this isotropic spacing, the one of the development data, unless asked otherwise."""

SPACING_TOLERANCE_MM = 0.01
AFFINE_TOLERANCE_MM = 1e-3
"""Two grids closer than this are one grid; NIfTI stores the affine in single precision."""

MAX_LABEL = 255
AIR_HU = -1000

KEPT_BELOW_LUNGS_MM = 150.0
KEPT_ABOVE_LUNGS_MM = 150.0
"""A chest radiograph's field of view reaches no further beyond the lungs."""

Voxels = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A labelled volume on an isotropic grid.

    Attributes:
        case: Name of the volume.
        labels: uint8, shape (slices, rows, columns), growing towards (superior, posterior, left).
        names: Structure name by id; an id that is not in it is background.
        hu: int16 of the same shape, or None where only labels exist.
        spacing_mm: Edge length of a voxel.
        patient: The unit that data are split by; "" where the case stands for its patient.
        vocabulary: Names that the labelling looked for. One that has voxels is present, one that has none is
            absent, and of any other nothing is known.
    """

    case: str
    labels: npt.NDArray[np.uint8]
    names: Mapping[int, str]
    hu: npt.NDArray[np.int16] | None
    spacing_mm: float
    patient: str = ""
    vocabulary: frozenset[str] = frozenset()

    @property
    def absent(self) -> frozenset[str]:
        """Names that were looked for and not found."""
        return self.vocabulary - set(self.names.values())

    def ids(self, *names: str) -> list[int]:
        """Return the ids of those of the names that the map holds."""
        return [i for i, name in self.names.items() if name in names]

    def mask(self, *names: str) -> npt.NDArray[np.bool_]:
        """Return the union of the named structures, all False where the map holds none of them."""
        ids = self.ids(*names)
        if len(ids) <= 1:  # a comparison is ten times faster than a table
            return np.asarray(self.labels == ids[0]) if ids else np.zeros(self.labels.shape, np.bool_)
        table = np.zeros(MAX_LABEL + 1, np.bool_)
        table[ids] = True
        return table[self.labels]

    def mask_of_kind(self, *prefixes: str) -> npt.NDArray[np.bool_]:
        """Return the union of the structures whose name begins with one of the prefixes."""
        return self.mask(*(name for name in self.names.values() if name.startswith(prefixes)))


LUNG_LOBES = (
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
)


def load_label_map(folder: Path, spacing_mm: float = WORKING_SPACING_MM) -> LabelMap:
    """Return the case in `folder`, resampled, cropped to the chest and checked for its orientation.

    Args:
        folder: With labels.nii.gz, labels.json and perhaps ct.nii.gz.
        spacing_mm: Edge length of the voxels that are returned.

    Raises:
        VolumeError: If files are missing or unreadable, grids differ, ids do not fit, no lungs are labelled,
            or the volume is flipped.
    """
    described = _read_description(folder)
    image = _read_image(folder, "labels.nii.gz")
    labels = np.rint(oriented(image, order=0, outside=0, spacing_mm=spacing_mm))
    if labels.min() < 0 or labels.max() > MAX_LABEL:
        raise VolumeError(f"{folder.name}: label ids lie in 0..{MAX_LABEL}, found {labels.max():.0f}")
    hu = _read_hu(folder, image, spacing_mm)
    volume = LabelMap(
        folder.name, labels.astype(np.uint8), described.names, hu, spacing_mm, described.patient,
        described.vocabulary,
    )  # fmt: skip
    cropped = _cropped(volume)
    check_orientation(cropped)
    return cropped


@dataclass(frozen=True)
class _Description:
    """What labels.json says."""

    names: dict[int, str]
    vocabulary: frozenset[str]
    patient: str


def _read_description(folder: Path) -> _Description:
    path = folder / "labels.json"
    if not path.is_file() or not (folder / "labels.nii.gz").is_file():
        raise VolumeError(f"{folder.name}: a case needs labels.nii.gz and labels.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = {int(i): str(name) for i, name in content["labels"].items()}
        vocabulary = frozenset(str(name) for name in content.get("vocabulary", ()))
        return _Description(names, vocabulary, str(content.get("patient", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise VolumeError(
            f'{folder.name}: labels.json must read {{"labels": {{id: name}}}}: {exc!r}'
        ) from exc


def _read_image(folder: Path, name: str) -> Any:
    """Return a three-dimensional NIfTI image, its voxels not read yet."""
    try:
        image: Any = nibabel.load(folder / name)
    except (OSError, ImageFileError) as exc:
        raise VolumeError(f"{folder.name}: {name} cannot be read: {exc}") from exc
    if len(image.shape) != 3:
        raise VolumeError(f"{folder.name}: {name} must have three dimensions, found {len(image.shape)}")
    return image


def _read_hu(folder: Path, labels: Any, spacing_mm: float) -> npt.NDArray[np.int16] | None:
    if not (folder / "ct.nii.gz").is_file():
        return None
    ct = _read_image(folder, "ct.nii.gz")
    if ct.shape != labels.shape or not np.allclose(ct.affine, labels.affine, atol=AFFINE_TOLERANCE_MM):
        raise VolumeError(f"{folder.name}: ct.nii.gz and labels.nii.gz are not on the same grid")
    return np.rint(oriented(ct, order=1, outside=AIR_HU, spacing_mm=spacing_mm)).astype(np.int16)


def oriented(image: Any, order: int, outside: float, spacing_mm: float = WORKING_SPACING_MM) -> Voxels:
    """Return the voxels of a NIfTI image as (slices, rows, columns), growing to superior, posterior, left.

    Args:
        image: Stored in any orientation; an oblique grid that has the spacing already keeps its tilt.
        order: Of the interpolation: 0 takes the nearest voxel, 1 is linear.
        outside: Value of voxels that the resampled grid adds at the edges.
        spacing_mm: Edge length of the voxels that are returned.

    Raises:
        VolumeError: If the voxels cannot be read.
    """
    zooms = np.asarray(image.header.get_zooms()[:3], np.float64)
    try:
        if not np.allclose(zooms, spacing_mm, atol=SPACING_TOLERANCE_MM):
            image = _resampled(image, order, outside, spacing_mm)
        right_anterior_superior = _canonical(image)
        voxels = np.asarray(right_anterior_superior.dataobj, np.float64)
    except (OSError, EOFError, ValueError) as exc:
        raise VolumeError(f"{image.get_filename()}: the voxels cannot be read: {exc}") from exc
    return np.ascontiguousarray(voxels[::-1, ::-1, :].transpose(2, 1, 0))


def _resampled(image: Any, order: int, outside: float, spacing_mm: float) -> Any:
    resample: Any = nibabel.processing.resample_to_output
    return resample(image, (spacing_mm,) * 3, order=order, cval=outside)


def _canonical(image: Any) -> Any:
    """Return the image with its axes swapped and flipped so that they grow to the right, front and top."""
    canonical: Any = nibabel.funcs.as_closest_canonical
    return canonical(image)


def _cropped(volume: LabelMap) -> LabelMap:
    """Return the slices around the lungs, and the names of what they hold."""
    slices = np.flatnonzero(volume.mask(*LUNG_LOBES).any(axis=(1, 2)))
    if not slices.size:
        raise VolumeError(f"{volume.case}: no lung lobe is labelled")
    low = max(0, int(slices[0] - KEPT_BELOW_LUNGS_MM / volume.spacing_mm))
    high = int(slices[-1] + 1 + KEPT_ABOVE_LUNGS_MM / volume.spacing_mm)
    labels = volume.labels[low:high]
    present = set(np.unique(labels).tolist())
    names = {i: name for i, name in volume.names.items() if i in present and i != 0}
    hu = None if volume.hu is None else volume.hu[low:high]
    return replace(volume, labels=labels, names=names, hu=hu)


SUPERIOR, POSTERIOR, LEFT = 0, 1, 2
LOWER_LOBES = ("lung_lower_lobe_right", "lung_lower_lobe_left")
UPPER_LOBES = ("lung_upper_lobe_right", "lung_upper_lobe_left")
ORDERS = (
    (
        LEFT,
        ("lung_lower_lobe_right",),
        ("lung_lower_lobe_left",),
        "the right lung lies left of the left lung",
    ),
    (LEFT, LUNG_LOBES, ("heart", "heart_ventricle_left"), "the heart lies right of the lungs' centre"),
    (LEFT, ("liver",), LUNG_LOBES, "the liver lies left of the lungs' centre"),
    (SUPERIOR, ("liver",), LUNG_LOBES, "the liver lies above the lungs' centre"),
    (SUPERIOR, LOWER_LOBES, UPPER_LOBES, "the lower lobes lie above the upper lobes"),
    (POSTERIOR, UPPER_LOBES, LOWER_LOBES, "the lower lobes lie in front of the upper lobes"),
)
"""(axis, what comes first along it, what comes later, what is said where it does not): centres of mass, where
both are labelled. A heart on the right (dextrocardia) is refused too: a flipped volume looks the same."""


def check_orientation(volume: LabelMap) -> None:
    """Refuse a volume in which two centres of mass do not follow each other as `ORDERS` says.

    Raises:
        VolumeError: Naming what lies on the wrong side.
    """
    for axis, first, later, otherwise in ORDERS:
        begin, end = _centre(volume.mask(*first)), _centre(volume.mask(*later))
        if begin is not None and end is not None and begin[axis] >= end[axis]:
            raise VolumeError(f"{volume.case}: the volume is flipped: {otherwise}")


def _centre(mask: npt.NDArray[np.bool_]) -> tuple[float, ...] | None:
    return tuple(ndimage.center_of_mass(mask)) if mask.any() else None
