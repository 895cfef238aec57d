"""From labels in 3D to our structures: the rules that need one organ at a time.

Indices grow towards superior, posterior and left. Keys of the tables are TotalSegmentator's names, values
hold those of ai/labels.csv. Rules that need several organs are in `regions`.
"""

import re

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import Anatomy, Layer, midline_x, tissue_groups
from pipeline_training.completeness import absent_structures, complete
from pipeline_training.errors import VolumeError
from pipeline_training.regions import lung_of, region_layer
from pipeline_training.synthesise import synthesise_ct
from pipeline_training.volumes import LUNG_LOBES, LabelMap

Mask = npt.NDArray[np.bool_]

ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th", "11th", "12th")
LAST_RIB = 12
SPINES = {"C": "cervical spine", "T": "thoracic spine", "L": "lumbar spine"}

BRONCHUS_MM = 25.0
"""Of a main bronchus beside the carina that belongs to the bifurcation."""

CARINA_MM = 20.0
"""Height of the "tracheal bifurcation", half of it above the carina, our choice."""

MIN_BRONCHUS_MM2 = 45.0
"""Cross-section from which on a piece of the airway is a main bronchus (they measure 100 to 200 mm2)."""

MIN_LIMB_MM2 = 45.0
"""A cross-section of an aortic limb is no smaller (the limbs measure some 700 mm2)."""

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
    "breast_left": ("soft", ("breast", "breast left")),
    "breast_right": ("soft", ("breast", "breast right")),
    "humerus_left": ("shoulder", ()),
    "humerus_right": ("shoulder", ()),
}
"""Labels taken as they are: attenuation group and structures, none for what only the image needs."""


def derive(volume: LabelMap, generator: np.random.Generator) -> Anatomy:
    """Return the case with every structure that its labels give; a CT is invented where the case has none.

    What the labels tell only in part is not among the structures; what is known to be missing is in `absent`.

    Raises:
        VolumeError: If no lung is labelled.
    """
    lungs = lung_of(volume, "right") | lung_of(volume, "left")
    if not lungs.any():
        raise VolumeError(f"{volume.case}: no lung is labelled, so there is no centre to turn about")
    hu = volume.hu if volume.hu is not None else synthesise_ct(volume, generator)
    organs, groups = _organ_layer(volume)
    layers = (organs, region_layer(volume))
    for layer in layers:
        layer.keep(name for name in layer.structures if complete(name, volume))
    z, y, x = ndimage.center_of_mass(lungs)
    return Anatomy(
        volume.case,
        hu,
        organs,
        layers[1:],
        tissue_groups(groups, organs.count),
        volume.spacing_mm,
        (z, y, x),
        volume.patient,
        absent_structures(volume),
    )


def _organ_layer(volume: LabelMap) -> tuple[Layer, dict[int, str]]:
    """Return the layer of organs and the attenuation group of its parts."""
    organs = Layer.empty(volume.labels.shape)
    groups: dict[int, str] = {}
    for label, name in volume.names.items():
        if name in SINGLE:
            tissue, structures = SINGLE[name]
            mask = volume.labels == label
            if mask.any():
                groups[organs.add(mask, *structures)] = tissue
    _add_breasts(organs, volume)
    _add_lungs(organs, groups, volume)
    _add_heart(organs, groups, volume)
    _add_aorta(organs, groups, volume)
    _add_trachea(organs, volume)
    _add_spine(organs, groups, volume)
    _add_ribs(organs, groups, volume)
    return organs, groups


def _add_breasts(organs: Layer, volume: LabelMap) -> None:
    """Part breasts labelled as one at the plane through the vertebrae; without these they stay one."""
    breasts = volume.mask("breast")
    if breasts.any() and not volume.mask_of_kind("vertebrae_").any():
        organs.add(breasts, "breast")
    elif breasts.any():
        left = np.broadcast_to(np.arange(breasts.shape[2]) >= midline_x(volume), breasts.shape)
        for side, half in (("left", left), ("right", ~left)):
            if (breasts & half).any():
                organs.add(breasts & half, "breast", f"breast {side}")


