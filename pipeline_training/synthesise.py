"""A CT from a label map: every structure gets its usual HU and texture, the soft tissue around is invented.

Source of the HU: mean values of the labels over the CT of the one development case that has both, and
textbook windows (lung -850, fat -100, muscle 50, blood 45 to 200 with contrast, spongy bone 150 to 300,
cortex 700+).
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.hull import convex_hull
from pipeline_training.volumes import LUNG_LOBES, LabelMap

AIR, FAT, MUSCLE, LUNG, BLOOD, ORGAN = -1000, -100, 50, -860, 130, 60
SPONGY_BONE, CORTICAL_BONE = 220, 850
CARTILAGE = 130
CORTEX_VOXELS = 1.5
BONE_PREFIXES = (
    "rib_",
    "vertebrae_",
    "sternum",
    "clavicula",
    "scapula",
    "humerus",
    "sacrum",
    "hip",
    "skull",
    "femur",
)
BLOOD_NAMES = ("heart", "aorta", "vena", "vein", "artery", "trunk", "atrial")
"""Parts of names: contrast-filled blood, and the heart around it."""
SUBCUTANEOUS_MM = (12.0, 30.0)
MUSCLE_WALL_MM = 12.0
LIMB_VOXELS = 12
"""Muscle and skin around a humerus."""
LUNG_VESSELS = ((16.0, 0.10), (9.0, 0.13), (6.0, 0.12))
"""(correlation length of the two fields in voxels, width of the tube in standard deviations), coarse to
fine."""
VESSEL_GAIN_HU = 700
MAX_TEXTURE_HU = 880
"""A vessel in the lung is no denser than soft tissue: -860 + 880."""


def synthesise_ct(volume: LabelMap, generator: np.random.Generator) -> npt.NDArray[np.int16]:
    """Return HU, same shape as the labels: a body invented around the structures, bone with a cortex.

    Args:
        volume: Labels; its own CT, if any, is not looked at.
        generator: Draws the fat layer's thickness and the textures.
    """
    body, wall = _body(volume, generator)
    hu = np.full(volume.labels.shape, AIR, np.float32)
    hu[body] = FAT
    hu[wall] = MUSCLE
    hu += _noise(hu.shape, 6.0, generator) * 12 * body
    for label, name in volume.names.items():
        value = _usual_hu(name)
        if value is not None:
            hu[volume.labels == label] = value + generator.normal(0, 8)
    lungs = volume.mask(*LUNG_LOBES)
    hu[lungs] = LUNG + _lung_texture(volume, generator)[lungs]
    _write_bones(hu, volume, generator)
    return np.clip(hu + generator.normal(0, 12, hu.shape).astype(np.float32), -1024, 3071).astype(np.int16)


def _usual_hu(name: str) -> float | None:
    if name in {"body", "muscle"} or name.startswith("lung_") or name.startswith(BONE_PREFIXES):
        return None
    if name in {"trachea", "bronchi"}:
        return AIR + 30
    if name == "costal_cartilages":
        return CARTILAGE
    if any(word in name for word in BLOOD_NAMES):
        return BLOOD
    return ORGAN


def _body(
    volume: LabelMap, generator: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return (inside the skin, inside the muscle wall): hulls of the labels of each slice, grown."""
    inner = np.zeros(volume.labels.shape, np.bool_)
    skip = volume.ids("body", "muscle", "humerus_left", "humerus_right")
    for z in range(len(inner)):
        inner[z] = convex_hull(~np.isin(volume.labels[z], [0, *skip]))
    inner = ndimage.gaussian_filter(inner.astype(np.float32), (4, 2, 2)) > 0.4
    distance = ndimage.distance_transform_edt(~inner, sampling=volume.spacing_mm)
    wall = distance < MUSCLE_WALL_MM
    body = distance < MUSCLE_WALL_MM + generator.uniform(*SUBCUTANEOUS_MM)
    known = volume.mask("body", "muscle", "humerus_left", "humerus_right")
    limbs = ndimage.binary_dilation(volume.mask("humerus_left", "humerus_right"), iterations=LIMB_VOXELS)
    return body | known | limbs, wall | volume.mask("muscle")


def _noise(shape: tuple[int, ...], sigma: float, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return smooth noise of unit standard deviation and about `sigma` voxels correlation."""
    coarse = generator.normal(size=[int(np.ceil(n / sigma)) + 3 for n in shape]).astype(np.float32)
    zoomed = ndimage.zoom(coarse, sigma, order=1)[tuple(slice(0, n) for n in shape)]
    return np.asarray(zoomed / zoomed.std(), np.float32)


def _lung_texture(volume: LabelMap, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return HU to add in the lungs: vessels as curves where two smooth fields vanish, thicker inside."""
    shape = volume.labels.shape
    lungs = volume.mask(*LUNG_LOBES)
    depth = ndimage.distance_transform_edt(lungs).astype(np.float32)
    central = np.clip(depth / max(float(depth.max()), 1.0), 0, 1)
    texture = 25 * _noise(shape, 12.0, generator)
    for sigma, width in LUNG_VESSELS:
        first, second = _noise(shape, sigma, generator), _noise(shape, sigma, generator)
        tube = np.maximum(np.abs(first), np.abs(second))
        texture += VESSEL_GAIN_HU * (tube < width * (0.6 + 1.2 * central)) * (0.4 + 0.6 * central)
    return np.asarray(np.minimum(texture, MAX_TEXTURE_HU), np.float32)


def _write_bones(hu: npt.NDArray[np.float32], volume: LabelMap, generator: np.random.Generator) -> None:
    """Write spongy bone with a dense cortex in place."""
    bones = volume.mask_of_kind(*BONE_PREFIXES)
    depth = ndimage.distance_transform_edt(bones)
    hu[bones] = SPONGY_BONE + 30 * generator.normal()
    hu[bones & (depth <= CORTEX_VOXELS)] = CORTICAL_BONE * generator.uniform(0.6, 1.0)
