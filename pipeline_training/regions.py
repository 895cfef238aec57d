"""Regions without borders of their own: lung zones, mediastinum, what lies under the diaphragm.

Indices grow towards superior, posterior and left.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import Layer, midline_x
from pipeline_training.hull import convex_hull
from pipeline_training.volumes import LUNG_LOBES, LabelMap

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.float64]

ZONES = (
    ("lung base", "{} lung base"),
    ("mid zone lung", "{} mid zone lung"),
    ("upper zone lung", "{} upper zone lung"),
)
"""From below: the zone of both lungs, that of one side."""

MEDIAL_SHARE = 0.25
"""Share of a clavicle's voxels, those nearest to the midline, whose mean height is that of its medial end."""

LOWER_EDGE_QUANTILE = 0.25
"""Of the slices that T4 covers: its spinous process hangs below the lower edge of its body."""

BODY_WIDTH_SHARE = 0.5
"""Rows of a vertebra's slice at least half as wide as its widest row belong to body and transverse
processes."""

LEVELS_MM = 12.0
"""Half the height over which the borders of heart and vertebral bodies are levelled: slices jump, as where
only a spinous process is cut."""

OPENING_VOXELS = 2
"""Tongues of the mediastinum between lung and ribs thinner than twice this are cut off."""

SIDES = ("right", "left")
MEDIASTINAL_ORGANS = (
    "heart", "heart_myocardium", "heart_myocardium_septum", "heart_atrium_left", "heart_atrium_right",
    "heart_ventricle_left", "heart_ventricle_right", "atrial_appendage_left", "aorta", "pulmonary_artery",
    "superior_vena_cava", "brachiocephalic_vein_left", "brachiocephalic_vein_right", "brachiocephalic_trunk",
    "trachea", "esophagus",
)  # fmt: skip
HEART = tuple(name for name in MEDIASTINAL_ORGANS if name.startswith(("heart", "atrial")))
ABDOMEN = ("liver", "spleen", "stomach", "kidney_left", "kidney_right", "colon", "small_bowel")


def region_layer(volume: LabelMap) -> Layer:
    """Return lung zones, mediastinum and what lies under the diaphragm as a layer: none overlaps another."""
    layer = Layer.empty(volume.labels.shape)
    add_zones(layer, volume)
    add_mediastinum(layer, volume)
    add_subdiaphragm(layer, volume)
    return layer


def add_zones(layer: Layer, volume: LabelMap) -> None:
    """Add the lung zones: apical above the clavicle's medial end, below it three thirds of equal height.

    Source: the radiologist's upper, mid and lower zone. A side without lung or clavicle has no zones, nor
    has a body without vertebrae, which tell the midline; those of both lungs are known where both sides are.
    """
    if not volume.mask_of_kind("vertebrae_").any():
        return
    sides = [side for side in SIDES if lung_of(volume, side).any()]
    sides = [side for side in sides if volume.mask(f"clavicula_{side}").any()]
    for side in sides:
        lung = lung_of(volume, side)
        base = int(np.flatnonzero(lung.any(axis=(1, 2)))[0])
        apex = _medial_end_level(volume.mask(f"clavicula_{side}"), midline_x(volume))
        bounds = np.linspace(base, apex, len(ZONES) + 1)
        level = np.arange(len(lung))[:, None, None]
        for (both, one), low, high in zip(ZONES, bounds[:-1], bounds[1:], strict=True):
            merged = (both,) if len(sides) == 2 else ()
            layer.add(lung & (level >= low) & (level < high), *merged, one.format(side))
        merged = ("apical zone lung",) if len(sides) == 2 else ()
        layer.add(lung & (level >= apex), *merged, f"{side} apical zone lung")


def lung_of(volume: LabelMap, side: str) -> Mask:
    """Return the "right" or "left" lung: the union of its lobes and of what is labelled lung as a whole."""
    return volume.mask(f"lung_{side}", *(name for name in LUNG_LOBES if name.endswith(side)))


