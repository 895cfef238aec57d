"""CT volumes and label maps, oriented so that indices grow towards superior, posterior and left.

A case is a folder with `labels.nii.gz` and `labels.json` ({"labels": {id: structure name}}) and, where there
is one, `ct.nii.gz`. labels.json may also hold "vocabulary", all names that were looked for,
and "patient". Structure names are TotalSegmentator v2's.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.errors import VolumeError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.intake.files import named, read_ct, read_volume
from pipeline_training.intake.geometry import WORKING_SPACING_MM, working_grid
from pipeline_training.intake.label_map import read_described, read_label_map
from pipeline_training.intake.labelling import MAX_LABEL, Labelling
from pipeline_training.intake.scan import AIR_HU

__all__ = [
    "AIR_HU",
    "LUNGS",
    "LUNG_LOBES",
    "MAX_LABEL",
    "WORKING_SPACING_MM",
    "LabelMap",
    "check_orientation",
    "label_map_of",
    "load_label_map",
]

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
LUNGS = (*LUNG_LOBES, "lung_right", "lung_left")


def load_label_map(folder: Path, spacing_mm: float = WORKING_SPACING_MM) -> LabelMap:
    """Return the case in `folder`, resampled, cropped to the chest and checked for its orientation.

    Labels and CT need not share a grid: the labels come onto the CT's by where they lie in the patient.

    Args:
        folder: With labels.nii.gz, labels.json and perhaps ct.nii.gz; .nii, .nrrd and .mha will do as well.
        spacing_mm: Edge length of the voxels that are returned.

    Raises:
        VolumeError: If files are missing or unreadable, the labels lie elsewhere than the CT, ids do not fit,
            no lungs are labelled, or the volume is flipped.
    """
    file, ct_file = named(folder, "labels"), named(folder, "ct")
    if file is None or not (folder / "labels.json").is_file():
        raise VolumeError(f"{folder.name}: a case needs labels.nii.gz and labels.json")
    described = read_described(folder / "labels.json")
    scan = None if ct_file is None else read_ct(ct_file, folder.name)
    grid = working_grid(read_volume(file) if scan is None else scan.placed, spacing_mm)
    labels = read_label_map(file, described, grid)
    return label_map_of(folder.name, labels, None if scan is None else scan.volume(grid), spacing_mm)


def label_map_of(case: str, labels: Labelling, ct: CtVolume | None, spacing_mm: float) -> LabelMap:
    """Return labels and CT of one grid as a label map, cropped to the chest and checked for its orientation.

    Raises:
        VolumeError: If no lungs are labelled, or the volume is flipped.
    """
    patient = labels.patient or ("" if ct is None else ct.patient)
    hu = None if ct is None else ct.hu
    volume = LabelMap(case, labels.labels, labels.names, hu, spacing_mm, patient, labels.vocabulary)
    cropped = _cropped(volume)
    check_orientation(cropped)
    return cropped


def _cropped(volume: LabelMap) -> LabelMap:
    """Return the slices around the lungs, and the names of what they hold; of the rest nothing is known."""
    slices = np.flatnonzero(volume.mask(*LUNGS).any(axis=(1, 2)))
    if not slices.size:
        raise VolumeError(f"{volume.case}: no lung lobe is labelled")
    low = max(0, int(slices[0] - KEPT_BELOW_LUNGS_MM / volume.spacing_mm))
    high = int(slices[-1] + 1 + KEPT_ABOVE_LUNGS_MM / volume.spacing_mm)
    labels = volume.labels[low:high]
    present = set(np.unique(labels).tolist())
    names = {i: name for i, name in volume.names.items() if i in present and i != 0}
    lost = set(volume.names.values()) - set(names.values())
    hu = None if volume.hu is None else volume.hu[low:high]
    return replace(volume, labels=labels, names=names, hu=hu, vocabulary=volume.vocabulary - lost)


SUPERIOR, POSTERIOR, LEFT = 0, 1, 2
LOWER_LOBES = ("lung_lower_lobe_right", "lung_lower_lobe_left")
UPPER_LOBES = ("lung_upper_lobe_right", "lung_upper_lobe_left")
VERTEBRAE = tuple(
    f"vertebrae_{part}{number}"
    for part, count in (("C", 7), ("T", 12), ("L", 5))
    for number in range(1, count + 1)
)
RIBS_RIGHT = tuple(f"rib_right_{number}" for number in range(1, 13))
RIBS_LEFT = tuple(f"rib_left_{number}" for number in range(1, 13))
RIGHT_LUNG = ("lung_right", "lung_lower_lobe_right")
LEFT_LUNG = ("lung_left", "lung_lower_lobe_left")


def _pairs(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return each name with its next."""
    return tuple(itertools.pairwise(names))


