"""Overlapping structures as unions of parts, so that a volume is projected once for all of them.

Anatomy overlaps (a rib crosses the lung, the heart lies in the mediastinum), but most structures are unions
of parts that do not. A layer is one such partition of the volume; a structure is a set of parts of one layer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import VolumeError
from pipeline_training.volumes import LabelMap

MAX_PARTS = 255


class Layer:
    """A partition of a volume into numbered parts, and the structures made of them.

    Attributes:
        parts: uint8 (slices, rows, columns): number of the part that a voxel belongs to, 0 for none.
        structures: Numbers of the parts of each structure.
        count: Number of parts, background not counted.
    """

    def __init__(
        self,
        parts: npt.NDArray[np.uint8],
        structures: Mapping[str, tuple[int, ...]] | None = None,
        count: int = 0,
    ) -> None:
        self.parts = parts
        self.structures = dict(structures or {})
        self.count = count

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> "Layer":
        """Return a layer without parts over a volume of that shape."""
        return cls(np.zeros(shape, np.uint8))

    def with_parts(self, parts: npt.NDArray[np.uint8]) -> "Layer":
        """Return the same structures in another volume, `parts` numbered as here."""
        return Layer(parts, self.structures, self.count)

    def add(self, mask: npt.NDArray[np.bool_], *structures: str) -> int:
        """Write a part where `mask` is True, over what was there; return its number.

        Raises:
            VolumeError: If the layer is full.
        """
        if self.count == MAX_PARTS:
            raise VolumeError(f"a layer holds at most {MAX_PARTS} parts; no room for {structures}")
        self.count += 1
        self.parts[mask] = self.count
        for name in structures:
            self.structures[name] = (*self.structures.get(name, ()), self.count)
        return self.count

    def keep(self, structures: Iterable[str]) -> None:
        """Forget all structures but these; their parts stay, in nobody's name."""
        self.structures = {name: self.structures[name] for name in structures}

    def mask(self, structure: str) -> npt.NDArray[np.bool_]:
        """Return where a structure is, all False where the layer does not know it."""
        table = np.zeros(MAX_PARTS + 1, np.bool_)
        table[list(self.structures.get(structure, ()))] = True
        return table[self.parts]


TISSUES = ("air", "soft", "lung", "heart", "vessels", "abdomen", "ribs", "spine", "shoulder", "front")
"""Groups whose attenuation is varied separately when images are made from projections; "front" is the sternum
with the costal cartilages. Stored projections follow this order."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A CT with everything that is known of its structures.

    Attributes:
        case: Name of the volume.
        hu: int16 (slices, rows, columns), growing towards superior, posterior, left.
        organs: The layer that also carries attenuation groups.
        regions: Further layers (mediastinum, zones, ...).
        tissue_of_part: Index into TISSUES for each part number of `organs` (entry 0: outside every part).
        spacing_mm: Edge length of a voxel.
        centre: (slice, row, column) of the lungs' centre of mass, the point that poses turn about.
        patient: The unit that data are split by; "" where the case stands for its patient.
        absent: Our structures that are known not to be in this body; of those that are neither here nor in a
            layer nothing is known.
        whole: Our structures of which nothing lies beyond the ends of the scan (`scanned.whole_structures`).
    """

    case: str
    hu: npt.NDArray[np.int16]
    organs: Layer
    regions: tuple[Layer, ...]
    tissue_of_part: npt.NDArray[np.intp]
    spacing_mm: float
    centre: tuple[float, float, float]
    patient: str = ""
    absent: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, organs first."""
        return (self.organs, *self.regions)

    def known(self) -> list[str]:
        """Return the names of all structures that some layer holds, sorted."""
        return sorted({name for layer in self.layers for name in layer.structures})


def midline_x(volume: LabelMap) -> float:
    """Return the column of the sagittal plane through the vertebrae: the median of the columns they cover.

    Raises:
        VolumeError: If no vertebra is labelled.
    """
    columns = np.flatnonzero(volume.mask_of_kind("vertebrae_").any(axis=(0, 1)))
    if not columns.size:
        raise VolumeError(f"{volume.case}: no vertebra is labelled, so right and left have no border")
    return float(np.median(columns))


def tissue_groups(groups: Mapping[int, str], parts: int) -> npt.NDArray[np.intp]:
    """Return TISSUES indices for parts 0..parts; parts that `groups` leaves out are soft."""
    table = np.full(parts + 1, TISSUES.index("soft"), np.intp)
    for part, tissue in groups.items():
        table[part] = TISSUES.index(tissue)
    return table
