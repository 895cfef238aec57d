"""From labels in 3D to our structures: the rules that need one organ at a time.

Indices grow towards superior, posterior and left. Keys of the tables are TotalSegmentator's names, values
hold those of ai/labels.csv. Rules that need several organs are in `regions`.
"""

import re

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import Anatomy, Layer, tissue_groups
from pipeline_training.regions import region_layer
from pipeline_training.synthesise import synthesise_ct
from pipeline_training.volumes import LUNG_LOBES, LabelMap

Mask = npt.NDArray[np.bool_]

ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th", "11th", "12th")
LAST_RIB = 12
SPINES = {"C": "cervical spine", "T": "thoracic spine", "L": "lumbar spine"}

CARINA_MM = 20.0
"""Height of the "tracheal bifurcation" above the lowest voxel of the trachea, our choice: the labels of the
trachea end where the main bronchi leave it."""

MIN_LIMB_VOXELS = 20
"""A cross-section of an aortic limb is no smaller (45 mm2; the limbs measure some 700 mm2)."""

CHAMBERS = {
    "heart_atrium_left": "heart atrium left",
    "heart_atrium_right": "heart atrium right",
    "heart_ventricle_left": "heart ventricle left",
    "heart_ventricle_right": "heart ventricle right",
    "heart_myocardium": "heart myocardium",
}
SINGLE = {
    "costal_cartilages": ("front", ("rib_cartilage",)),
    "sternum": ("front", ("sternum",)),
    "clavicula_left": ("shoulder", ("clavicles", "clavicle left")),
    "clavicula_right": ("shoulder", ("clavicles", "clavicle right")),
    "scapula_left": ("shoulder", ("scapulas", "scapula left")),
    "scapula_right": ("shoulder", ("scapulas", "scapula right")),
    "stomach": ("abdomen", ("stomach",)),
    "small_bowel": ("abdomen", ("small bowel",)),
    "duodenum": ("abdomen", ("duodenum",)),
    "liver": ("abdomen", ("liver",)),
    "pancreas": ("abdomen", ("pancreas",)),
    "kidney_left": ("abdomen", ("kidney left",)),
    "kidney_right": ("abdomen", ("kidney right",)),
    "spleen": ("abdomen", ()),
    "colon": ("abdomen", ()),
    "gallbladder": ("abdomen", ()),
    "inferior_vena_cava": ("vessels", ("inferior vena cava",)),
    "superior_vena_cava": ("vessels", ()),
    "pulmonary_artery": ("vessels", ("pulmonary artery",)),
    "pulmonary_vein": ("vessels", ()),
    "brachiocephalic_vein_left": ("vessels", ()),
    "brachiocephalic_vein_right": ("vessels", ()),
    "brachiocephalic_trunk": ("vessels", ()),
    "esophagus": ("vessels", ("esophagus",)),
    "humerus_left": ("shoulder", ()),
    "humerus_right": ("shoulder", ()),
}
"""Labels taken as they are: attenuation group and structures, none for what only the image needs."""


def derive(volume: LabelMap, generator: np.random.Generator) -> Anatomy:
    """Return the case with every structure that its labels give; a CT is invented where the case has none."""
    hu = volume.hu if volume.hu is not None else synthesise_ct(volume, generator)
    organs = Layer.empty(volume.labels.shape)
    groups: dict[int, str] = {}
    for label, name in volume.names.items():
        if name in SINGLE:
            tissue, structures = SINGLE[name]
            groups[organs.add(volume.labels == label, *structures)] = tissue
    _add_lungs(organs, groups, volume)
    _add_heart(organs, groups, volume)
    _add_aorta(organs, groups, volume)
    _add_trachea(organs, volume)
    _add_spine(organs, groups, volume)
    _add_ribs(organs, groups, volume)
    tissues = tissue_groups(groups, organs.count)
    regions = (region_layer(volume),)
    z, y, x = ndimage.center_of_mass(volume.mask(*LUNG_LOBES))
    return Anatomy(volume.case, hu, organs, regions, tissues, volume.spacing_mm, (z, y, x), volume.patient)