ORDERS = (
    (LEFT, RIGHT_LUNG, LEFT_LUNG, "the right lung lies left of the left lung"),
    (LEFT, LUNGS, ("heart", "heart_ventricle_left"), "the heart lies right of the lungs' centre"),
    (LEFT, ("liver",), LUNGS, "the liver lies left of the lungs' centre"),
    (SUPERIOR, ("liver",), LUNGS, "the liver lies above the lungs' centre"),
    (SUPERIOR, LOWER_LOBES, UPPER_LOBES, "the lower lobes lie above the upper lobes"),
    (POSTERIOR, UPPER_LOBES, LOWER_LOBES, "the lower lobes lie in front of the upper lobes"),
    (POSTERIOR, ("sternum",), VERTEBRAE, "the sternum lies behind the spine"),
)
"""(axis, what comes first along it, what comes later, what is said where it does not): centres of mass, where
both are labelled. A heart on the right (dextrocardia) is refused too: a flipped volume looks the same."""

SERIES = (
    (SUPERIOR, _pairs(VERTEBRAE[::-1]), "the vertebrae follow each other upwards"),
    (SUPERIOR, _pairs(RIBS_RIGHT[::-1]), "the right ribs follow each other upwards"),
    (SUPERIOR, _pairs(RIBS_LEFT[::-1]), "the left ribs follow each other upwards"),
    (LEFT, tuple(zip(RIBS_RIGHT, RIBS_LEFT, strict=True)), "the right ribs lie left of the left ribs"),
)
"""(axis, pairs of which the first comes first along it, what is said where most pairs do not). One pair
in the wrong order is a slip of the labelling, most of them are a flipped volume."""


def check_orientation(volume: LabelMap) -> None:
    """Refuse a volume in which centres of mass do not follow each other as `ORDERS` and `SERIES` say.

    Raises:
        VolumeError: Naming what lies on the wrong side.
    """
    centres = _Centres(volume)
    for axis, first, later, otherwise in ORDERS:
        begin, end = centres.of(*first), centres.of(*later)
        if begin is not None and end is not None and begin[axis] >= end[axis]:
            raise VolumeError(f"{volume.case}: the volume is flipped: {otherwise}")
    for axis, pairs, otherwise in SERIES:
        known = [(pair, centres.way(*pair)) for pair in pairs]
        ways = {pair: way[axis] for pair, way in known if way is not None}
        wrong = [pair for pair, way in ways.items() if way <= 0]
        if 2 * len(wrong) > len(ways):
            raise VolumeError(
                f"{volume.case}: the volume is flipped: {otherwise}, such as {wrong[0][1]} and "
                f"{wrong[0][0]}; {len(wrong)} of {len(ways)} pairs"
            )


class _Centres:
    """Centres of mass of a volume's structures, each computed within its bounding box."""

    def __init__(self, volume: LabelMap) -> None:
        self._sums: dict[str, tuple[int, Voxels]] = {}
        boxes = ndimage.find_objects(volume.labels)
        for number, name in volume.names.items():
            if 0 < number <= len(boxes) and (box := boxes[number - 1]) is not None:
                places = np.argwhere(volume.labels[box] == number)
                corner = np.array([side.start for side in box])
                count, before = self._sums.get(name, (0, np.zeros(3)))
                self._sums[name] = (
                    count + len(places),
                    before + places.sum(axis=0) + len(places) * corner.astype(float),
                )

    def of(self, *names: str) -> Voxels | None:
        """Return the centre of the structures together, None where there is none."""
        found = [self._sums[name] for name in names if name in self._sums]
        count = sum(each for each, _ in found)
        return np.sum([each for _, each in found], axis=0) / count if count else None

    def way(self, first: str, later: str) -> Voxels | None:
        """Return the way from one centre to the other, None where one is missing."""
        begin, end = self.of(first), self.of(later)
        return None if begin is None or end is None else end - begin
