"""Whether a clavicle is as long and as slender as clavicles are: its volume alone does not tell.

A name that spread to the first rib's calcified cartilage, or that stopped half-way along the bone, may leave
a plausible volume.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

CLAVICLES = ("clavicula_",)
"""Beginning of their names."""

SHORTEST_MM = 100.0
"""Of a whole adult clavicle: they measure some 120 to 170 mm (text books); a little is allowed for."""

WIDEST_MM2 = 600.0
"""Across the bone. Eight clavicles of the four labelled development bodies reach 357 to 532 mm2; two onto
which a name had spread from the bone to the first rib's cartilage 666 and 705."""

STRAY_SHARE = 0.05
"""Of the bone: smaller pieces are left out, so that a stray voxel makes no bone longer."""

STEP_MM = 6.0
"""Along the bone, between the cross-sections that are measured."""


@dataclass(frozen=True)
class Shape:
    """How long a bone is along its main axis, and its largest cross-section."""

    length_mm: float
    widest_mm2: float


def shape_of(mask: npt.NDArray[np.bool_], spacing_mm: float) -> Shape:
    """Return the shape of a mask (slices, rows, columns) that holds a voxel.

    The main axis is that of the largest variance of the voxels' places.
    """
    pieces, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    places = np.argwhere((sizes >= STRAY_SHARE * sizes.sum())[pieces] & mask) * spacing_mm
    centred = places - places.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    along = centred @ directions[:, -1]
    slabs = np.bincount(((along - along.min()) // STEP_MM).astype(int))
    return Shape(float(np.ptp(along)) + spacing_mm, float(slabs.max() * spacing_mm**3 / STEP_MM))


def misshapen(shape: Shape, cut: bool) -> str:
    """Return why a bone cannot be of that shape, or ""; one that is cut may be short."""
    if shape.widest_mm2 > WIDEST_MM2:
        return (
            f"too thick for the bone: {shape.widest_mm2:.0f} mm2 across, at most {WIDEST_MM2:g} are plausible"
        )
    if not cut and shape.length_mm < SHORTEST_MM:
        return f"too short for the bone: {shape.length_mm:.0f} mm, at least {SHORTEST_MM:g} are plausible"
    return ""
