"""From the phantom's labels to a CT: usual HU, bones with a cortex, vessels in the lungs, noise."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.phantom.canvas import Canvas
from pipeline_training.volumes import LUNG_LOBES

AIR, FAT, MUSCLE, LUNG, BLOOD = -1000, -100, 50, -850, 130
"""HU; blood as in the venous phase of contrast."""

SPONGY, CORTEX, CORTEX_MM = 240, 900, 1.6
NOISE_HU, TEXTURE_HU = 12.0, 18.0
HU = {
    "body": FAT, "breast_left": -40, "breast_right": -40, "trachea": AIR + 20, "bronchi": AIR + 40,
    "costal_cartilages": 120, "esophagus": 30, "stomach": 30, "colon": -150, "small_bowel": 20,
    "gallbladder": 10, "liver": 105, "spleen": 115, "kidney_left": 150, "kidney_right": 150,
    "heart_myocardium": 90, "diaphragm": 50,
}  # fmt: skip
BLOODY = ("heart_", "aorta", "pulmonary", "vena", "vein", "trunk")
BONY = ("rib_", "vertebrae_", "sternum", "clavicula", "scapula", "humerus")
"""Beginnings or parts of names."""

GENERATIONS, FIRST_VESSEL_MM, SHRINKING = 7, 5.5, 0.76
"""Branchings of the vessels in a lung, the radius of the first, and that of each child over its parent."""


def hounsfield(
    canvas: Canvas, hila: npt.NDArray[np.float64], generator: np.random.Generator
) -> npt.NDArray[np.int16]:
    """Return HU (slices, rows, columns) of a painted phantom.

    Args:
        canvas: With every structure.
        hila: (2, 3) mm, where the vessels enter the right and the left lung.
        generator: Draws vessels and noise.
    """
    table = np.full(256, AIR, np.float32)
    for number, name in canvas.names.items():
        table[number] = _usual(name)
    hu = table[canvas.labels]
    _draw_vessels(hu, canvas, hila, generator)
    bones = canvas.mask(*(name for name in canvas.names.values() if name.startswith(BONY)))
    inner = ndimage.binary_erosion(bones, iterations=max(1, round(CORTEX_MM / canvas.spacing)))
    hu[bones & ~inner], hu[inner] = CORTEX, SPONGY
    coarse = generator.normal(size=[n // 5 + 2 for n in hu.shape]).astype(np.float32)
    texture = ndimage.zoom(coarse, 5, order=1)[tuple(slice(0, n) for n in hu.shape)]
    hu += TEXTURE_HU * texture * (canvas.labels > 0)
    hu += generator.standard_normal(hu.shape, np.float32) * NOISE_HU
    return np.asarray(np.clip(hu, -1024, 3071), np.int16)


def _usual(name: str) -> float:
    if name.startswith("lung_"):
        return LUNG
    if name in HU:
        return HU[name]
    return BLOOD if any(part in name for part in BLOODY) else MUSCLE


def _draw_vessels(
    hu: npt.NDArray[np.float32], canvas: Canvas, hila: npt.NDArray[np.float64], generator: np.random.Generator
) -> None:
    """Write trees of vessels into the lungs, each branch forking in two at random angles."""
    lungs = canvas.mask(*LUNG_LOBES)
    for hilum, side in zip(hila, (-1, 1), strict=True):
        first = [
            np.array([side * 0.8, dy, dz])
            for dy, dz in ((0.2, 1.1), (-0.6, 0.2), (0.5, -0.4), (0.1, -1.2), (0.7, 0.6))
        ]
        ends = [(hilum, way, FIRST_VESSEL_MM) for way in first]
        for _ in range(GENERATIONS):
            ends = [child for end in ends for child in _forked(end, generator)]
            for start, way, radius in ends:
                mask, box = canvas.tube(np.stack([start - way, start]), radius)
                hu[box][mask & lungs[box]] = MUSCLE


def _forked(
    end: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float], generator: np.random.Generator
) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]]:
    """Return two branches (end, its way from the start in mm, radius) that go on from one."""
    start, way, radius = end
    branches = []
    for _ in range(2):
        turned = way / np.linalg.norm(way) + generator.normal(0, 0.42, 3)
        step = turned / np.linalg.norm(turned) * generator.uniform(2.6, 4.4) * radius**0.5 * 2.4
        branches.append((start + step, step, radius * SHRINKING * generator.uniform(0.85, 1.1)))
    return branches
