"""Regions without borders of their own: lung zones, the mediastinum and its parts, what lies under the diaphragm."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull

from pipeline_training.anatomy import Layer, midline_x
from pipeline_training.volumes import LUNG_LOBES, LabelMap

Mask = npt.NDArray[np.bool_]

ZONES = (
    ("lung base", "{} lung base"),
    ("mid zone lung", "{} mid zone lung"),
    ("upper zone lung", "{} upper zone lung"),
)
MEDIASTINAL_ORGANS = (
    "heart", "heart_myocardium", "heart_myocardium_septum", "heart_atrium_left", "heart_atrium_right",
    "heart_ventricle_left", "heart_ventricle_right", "atrial_appendage_left", "aorta", "pulmonary_artery",
    "superior_vena_cava", "brachiocephalic_vein_left", "brachiocephalic_vein_right", "brachiocephalic_trunk",
    "trachea", "esophagus",
)  # fmt: skip
HEART = tuple(name for name in MEDIASTINAL_ORGANS if name.startswith(("heart", "atrial")))


def region_layer(volume: LabelMap) -> Layer:
    """Return lung zones, mediastinum and what lies under the diaphragm as one layer: none overlaps another."""
    layer = Layer(volume.labels.shape)
    add_zones(layer, volume)
    add_mediastinum(layer, volume)
    add_subdiaphragm(layer, volume)
    return layer


def add_zones(layer: Layer, volume: LabelMap) -> None:
    """Add the lung zones: apical above the clavicles' medial ends, below it three thirds of equal height.

    Source: the radiologist's upper, mid and lower zone; without clavicles no zone is known.
    """
    for side in ("right", "left"):
        lung = volume.mask(*(name for name in LUNG_LOBES if name.endswith(side)))
        clavicle = volume.mask(f"clavicula_{side}")
        if not lung.any() or not clavicle.any():
            continue
        base = int(np.flatnonzero(lung.any(axis=(1, 2)))[0])
        apex = _medial_end_level(clavicle, midline_x(volume))
        bounds = np.linspace(base, apex, 4)
        level = np.arange(len(lung))[:, None, None]
        for (both, one), low, high in zip(ZONES, bounds[:-1], bounds[1:], strict=True):
            layer.add(lung & (level >= low) & (level < high), both, one.format(side))
        layer.add(lung & (level >= apex), "apical zone lung", f"{side} apical zone lung")


def _medial_end_level(clavicle: Mask, midline: float) -> float:
    """Return the mean slice of the quarter of the clavicle that is nearest to the midline."""
    levels, _, columns = np.nonzero(clavicle)
    distance = np.abs(columns - midline)
    return float(levels[distance <= np.quantile(distance, 0.25)].mean())


def add_mediastinum(layer: Layer, volume: LabelMap) -> None:
    """Add the mediastinum: what lies between the lungs, parted at the lower edge of T4 and by the heart.

    Per slice: the convex hull of both lungs, less the lungs, the bones and what lies behind the front of the
    vertebral bodies, with the organs of the mediastinum added. Upper and lower mediastinum meet at the lower edge of
    T4; the lower one is anterior before, middle beside, and posterior behind the heart (Gray's Anatomy).
    """
    heart = volume.mask(*HEART)
    t4 = np.flatnonzero(volume.mask("vertebrae_T4").any(axis=(1, 2)))
    if not heart.any() or not t4.size:
        return
    region = _between_lungs(volume)
    level = np.arange(len(heart))[:, None, None]
    upper = region & (level > int(np.quantile(t4, 0.25)))
    lower = region & ~upper
    front, back = _heart_depth(heart)
    row = np.arange(heart.shape[1])[None, :, None]
    layer.add(upper, "cardiomediastinum", "upper mediastinum")
    layer.add(lower & (row < front), "cardiomediastinum", "lower mediastinum", "anterior mediastinum")
    middle = (row >= front) & (row <= back)
    layer.add(lower & (middle | heart), "cardiomediastinum", "lower mediastinum", "middle mediastinum")
    layer.add(
        lower & (row > back) & ~heart, "cardiomediastinum", "lower mediastinum", "posterior mediastinum"
    )


def _heart_depth(heart: Mask) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return front and back row of the heart per slice (slices, 1, 1), those of the nearest heart slice elsewhere."""
    slices = np.flatnonzero(heart.any(axis=(1, 2)))
    nearest = slices[np.abs(np.arange(len(heart))[:, None] - slices[None, :]).argmin(axis=1)]
    rows = heart.any(axis=2)
    front = rows.argmax(axis=1).astype(np.float64)[nearest]
    back = (rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)).astype(np.float64)[nearest]
    return front[:, None, None], back[:, None, None]


