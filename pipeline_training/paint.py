"""Adding tissue to a volume: room around it, and what is painted into it."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import TISSUES, Anatomy, Layer

AIR_HU = -1000
SKIN_HU = -300
"""Between air and the fat under the skin."""

FAT_HU, MUSCLE_HU = -100, 45
SPONGY_HU, CORTEX_HU = 230, 900

ROUNDED_MM = 40.0
"""How far a body that the scan cut off goes on beyond the cut."""

Mask = npt.NDArray[np.bool_]
Box = tuple[slice, slice, slice]


def add_room(anatomy: Anatomy, sides_mm: float = 0.0, front_mm: float = 0.0) -> Anatomy:
    """Return the anatomy in a larger volume: air on both sides and in front.

    Where the scan cut the body off at a side, the new columns round it off.
    """
    sides, front = (round(mm / anatomy.spacing_mm) for mm in (sides_mm, front_mm))
    margins = ((0, 0), (front, 0), (sides, sides))
    z, y, x = anatomy.centre

    def larger(layer: Layer) -> Layer:
        return layer.with_parts(np.pad(layer.parts, margins))

    hu = np.pad(anatomy.hu, margins, constant_values=AIR_HU)
    if sides:
        _round_off(hu[:, :, :sides][:, :, ::-1], hu[:, :, sides], anatomy.spacing_mm)
        _round_off(hu[:, :, -sides:], hu[:, :, -sides - 1], anatomy.spacing_mm)
    return replace(
        anatomy,
        hu=hu,
        organs=larger(anatomy.organs),
        regions=tuple(larger(layer) for layer in anatomy.regions),
        centre=(z, y + front, x + sides),
    )


def _round_off(beyond: npt.NDArray[np.int16], edge: npt.NDArray[np.int16], spacing_mm: float) -> None:
    """Fill columns `beyond` the volume's edge (nearest first) with a body that narrows to nothing."""
    depth = ndimage.distance_transform_edt(edge > SKIN_HU)
    for k in range(min(beyond.shape[2], round(ROUNDED_MM / spacing_mm))):
        goes_on = depth > k * k * spacing_mm / ROUNDED_MM
        beyond[:, :, k][goes_on] = np.maximum(edge[goes_on], FAT_HU)


def painted(
    anatomy: Anatomy,
    box: Box,
    mask: Mask,
    hu: npt.NDArray[np.int16],
    tissue: str,
    structures: tuple[str, ...] = (),
) -> Anatomy:
    """Return the anatomy with a new part of the organ layer where `mask` is True.

    Args:
        anatomy: What is painted on; it stays as it is.
        box: The corner of the volume that is painted in.
        mask: Of the box's shape.
        hu: The values of the part's voxels, in their order.
        tissue: The part's attenuation group.
        structures: What it is part of; none for what only the image shows.

    Raises:
        pipeline_training.errors.VolumeError: If the layer is full.
    """
    values, parts = anatomy.hu.copy(), anatomy.organs.parts.copy()
    values[box][mask] = hu
    inside = Layer(parts[box], anatomy.organs.structures, anatomy.organs.count)
    inside.add(mask, *structures)
    organs = Layer(parts, inside.structures, inside.count)
    tissues = np.append(anatomy.tissue_of_part, TISSUES.index(tissue))
    return replace(anatomy, hu=values, organs=organs, tissue_of_part=tissues)


def outside(anatomy: Anatomy, box: Box) -> Mask:
    """Return where, in a corner of the volume, air is that belongs to no organ."""
    return np.asarray((anatomy.hu[box] < SKIN_HU) & (anatomy.organs.parts[box] == 0), np.bool_)