def _medial_end_level(clavicle: Mask, midline: float) -> float:
    """Return the mean slice of the quarter of the clavicle that is nearest to the midline."""
    levels, _, columns = np.nonzero(clavicle)
    distance = np.abs(columns - midline)
    return float(levels[distance <= np.quantile(distance, MEDIAL_SHARE)].mean())


def add_mediastinum(layer: Layer, volume: LabelMap) -> None:
    """Add the mediastinum: what lies between the lungs, parted at the lower edge of T4 and by the heart.

    From the lowest slice of the heart to the top of the lungs, per slice: the convex hull of both lungs
    between their centres, less the lungs, the bones, the abdomen and what lies behind the middle of the
    vertebral bodies, with the organs of the mediastinum added. The lower mediastinum is anterior before,
    middle beside, and posterior behind the heart (Gray's Anatomy). Unknown without heart, T4 or either lung.
    """
    heart = volume.mask(*HEART)
    t4 = np.flatnonzero(volume.mask("vertebrae_T4").any(axis=(1, 2)))
    if not (heart.any() and t4.size and all(lung_of(volume, side).any() for side in SIDES)):
        return
    region = _between_lungs(volume)
    level = np.arange(heart.shape[0])[:, None, None]
    upper = region & (level > int(np.quantile(t4, LOWER_EDGE_QUANTILE)))
    lower = region & ~upper
    front, back = _heart_depth(heart, volume.spacing_mm)
    row = np.arange(heart.shape[1])[None, :, None]
    parts = {
        "anterior mediastinum": (row < front) & ~heart,
        "middle mediastinum": ((row >= front) & (row <= back)) | heart,
        "posterior mediastinum": (row > back) & ~heart,
    }
    layer.add(upper, "cardiomediastinum", "upper mediastinum")
    for name, part in parts.items():
        layer.add(lower & part, "cardiomediastinum", "lower mediastinum", name)


def _heart_depth(heart: Mask, spacing_mm: float) -> tuple[Rows, Rows]:
    """Return front and back row of the heart, each (slices, 1, 1); elsewhere those of the nearest slice."""
    cut = np.flatnonzero(heart.any(axis=(1, 2)))
    rows = np.asarray(heart.any(axis=2))[cut]
    front = rows.argmax(axis=1)
    back = rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    levelled = [_levelled(cut, border, len(heart), spacing_mm) for border in (front, back)]
    return levelled[0][:, None, None], levelled[1][:, None, None]


def _levelled(cut: npt.NDArray[np.intp], rows: npt.NDArray[np.intp], slices: int, spacing_mm: float) -> Rows:
    """Return a row for each slice: the median of the known ones around it, or that of the nearest one."""
    distance = np.abs(np.arange(slices)[:, None] - cut)
    reach = np.maximum(LEVELS_MM / spacing_mm, distance.min(axis=1))
    return np.array([np.median(rows[near]) for near in distance <= reach[:, None]])


def _between_lungs(volume: LabelMap) -> Mask:
    right, left = (_filled(lung_of(volume, side)) for side in SIDES)
    spine = volume.mask_of_kind("vertebrae_")
    floor = int(np.flatnonzero(volume.mask(*HEART).any(axis=(1, 2)))[0])
    top = int(np.flatnonzero((right | left).any(axis=(1, 2)))[-1])
    limits = _middle_rows(spine, volume.spacing_mm)
    row = np.arange(spine.shape[1])[:, None]
    region = np.zeros_like(right)
    for z in range(floor, top + 1):
        if right[z].any() and left[z].any():
            region[z] = _gap(right[z], left[z]) & (row <= limits[z])
    other = (
        right | left | volume.mask_of_kind("rib_", "vertebrae_", "sternum", "costal") | volume.mask(*ABDOMEN)
    )
    region = np.asarray(ndimage.binary_opening(region & ~other, iterations=OPENING_VOXELS), np.bool_)
    region[floor : top + 1] |= volume.mask(*MEDIASTINAL_ORGANS)[floor : top + 1]
    pieces, _ = ndimage.label(region)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax()) & region


