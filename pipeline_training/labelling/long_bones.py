"""Whether a clavicle is as long and as slender as clavicles are: its volume alone does not tell.

A name that spread to the first rib's calcified cartilage, or to contrast in the vein beneath, or that stopped
half-way along the bone, may leave a plausible volume.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

CLAVICLES = ("clavicula_",)
"""Beginning of their names."""

SHORTEST_MM = 100.0
"""Of a whole adult clavicle: they measure some 120 to 170 mm (text books); a little is allowed for."""

WIDEST_MM = 30.0
"""Across the bone: a cross-section may spread about its centre as far as a disc of that width does. A
clavicle's sternal end, its thickest part, measures some 25 mm (text books)."""

STRAY_SHARE = 0.05
"""Of the bone: smaller pieces are left out, so that a stray voxel makes no bone longer."""

STEP_MM = 6.0
"""Along the bone, between the cross-sections that are measured."""


@dataclass(frozen=True)
class Shape:
    """Of a bone along and across its main axis.

    Attributes:
        length_mm: Along the axis.
        widest_mm: Width of a disc that spreads about its centre as far as the widest cross-section does: a
            neighbour that is named as well makes it wide, however small its area.
    """

    length_mm: float
    widest_mm: float


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
    *across, along = (centred @ directions).T
    slab = ((along - along.min()) // STEP_MM).astype(int)
    # the mean square distance from the centre is d^2 / 8 on a disc of width d
    spread = sum(ndimage.variance(each, slab, np.unique(slab)) for each in across)
    return Shape(float(np.ptp(along)) + spacing_mm, float(np.sqrt(8 * np.max(spread))))


def misshapen(shape: Shape, cut: bool) -> str:
    """Return why a bone cannot be of that shape, or ""; one that is cut may be short."""
    if shape.widest_mm > WIDEST_MM:
        return f"too thick for the bone: {shape.widest_mm:.0f} mm across, at most {WIDEST_MM:g} are plausible"
    if not cut and shape.length_mm < SHORTEST_MM:
        return f"too short for the bone: {shape.length_mm:.0f} mm, at least {SHORTEST_MM:g} are plausible"
    return ""