def _add_lungs(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    """The lungs are the unions of their lobes and of what is labelled lung and nothing finer."""
    for name in ("lung_right", "lung_left", *LUNG_LOBES):
        mask = volume.mask(name)
        if mask.any():
            side = name.rsplit("_", 1)[1]
            finer = (name.replace(f"_{side}", f" {side}").replace("_", " "),) if name in LUNG_LOBES else ()
            groups[organs.add(mask, "lung", f"{side} lung", *finer)] = "lung"


def _add_heart(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    """The heart is the union of its chambers, its wall and what is labelled heart and nothing finer."""
    for name in ("heart", "atrial_appendage_left", "heart_myocardium_septum", *CHAMBERS):
        mask = volume.mask(name)
        if mask.any():
            finer = (CHAMBERS[name],) if name in CHAMBERS else ()
            groups[organs.add(mask, "heart", *finer)] = "heart"


def _add_aorta(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    aorta = volume.mask("aorta")
    if aorta.any():
        for name, mask in split_aorta(aorta, volume.spacing_mm).items():
            groups[organs.add(mask, "aorta", name)] = "vessels"


def split_aorta(aorta: Mask, spacing_mm: float) -> dict[str, Mask]:
    """Return arch, ascending and descending aorta.

    The arch reaches from the top down to the slice where the cross-section falls apart in two; the limb in
    front is the ascending, the one behind the descending aorta. From there down each slice's pixels belong
    to the limb that is nearer in the slice above, so the abdominal aorta, which lies as far in front, stays
    descending. What never falls apart is descending; arch and ascending aorta are then unknown.

    Source: the limbs separate under the concavity of the arch, at about the level of T4 (Gray's Anatomy).
    """
    for z in np.flatnonzero(aorta.any(axis=(1, 2)))[::-1]:
        limbs = _pieces(aorta[z], MIN_LIMB_MM2 / spacing_mm**2)
        if len(limbs) > 1:
            break
    else:
        return {"descending aorta": aorta}
    largest = sorted(limbs, key=np.count_nonzero)[-2:]
    front, back = sorted(largest, key=lambda limb: float(np.nonzero(limb)[0].mean()))
    above = np.arange(len(aorta))[:, None, None] > z
    ascending = _followed_down(aorta, int(z), front, back)
    return {
        "aortic arch": aorta & above,
        "ascending aorta": ascending,
        "descending aorta": aorta & ~above & ~ascending,
    }


def _followed_down(aorta: Mask, z: int, front: Mask, back: Mask) -> Mask:
    """Return what belongs to the limb in front, from a slice down to where that limb ends."""
    found = np.zeros_like(aorta)
    while z >= 0 and front.any():
        if back.any():
            to_front, to_back = (np.asarray(ndimage.distance_transform_edt(~limb)) for limb in (front, back))
            found[z] = aorta[z] & (to_front < to_back)
            front, back = found[z], aorta[z] & ~found[z]
        else:
            found[z] = front = aorta[z]
        z -= 1
    return found


def _add_trachea(organs: Layer, volume: LabelMap) -> None:
    """The main bronchi, where they are labelled, belong to the bifurcation, not to the trachea."""
    trachea, bronchi = volume.mask("trachea"), volume.mask("bronchi")
    if trachea.any():
        carina = bifurcation(trachea | bronchi, trachea, volume.spacing_mm)
        organs.add(trachea & ~carina, "trachea")
        organs.add(trachea & carina, "trachea", "tracheal bifurcation")
        if (bronchi & carina).any():
            organs.add(bronchi & carina, "tracheal bifurcation")


def bifurcation(airway: Mask, trachea: Mask, spacing_mm: float) -> Mask:
    """Return the bifurcation: the airway from 10 mm below to 10 mm above the carina, up to 25 mm beside it.

    Of an airway that never parts, it is the lowest 20 mm of the trachea: labels of the trachea then end where
    the bronchi leave it.

    Source: the carina is the ridge between the openings of the main bronchi (Gray's Anatomy), of which the
        right one is 25 mm long; the height of the slab is our choice.
    """
    z = carina_slice(airway, MIN_BRONCHUS_MM2 / spacing_mm**2)
    if z is None:
        return lowest_part(trachea, CARINA_MM / spacing_mm)
    level, half = np.arange(len(airway))[:, None, None], CARINA_MM / 2 / spacing_mm
    stem = trachea[z:] if trachea[z:].any() else airway[z : z + 1]
    beside = np.abs(np.arange(airway.shape[2]) - np.nonzero(stem)[2].mean())
    near = (level > z - half) & (level <= z + half) & (beside <= BRONCHUS_MM / spacing_mm)
    return np.asarray(airway & near, np.bool_)


def carina_slice(airway: Mask, least: float) -> int | None:
    """Return the highest slice in which the lumen, followed from above, has parted in two; None if nowhere.

    Each part has at least `least` pixels and touches the lumen of the slice above. An upper lobe's bronchus
    that hooks up beside the trachea does not, and is no main bronchus.
    """
    slices = np.flatnonzero(airway.any(axis=(1, 2)))[::-1]
    lumen = airway[slices[0]]
    for z in slices[1:]:
        below = [piece for piece in _pieces(airway[z], 1) if (piece & lumen).any()]
        if sum(np.count_nonzero(piece) >= least for piece in below) > 1:
            return int(z)
        lumen = np.any(below, axis=0) if below else airway[z]
    return None


def lowest_part(mask: Mask, slices: float) -> Mask:
    """Return the part of a mask from below up to `slices` above its lowest slice."""
    lowest = int(np.flatnonzero(mask.any(axis=(1, 2)))[0])
    return np.asarray(mask & (np.arange(len(mask)) < lowest + slices)[:, None, None], np.bool_)


def _pieces(section: Mask, least: float) -> list[Mask]:
    """Return the connected pieces of a slice that have at least so many pixels."""
    pieces, _ = ndimage.label(section)
    sizes = np.bincount(pieces.ravel())
    return [pieces == number for number in range(1, len(sizes)) if sizes[number] >= least]


def _add_spine(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    """The spine and its sections are the unions of their labelled vertebrae."""
    for name in volume.names.values():
        match = re.fullmatch(r"vertebrae_([CTL])(\d+)", name)
        if match and (mask := volume.mask(name)).any():
            level = f"vertebrae {match[1]}{match[2]}"
            groups[organs.add(mask, "spine", SPINES[match[1]], level)] = "spine"


def _add_ribs(organs: Layer, groups: dict[int, str], volume: LabelMap) -> None:
    for name in volume.names.values():
        match = re.fullmatch(r"rib_(left|right)_(\d+)", name)
        if match and (whole := volume.mask(name)).any():
            side, number = match[1], int(match[2])
            ordinal = ORDINALS[number - 1]
            for end, mask in split_rib(whole, side, number).items():
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