def _add_lungs(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    for name in LUNG_LOBES:
        if volume.ids(name):
            _, lobe, kind, side = name.split("_")
            part = organs.add(volume.mask(name), "lung", f"{side} lung", f"lung {lobe} {kind} {side}")
            groups[part] = "lung"


def _add_heart(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    """The heart is the union of its chambers, its wall and what is labelled heart and nothing finer."""
    for name in ("heart", "atrial_appendage_left", "heart_myocardium_septum", *CHAMBERS):
        if volume.ids(name):
            finer = (CHAMBERS[name],) if name in CHAMBERS else ()
            groups[organs.add(volume.mask(name), "heart", *finer)] = "heart"


def _add_aorta(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    if volume.ids("aorta"):
        for name, mask in split_aorta(volume.mask("aorta")).items():
            groups[organs.add(mask, "aorta", name)] = "vessels"


def split_aorta(aorta: Mask) -> dict[str, Mask]:
    """Return arch, ascending and descending aorta.

    The arch reaches from the top down to the slice where the cross-section falls apart in two; below it, what
    lies in front of the middle between the two is ascending, what lies behind descending (rule of the anatomy
    text books: the limbs separate under the concavity of the arch). What never falls apart is descending.
    """
    for z in np.flatnonzero(aorta.any(axis=(1, 2)))[::-1]:
        if (middle := _between_limbs(aorta[z])) is not None:
            break
    else:
        return {"descending aorta": aorta}
    level, row = np.arange(len(aorta))[:, None, None], np.arange(aorta.shape[1])[None, :, None]
    return {
        "aortic arch": aorta & (level > z),
        "ascending aorta": aorta & (level <= z) & (row < middle),
        "descending aorta": aorta & (level <= z) & (row >= middle),
    }


def _between_limbs(section: Mask) -> float | None:
    """Return the row half way between the two limbs of the aorta in a slice; None where there is but one."""
    pieces, count = ndimage.label(section)
    sizes = np.bincount(pieces.ravel())[1:]
    if count < 2 or np.sort(sizes)[-2] < MIN_LIMB_VOXELS:
        return None
    limbs = np.argsort(sizes)[-2:] + 1
    return float(np.mean([np.nonzero(pieces == limb)[0].mean() for limb in limbs]))


def _add_trachea(organs: Layer, volume: LabelMap) -> None:
    if volume.ids("trachea"):
        trachea = volume.mask("trachea")
        carina = trachea & lowest_part(trachea, CARINA_MM / volume.spacing_mm)
        organs.add(trachea & ~carina, "trachea")
        organs.add(carina, "trachea", "tracheal bifurcation")


def lowest_part(mask: Mask, slices: float) -> Mask:
    """Return the slab from below up to `slices` above the lowest slice of a mask, over the whole plane."""
    lowest = int(np.flatnonzero(mask.any(axis=(1, 2)))[0])
    return np.broadcast_to((np.arange(len(mask)) < lowest + slices)[:, None, None], mask.shape)


def _add_spine(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    for name in volume.names.values():
        if match := re.fullmatch(r"vertebrae_([CTL])(\d+)", name):
            level = f"vertebrae {match[1]}{match[2]}"
            groups[organs.add(volume.mask(name), "spine", SPINES[match[1]], level)] = "spine"


def _add_ribs(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    for name in volume.names.values():
        if match := re.fullmatch(r"rib_(left|right)_(\d+)", name):
            side, number = match[1], int(match[2])
            ordinal = ORDINALS[number - 1]
            for end, mask in split_rib(volume.mask(name), side, number).items():
                merged = "12th rib" if number == LAST_RIB else f"{end} {ordinal} rib"
                groups[organs.add(mask, merged, f"{end} {ordinal} rib {side}")] = "ribs"


def split_rib(rib: Mask, side: str, number: int) -> dict[str, Mask]:
    """Return the rib's anterior and posterior part, parted at its lateral-most point.

    Source: PAXRay, arXiv 2210.03416. The twelfth rib has no anterior part: it ends before its lateral-most
        point turns.
    """
    if number == LAST_RIB:
        return {"posterior": rib}
    _, rows, columns = np.nonzero(rib)
    lateral = columns == (columns.min() if side == "right" else columns.max())
    turn = float(rows[lateral].mean())
    front = np.broadcast_to((np.arange(rib.shape[1]) < turn)[None, :, None], rib.shape)
    return {"anterior": rib & front, "posterior": rib & ~front}