def _filled(lung: Mask) -> Mask:
    """Return a lung with the vessels and bronchi that it surrounds in an axial slice."""
    return np.stack([np.asarray(ndimage.binary_fill_holes(section)) for section in lung])


def _gap(right: Mask, left: Mask) -> Mask:
    """Return the pixels of the lungs' common convex hull between the columns of their centres."""
    column = np.arange(right.shape[1])[None, :]
    right_centre, left_centre = (float(np.nonzero(lung)[1].mean()) for lung in (right, left))
    return convex_hull(right | left) & (column > right_centre) & (column < left_centre)


def _middle_rows(spine: Mask, spacing_mm: float) -> Rows:
    """Return for each slice the row of the middle of the vertebral body; beyond all rows without a spine."""
    cut = np.flatnonzero(spine.any(axis=(1, 2)))
    if not cut.size:
        return np.full(len(spine), float(spine.shape[1]))
    return _levelled(cut, np.array([_middle_row(spine[z]) for z in cut]), len(spine), spacing_mm)


def _middle_row(spine: Mask) -> int:
    widths = spine.sum(axis=1)
    body = np.flatnonzero(widths >= BODY_WIDTH_SHARE * widths.max())
    return int(body[max(0, len(body) // 2 - 1)])


def add_subdiaphragm(layer: Layer, volume: LabelMap) -> None:
    """Add what lies under the diaphragm, right and left of the plane through the vertebrae.

    In a column that holds lung or heart it is what lies below the lowest of them; a column that holds
    abdominal organs alone takes the height of the nearest column that does. Ribs, vertebrae and the
    mediastinum are not part of it. The muscle itself cannot be seen on a CT; PAXRay, too, means the tissue
    under it (arXiv 2210.03416). Unknown without lungs, liver or vertebrae.
    """
    lungs = lung_of(volume, "right") | lung_of(volume, "left")
    if not (lungs.any() and volume.mask("liver").any() and volume.mask_of_kind("vertebrae_").any()):
        return
    chest = lungs | volume.mask(*HEART)
    spine_or_ribs = volume.mask_of_kind("rib_", "vertebrae_")
    level = np.arange(len(chest))[:, None, None]
    under = level < _ceiling(chest, volume.mask(*ABDOMEN))[None]
    under &= ~spine_or_ribs & ~layer.mask("cardiomediastinum")
    column = np.arange(chest.shape[2])[None, None, :]
    middle = midline_x(volume)
    for side, half in (("right", column < middle), ("left", column >= middle)):
        layer.add(under & half & _below_organs(volume, half), "diaphragm", f"{side} hemidiaphragm")


def _below_organs(volume: LabelMap, half: Mask) -> Mask:
    """Return (slices, 1, 1) where it is no higher than the abdominal organs of a half of the body reach.

    Columns that hold lung near its apex alone would else be abdomen from there down.
    """
    abdomen = volume.mask("diaphragm", *ABDOMEN)
    slices = np.flatnonzero((abdomen & half).any(axis=(1, 2)))
    highest = slices[-1] if slices.size else np.flatnonzero(abdomen.any(axis=(1, 2)))[-1]
    return np.asarray(np.arange(len(abdomen)) <= highest)[:, None, None]


def _ceiling(chest: Mask, abdomen: Mask) -> npt.NDArray[np.intp]:
    """Return for each column (rows, columns) the slice below which it is abdomen; 0 where it is neither."""
    over = chest.any(axis=0)
    nearest = ndimage.distance_transform_edt(~over, return_distances=False, return_indices=True)
    ceiling = chest.argmax(axis=0)[tuple(nearest)]
    ceiling[~(over | abdomen.any(axis=0))] = 0
    return np.asarray(ceiling, np.intp)
