"""From path lengths to masks: what of a projected structure a reader would call visible."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import Anatomy
from pipeline_training.projector import Projection

FloatImage = npt.NDArray[np.float32]

Mask = npt.NDArray[np.bool_]

DEFAULT_THRESHOLD_MM = 1.5
"""A ray belongs to a structure when its path in it is at least one voxel long."""

THRESHOLD_MM: Mapping[str, float] = {
    "heart": 8.0,
    "lung": 6.0,
    "right lung": 6.0,
    "left lung": 6.0,
    "cardiomediastinum": 12.0,
    "upper mediastinum": 12.0,
    "lower mediastinum": 12.0,
    "middle mediastinum": 12.0,
    "diaphragm": 15.0,
    "right hemidiaphragm": 15.0,
    "left hemidiaphragm": 15.0,
    "liver": 8.0,
    "stomach": 8.0,
}
"""Thin rims of soft organs cast no visible edge; thresholds chosen by looking at projections."""

HEART_OPENING = 4 / 320
"""Radius of the disc that opens the heart, as a share of the picture's width, some 5 mm: 3D labels leave
stubs of the great vessels on it, readers do not."""

LUNG_OPENING = 2 / 320
"""Of the opening that takes slivers between the covering structures off the visible lung, likewise."""

VISIBLE_LUNG = {"visible lung right": "right lung", "visible lung left": "left lung"}
COVERING = {"heart": 12.0, "diaphragm": 20.0, "aorta": 12.0, "cardiomediastinum": 45.0}
"""Path in mm from which a structure hides the lung before or behind it, as readers draw the lung."""

TELL_VISIBLE_LUNG = frozenset({*VISIBLE_LUNG.values(), "heart", "diaphragm", "cardiomediastinum"})
"""Without one of these the visible lungs are unknown: without the mediastinum they would be 7 % too large on
lidc_0001. The aorta may lack, as most of it lies within the mediastinum."""


def structure_lengths(anatomy: Anatomy, projection: Projection) -> dict[str, FloatImage]:
    """Return the path length in mm (size, size) of every structure that the anatomy knows.

    A structure of one part shares its memory with the projection.
    """
    lengths: dict[str, FloatImage] = {}
    for layer, sums in zip(anatomy.layers, projection.lengths_mm, strict=True):
        for name, parts in layer.structures.items():
            lengths[name] = _sum([sums[part] for part in parts])
    return lengths


def _sum(images: Sequence[FloatImage]) -> FloatImage:
    """Return the sum of images; a single one is returned as it is."""
    if len(images) == 1:
        return images[0]
    total = images[0].copy()
    for image in images[1:]:
        total += image
    return total


def structure_masks(lengths: Mapping[str, FloatImage]) -> dict[str, Mask]:
    """Return masks (size, size) of all structures, the visible lungs among them where they can be told.

    The heart is opened and kept in one piece. A visible lung is what of the lung no covering structure hides,
    opened, its largest piece; told where `TELL_VISIBLE_LUNG` is known.
    """
    masks: dict[str, Mask] = {
        n: length >= THRESHOLD_MM.get(n, DEFAULT_THRESHOLD_MM) for n, length in lengths.items()
    }
    if "heart" in masks:
        masks["heart"] = largest_piece(ndimage.binary_opening(masks["heart"], _disc(masks["heart"])))
    if lengths.keys() >= TELL_VISIBLE_LUNG:
        hidden = np.zeros_like(masks["heart"])
        for name, limit in COVERING.items():
            if name in lengths:
                hidden |= lengths[name] >= limit
        for visible, lung in VISIBLE_LUNG.items():
            steps = max(1, round(LUNG_OPENING * len(hidden)))
            masks[visible] = largest_piece(ndimage.binary_opening(masks[lung] & ~hidden, iterations=steps))
    return masks


def _disc(mask: Mask) -> Mask:
    """Return the disc that opens a heart mask (size, size)."""
    radius = round(HEART_OPENING * len(mask))
    return np.asarray(np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius, np.bool_)


def largest_piece(mask: Mask) -> Mask:
    """Return the largest connected component with its holes filled; an empty mask stays empty."""
    pieces, count = ndimage.label(mask)
    if count == 0:
        return mask
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(pieces == largest), np.bool_)
