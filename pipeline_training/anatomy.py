"""Overlapping structures as unions of parts, so that a volume is projected once for all of them.

Anatomy overlaps (a rib crosses the lung, the heart lies in the mediastinum), but most structures are unions of parts
that do not. A layer is one such partition of the volume; a structure is a set of parts of one layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline_training.volumes import LabelMap


class Layer:
    """A partition of a volume into numbered parts (0: none), and the structures made of them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.parts: npt.NDArray[np.uint8] = np.zeros(shape, np.uint8)
        self.structures: dict[str, tuple[int, ...]] = {}
        self._count = 0

    def add(self, mask: npt.NDArray[np.bool_], *structures: str) -> int:
        """Write a part where `mask` is True (over what was there) and count it to the structures; return its number."""
        self._count += 1
        if self._count > 255:
            raise ValueError("a layer holds at most 255 parts")
        self.parts[mask] = self._count
        for name in structures:
            self.structures[name] = (*self.structures.get(name, ()), self._count)
        return self._count

    @property
    def count(self) -> int:
        """Number of parts, background not counted."""
        return self._count


TISSUES = ("air", "soft", "lung", "heart", "vessels", "abdomen", "ribs", "spine", "shoulder", "front")
"""Groups whose attenuation is varied separately when images are made from projections."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A CT with everything that is known of its structures.

    Attributes:
        case: The patient; data are split by it.
        hu: int16 (slices, rows, columns).
        organs: The layer that also carries attenuation groups.
        regions: Further layers (mediastinum, zones, ...).
        tissue_of_part: Index into TISSUES for each part number of `organs` (entry 0: outside every part).
        spacing_mm: Edge length of a voxel.
    """

    case: str
    hu: npt.NDArray[np.int16]
    organs: Layer
    regions: tuple[Layer, ...]
    tissue_of_part: npt.NDArray[np.intp]
    spacing_mm: float
    centre: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, organs first."""
        return (self.organs, *self.regions)

    def known(self) -> list[str]:
        """Return the names of all structures that some layer holds, sorted."""
        return sorted({name for layer in self.layers for name in layer.structures})


def midline_x(volume: LabelMap) -> float:
    """Return the column of the sagittal plane through the vertebrae (the median of their voxels)."""
    spine = volume.mask(*(n for n in volume.names.values() if n.startswith("vertebrae_")))
    return float(np.median(np.nonzero(spine.any(axis=(0, 1)))[0]))


def tissue_groups(groups: Mapping[int, str], parts: int) -> npt.NDArray[np.intp]:
    """Return TISSUES indices for parts 0..parts; parts that `groups` leaves out are soft."""
    table = np.full(parts + 1, TISSUES.index("soft"), np.intp)
    for part, tissue in groups.items():
        table[part] = TISSUES.index(tissue)
    return table
