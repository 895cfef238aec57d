"""Dense voxels get the name of a bone: the ribs' by counting, the others' by an atlas that lies on the CT.

An atlas never fits to the voxel, but bone is seen in the CT itself. So the atlas only says which bone it is.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.labelling.bone_paths import Lengths, Mask, Numbers, nearest_seed
from pipeline_training.labelling.rib_count import RIBS, SIDES, SpineAxis
from pipeline_training.labelling.rules import closed_over
from pipeline_training.volumes import LabelMap

BONES = ("rib_", "vertebrae_", "sternum", "clavicula", "scapula", "humerus")
"""Beginnings of names."""

NAMED = BONES[:-1]
"""A humerus may be cut or lie apart: it only keeps its voxels from the others."""

RIVALS = (
    "scapula_right", "scapula_left", "clavicula_right", "clavicula_left", "sternum", "humerus_right",
    "humerus_left",
)  # fmt: skip
"""Bones that touch ribs; number 25 and up."""

CARTILAGE = "costal_cartilages"

NEAR_RIBS_MM = 28.0
"""What lies further from the atlas' ribs is no rib."""

CAGE_MM = 20.0
"""A shoulder blade's sure part lies further from the lungs than ribs do."""

SURE_MM = 9.0
"""A rival's sure part lies so far from the atlas' ribs."""

SPINE_FRONT_MM = 60.0
"""The spine's part that is cut away from the ribs begins so far before its middle."""

LENIENT_MM = 3.0
"""By so much a rib may lie further from the atlas' ribs than from its shoulder blade."""

BRIDGE_MM = 8.0
"""A way along a rib may lead through what lies so near to the atlas' ribs, whosesoever it is."""

REACH_MM = 7.0
"""What lies further from every bone of the atlas keeps no name."""

FRONT_END_MM = 6.0
"""From the atlas' cartilages to the calcified part of one."""

MARROW_MM = {"vertebrae_": 9.0, "rib_": 3.5}
"""Half the width of the marrow that is closed over, by kind; else `OTHER_MARROW_MM`."""

OTHER_MARROW_MM = 5.0
CRUMB = 30
CRUMB_SHARE = 0.02
FAT_HU = -50


def rib_name(number: int) -> str:
    """Return the name of a rib by its number, 1 to 12 on the right and 13 to 24 on the left.

    >>> rib_name(13)
    'rib_left_1'
    """
    return f"rib_{SIDES[(number - 1) // RIBS]}_{(number - 1) % RIBS + 1}"