def _between_lungs(volume: LabelMap) -> Mask:
    right = volume.mask(*(n for n in LUNG_LOBES if n.endswith("right")))
    left = volume.mask(*(n for n in LUNG_LOBES if n.endswith("left")))
    spine = volume.mask(*(n for n in volume.names.values() if n.startswith("vertebrae_")))
    bones = volume.mask(
        *(n for n in volume.names.values() if n.startswith(("rib_", "vertebrae", "sternum", "costal")))
    )
    organs = volume.mask(*MEDIASTINAL_ORGANS)
    floor = int(np.flatnonzero(volume.mask(*HEART).any(axis=(1, 2)))[0])
    region = np.zeros_like(right)
    for z in range(floor, len(region)):
        if right[z].any() and left[z].any():
            region[z] = _gap(right[z], left[z]) & _before_spine(spine[z])
    below = volume.mask("liver", "stomach", "spleen", "colon", "kidney_left", "kidney_right")
    region = ndimage.binary_opening(region & ~(right | left | bones | below), iterations=2)
    region |= organs & (np.arange(len(region)) >= floor)[:, None, None]
    return np.asarray(region)


def _gap(right: Mask, left: Mask) -> Mask:
    """Return the pixels of the lungs' convex hull that lie between the innermost columns of their hulls' halves."""
    rows, columns = np.nonzero(right | left)
    points = np.column_stack([columns, rows])
    outline = points[ConvexHull(points).vertices]
    picture = Image.new("1", (right.shape[1], right.shape[0]))
    ImageDraw.Draw(picture).polygon([(int(x), int(y)) for x, y in outline], fill=1)
    hull = np.array(picture, dtype=np.bool_)
    column = np.arange(right.shape[1])[None, :]
    right_centre, left_centre = (float(np.nonzero(lung)[1].mean()) for lung in (right, left))
    return hull & (column > right_centre) & (column < left_centre)


def _before_spine(spine: Mask) -> Mask:
    """Return the pixels before the middle of the vertebral body; everything where no vertebra is cut."""
    rows = np.flatnonzero(spine.any(axis=1))
    if not rows.size:
        return np.ones_like(spine)
    widths = spine.sum(axis=1)[rows]
    body = rows[widths >= 0.5 * widths.max()]
    limit = body[: max(1, len(body) // 2)].max()
    return np.broadcast_to((np.arange(spine.shape[0]) <= limit)[:, None], spine.shape)


def add_subdiaphragm(layer: Layer, volume: LabelMap) -> None:
    """Add what lies under the diaphragm, right and left of the plane through the vertebrae.

    A voxel lies under the diaphragm when no lung and no heart lies below or at its height in its column; a column
    that holds abdominal organs alone takes the height of the nearest column that holds more. The muscle itself cannot
    be seen on a CT; PAXRay, too, means the tissue under it (arXiv 2210.03416).
    """
    chest = volume.mask(*LUNG_LOBES) | volume.mask(*HEART)
    abdomen = volume.mask("liver", "spleen", "stomach", "kidney_left", "kidney_right", "colon", "small_bowel")
    if not volume.ids("liver") or not chest.any():
        return
    over = chest.any(axis=0)
    nearest = ndimage.distance_transform_edt(~over, return_distances=False, return_indices=True)
    ceiling = chest.argmax(axis=0)[tuple(nearest)]
    ceiling[~(over | abdomen.any(axis=0))] = 0
    level = np.arange(len(chest))[:, None, None]
    bones = volume.mask(*(n for n in volume.names.values() if n.startswith(("rib_", "vertebrae_"))))
    under = (level < ceiling[None]) & ~bones
    column = np.arange(chest.shape[2])[None, None, :]
    middle = midline_x(volume)
    layer.add(under & (column < middle), "diaphragm", "right hemidiaphragm")
    layer.add(under & (column >= middle), "diaphragm", "left hemidiaphragm")
