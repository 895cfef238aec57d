"""A made segmentation of the 159 structures of PAX-Ray++: ellipses, ribs and the unions of them.

As many overlapping structures as a model may find in one film, of the sizes that anatomy has, for the time
that a viewer takes to load them. Nobody's anatomy.
"""

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ai.labels import LABELS, children
from ai.segmentation import Mask, Segmentation
from ai.stand_in import StandInSegmenter

COUNT = 159
"""Structures of the released list of PAX-Ray++; ours have two more at the end of ai/labels.csv."""

Field = npt.NDArray[np.bool_]
Grid = npt.NDArray[np.float64]

NAMES = tuple(label.name for label in LABELS[:COUNT])

ELLIPSES = {
    "rib_cartilage": (0.5, 0.6, 0.2, 0.18),
    "sternum": (0.5, 0.42, 0.04, 0.2),
    "clavicle right": (0.32, 0.17, 0.15, 0.02),
    "scapula right": (0.14, 0.3, 0.08, 0.14),
    "right hemidiaphragm": (0.28, 0.72, 0.2, 0.06),
    "stomach": (0.66, 0.86, 0.1, 0.07),
    "small bowel": (0.5, 0.95, 0.2, 0.04),
    "duodenum": (0.47, 0.9, 0.06, 0.05),
    "liver": (0.3, 0.84, 0.22, 0.1),
    "pancreas": (0.52, 0.9, 0.12, 0.03),
    "kidney right": (0.38, 0.92, 0.05, 0.06),
    "upper mediastinum": (0.5, 0.25, 0.08, 0.12),
    "lower mediastinum": (0.52, 0.55, 0.16, 0.2),
    "anterior mediastinum": (0.5, 0.5, 0.1, 0.22),
    "middle mediastinum": (0.52, 0.48, 0.14, 0.22),
    "posterior mediastinum": (0.5, 0.5, 0.07, 0.3),
    "heart atrium left": (0.54, 0.52, 0.07, 0.06),
    "heart atrium right": (0.43, 0.58, 0.06, 0.09),
    "heart myocardium": (0.59, 0.6, 0.09, 0.1),
    "heart ventricle left": (0.6, 0.61, 0.07, 0.08),
    "heart ventricle right": (0.5, 0.63, 0.1, 0.08),
    "ascending aorta": (0.48, 0.4, 0.03, 0.08),
    "descending aorta": (0.54, 0.5, 0.025, 0.22),
    "aortic arch": (0.53, 0.3, 0.05, 0.03),
    "pulmonary artery": (0.54, 0.4, 0.06, 0.03),
    "inferior vena cava": (0.46, 0.72, 0.025, 0.05),
    "esophagus": (0.51, 0.45, 0.02, 0.35),
    "right apical zone lung": (0.32, 0.2, 0.08, 0.05),
    "right upper zone lung": (0.3, 0.3, 0.12, 0.08),
    "right mid zone lung": (0.28, 0.45, 0.14, 0.09),
    "right lung base": (0.27, 0.6, 0.15, 0.1),
    "lung upper lobe right": (0.3, 0.32, 0.12, 0.16),
    "lung middle lobe right": (0.3, 0.58, 0.12, 0.08),
    "lung lower lobe right": (0.27, 0.52, 0.13, 0.18),
    "trachea": (0.5, 0.2, 0.02, 0.14),
    "tracheal bifurcation": (0.5, 0.33, 0.04, 0.02),
    "breast right": (0.2, 0.65, 0.13, 0.1),
}
"""Centre (x, y) and radii as fractions of width and height; the left side mirrors the right one."""

RIB = re.compile(r"(anterior|posterior) (\d+)\w+ rib (right|left)")
VERTEBRA = re.compile(r"vertebrae ([CTL])(\d+)")
ABOVE = {"C": 0, "T": 7, "L": 19}
"""Vertebrae above the first one of a part of the spine."""


def many_structures(shape: tuple[int, int]) -> Segmentation:
    """Return a segmentation of 159 structures on a radiograph of shape (rows, columns)."""
    x = (np.arange(shape[1])[None, :] + 0.5) / shape[1]
    y = (np.arange(shape[0])[:, None] + 0.5) / shape[0]
    masks = {name: Mask.from_dense(_drawn(name, x, y)) for name in NAMES}
    found = {name: mask for name, mask in masks.items() if mask is not None}
    return Segmentation(shape, found, StandInSegmenter.model, frontal_probability=1.0)


def _drawn(name: str, x: Grid, y: Grid) -> Field:
    """Return a structure; one that comprises others is their union."""
    parts = list(_parts(name))
    if name == "trachea" or not parts:
        return _single(name, x, y)
    union = _drawn(parts[0], x, y)
    for part in parts[1:]:
        union |= _drawn(part, x, y)
    return union


def _parts(name: str) -> Iterator[str]:
    inside = [child for child in children(name) if child in NAMES]
    sides = [f"right {name}", f"left {name}"]
    yield from inside or (side for side in sides if side in NAMES)


def _single(name: str, x: Grid, y: Grid) -> Field:
    if rib := RIB.fullmatch(name):
        return _rib(rib[1] == "anterior", int(rib[2]), rib[3] == "right", x, y)
    if vertebra := VERTEBRA.fullmatch(name):
        centre = 0.02 + 0.04 * (ABOVE[vertebra[1]] + int(vertebra[2]) - 1)
        return np.asarray((abs(x - 0.5) < 0.035) & (abs(y - centre) < 0.018))
    if name not in ELLIPSES:
        centre_x, centre_y, wide, high = ELLIPSES[name.replace("left", "right")]
        centre_x = 1 - centre_x
    else:
        centre_x, centre_y, wide, high = ELLIPSES[name]
    return np.asarray(((x - centre_x) / wide) ** 2 + ((y - centre_y) / high) ** 2 <= 1)


def _rib(is_anterior: bool, number: int, is_right: bool, x: Grid, y: Grid) -> Field:
    """Return a rib: a band that rises and falls from the spine outwards, or falls inwards from the side."""
    side = (x < 0.5) if is_right else (x > 0.5)
    along = (abs(x - 0.5) - 0.05) / 0.31
    middle = 0.1 + 0.05 * number + (0.2 - 0.08 * along if is_anterior else 0.05 * along**2)
    least = 0.3 if is_anterior else 0.0
    return np.asarray(side & (along >= least) & (along <= 1) & (abs(y - middle) < 0.009))