def distance(mask: Mask, spacing_mm: float) -> Lengths:
    """Return the distance to a mask in mm by every other voxel: near enough, and eight times faster."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    coarse = np.asarray(ndimage.distance_transform_edt(~mask[::2, ::2, ::2], 2 * spacing_mm), np.float32)
    return _doubled(coarse, mask.shape)


def _doubled(coarse: npt.NDArray[np.float32], shape: Sequence[int]) -> npt.NDArray[np.float32]:
    for axis in range(3):
        coarse = np.repeat(coarse, 2, axis=axis)
    return coarse[: shape[0], : shape[1], : shape[2]]


def rib_paths(
    bone: Mask, sections: Numbers, prior: LabelMap, lungs: Mask, axis: SpineAxis, beside_mm: float
) -> tuple[Numbers, Lengths]:
    """Return which rib or rival each dense voxel beside the spine belongs to, and its way from the seed.

    Args:
        bone: Dense voxels.
        sections: The counted cross-sections, 1 to 24.
        prior: The atlas on the CT.
        lungs: Of the CT.
        axis: Of the spine.
        beside_mm: What lies nearer to the middle of the spine is left to the vertebrae.
    """
    spacing = prior.spacing_mm
    to_ribs, to_lungs = distance(prior.mask_of_kind("rib_"), spacing), distance(lungs, spacing)
    domain = bone & ~_spine(bone.shape, axis, beside_mm, spacing) & (to_ribs < NEAR_RIBS_MM)
    seeds = np.where(domain, sections, 0).astype(np.uint8)
    for number, name in enumerate(RIVALS, start=2 * RIBS + 1):
        sure = prior.mask(name) & domain & (seeds == 0) & (to_ribs > SURE_MM)
        if name.startswith(("scapula", "humerus")):
            sure &= to_lungs > CAGE_MM
        seeds[sure] = number
    numbers, lengths = nearest_seed(domain, seeds, spacing)
    _give_back(numbers, seeds, prior, to_ribs)
    return numbers, lengths


def _spine(shape: Sequence[int], axis: SpineAxis, beside_mm: float, spacing_mm: float) -> Mask:
    near = np.abs(np.arange(shape[2]) - axis.columns[:, None]) < beside_mm / spacing_mm
    behind = np.arange(shape[1]) > (axis.rows - SPINE_FRONT_MM / spacing_mm)[:, None]
    return np.asarray(near[:, None, :] & behind[:, :, None])


def _give_back(numbers: Numbers, seeds: Numbers, prior: LabelMap, to_ribs: Lengths) -> None:
    """Give to the ribs what a shoulder blade that touches them took, where the atlas sees ribs."""
    blades = [RIVALS.index(name) + 2 * RIBS + 1 for name in RIVALS if name.startswith("scapula")]
    blade, ribs = np.isin(numbers, blades), (numbers > 0) & (numbers <= 2 * RIBS)
    to_blade = distance(prior.mask_of_kind("scapula"), prior.spacing_mm)
    taken = blade & (to_ribs < to_blade + LENIENT_MM)
    domain = ribs | taken | (blade & (to_ribs < BRIDGE_MM))
    again, _ = nearest_seed(domain, np.where(ribs, seeds, 0).astype(np.uint8), prior.spacing_mm)
    back = taken & (again > 0)
    numbers[back] = again[back]


def named_bones(bone: Mask, paths: Numbers, prior: LabelMap) -> Numbers:
    """Return the bones with their marrow, by the ids of the atlas.

    Args:
        bone: Dense voxels.
        paths: Of `rib_paths`.
        prior: The atlas on the CT, which it must hold.
    """
    spacing = prior.spacing_mm
    found = np.zeros(bone.shape, np.uint8)
    ids = {name: number for number, name in prior.names.items()}
    skeleton = prior.mask_of_kind(*BONES) | prior.mask(CARTILAGE)
    far, nearest = ndimage.distance_transform_edt(~skeleton, spacing, return_indices=True)
    soft = distance((prior.labels > 0) & ~skeleton & ~prior.mask_of_kind("lung_", "body"), spacing)
    rest = bone & (paths == 0) & (far < REACH_MM) & (soft > far)
    rest &= ~prior.mask_of_kind("rib_")[tuple(nearest)]  # a rib's number comes from counting alone
    found[rest] = prior.labels[tuple(nearest)][rest]
    for number in np.unique(paths[paths > 0]).tolist():
        name = rib_name(number) if number <= 2 * RIBS else RIVALS[number - 2 * RIBS - 1]
        mask = paths == number
        found[mask] = _of_group(prior, name)[mask] if number > 2 * RIBS else ids.get(name, 0)
    to_cartilage = distance(prior.mask(CARTILAGE), spacing)
    calcified = to_cartilage < np.minimum(distance(prior.mask_of_kind("rib_"), spacing), FRONT_END_MM)
    found[calcified & (paths > 0) & (paths <= 2 * RIBS)] = ids.get(CARTILAGE, 0)
    return _filled(found, prior)


def _of_group(prior: LabelMap, name: str) -> Numbers:
    """Return for every voxel the nearest of a bone and those that it is joined to, by the atlas."""
    side = name.rsplit("_", 1)[-1]
    joined = {
        "sternum": (name, CARTILAGE, "clavicula_left", "clavicula_right"),
        "clavicula": (name, CARTILAGE, "sternum", f"rib_{side}_1"),
        "scapula": (name, f"humerus_{side}", f"clavicula_{side}"),
        "humerus": (name, f"scapula_{side}"),
    }[name.split("_")[0]]
    some = prior.mask(*joined)[::2, ::2, ::2]
    place = ndimage.distance_transform_edt(~some, return_distances=False, return_indices=True)
    coarse = prior.labels[::2, ::2, ::2][tuple(place)].astype(np.float32)
    return _doubled(coarse, prior.labels.shape).astype(np.uint8)


def _filled(found: Numbers, prior: LabelMap) -> Numbers:
    """Return each bone without crumbs and with its marrow; what two bones would fill goes to the first."""
    cord = ndimage.binary_dilation(prior.mask("spinal_cord"))
    whole = np.zeros_like(found)
    kinds = [(number, name) for number, name in prior.names.items() if name.startswith(NAMED)]
    boxes = ndimage.find_objects(found)
    for number, name in sorted(kinds, key=lambda each: each[1].startswith(("rib_", "vertebrae_"))):
        if number > len(boxes) or boxes[number - 1] is None:
            continue
        kind = next((each for each in MARROW_MM if name.startswith(each)), "")
        radius = int(np.ceil(MARROW_MM.get(kind, OTHER_MARROW_MM) / prior.spacing_mm)) + 1
        box = tuple(slice(max(0, side.start - radius), side.stop + radius) for side in boxes[number - 1])
        own = _without_crumbs(found[box] == number)
        closed = closed_over(own, MARROW_MM.get(kind, OTHER_MARROW_MM), prior.spacing_mm)
        if prior.hu is not None:
            closed &= prior.hu[box] > FAT_HU
        if kind == "vertebrae_":
            closed &= ~cord[box]
        part = whole[box]
        part[closed & (part == 0)] = number
        part[own] = number
    return whole


def _without_crumbs(mask: Mask) -> Mask:
    pieces, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(CRUMB, CRUMB_SHARE * sizes.max()))[pieces] & mask)
