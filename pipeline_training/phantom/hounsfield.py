"""From the phantom's labels to a CT: usual HU, bones with a cortex, vessels in the lungs, noise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.phantom.canvas import Canvas
from pipeline_training.volumes import LUNG_LOBES

AIR, FAT, MUSCLE, LUNG, BLOOD = -1000, -100, 50, -850, 130
"""HU; blood as in the venous phase of contrast."""

SPONGY, CORTEX, CORTEX_MM = 170, 900, 1.6
"""HU of both parts of a bone, and the cortex's thickness; a voxel that is thicker holds both."""

NOISE_HU, TEXTURE_HU = 12.0, 18.0
HU = {
    "body": FAT, "breast_left": -40, "breast_right": -40, "trachea": AIR + 20, "bronchi": AIR + 40,
    "costal_cartilages": 120, "esophagus": 30, "stomach": 30, "colon": -150, "small_bowel": 20,
    "gallbladder": 10, "liver": 105, "spleen": 115, "kidney_left": 150, "kidney_right": 150,
    "heart_myocardium": 90, "diaphragm": 50,
}  # fmt: skip
BLOODY = ("heart_", "aorta", "pulmonary", "vena", "vein", "trunk")
BONY = ("rib_", "vertebrae_", "sternum", "clavicula", "scapula", "humerus")
COMPACT, COMPACT_CORE = ("rib_", "clavicula", "scapula"), 450
"""Beginnings or parts of names; bones that are mostly cortex, and the HU inside them."""

GENERATIONS, FIRST_VESSEL_MM, SHRINKING = 7, 5.5, 0.76
"""Branchings of the vessels in a lung, the radius of the first, and that of each child over its parent."""

FIRST_WAYS = ((0.2, 1.1), (-0.6, 0.2), (0.5, -0.4), (0.1, -1.2), (0.7, 0.6))
"""(backwards, upwards) of the first vessels of a lung, for 0.8 sideways."""

TURN = 0.42
"""Standard deviation of a fork's change of direction along each axis, of a unit vector."""

LENGTHS = (6.2, 10.6)
"""Range of a branch's length in mm for a radius of 1 mm; it grows with the root of the radius."""

POINTS_A_BRANCH = 14

Real = npt.NDArray[np.float64]


def hounsfield(canvas: Canvas, hila: Real, generator: np.random.Generator) -> npt.NDArray[np.int16]:
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
    voxels = max(1, round(CORTEX_MM / canvas.spacing))
    inner = ndimage.binary_erosion(bones, iterations=voxels)
    share = min(1.0, CORTEX_MM / (voxels * canvas.spacing))
    hu[bones & ~inner], hu[inner] = share * CORTEX + (1 - share) * SPONGY, SPONGY
    thin = canvas.mask(*(name for name in canvas.names.values() if name.startswith(COMPACT)))
    hu[thin] = np.where(inner[thin], COMPACT_CORE, CORTEX)
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
    hu: npt.NDArray[np.float32], canvas: Canvas, hila: Real, generator: np.random.Generator
) -> None:
    """Write trees of vessels into the lungs, each branch forking in two at random angles."""
    for hilum, side in zip(hila, (-1, 1), strict=True):
        ways = np.array([(side * 0.8, back, up) for back, up in FIRST_WAYS])
        tree = [Branches(np.tile(hilum, (len(ways), 1)), ways, np.full(len(ways), FIRST_VESSEL_MM))]
        for _ in range(GENERATIONS):
            tree.append(_forked(tree[-1], generator))
        along = np.linspace(0, 1, POINTS_A_BRANCH)[:, None, None]
        centres = np.concatenate(
            [(b.ends - along * b.ways).transpose(1, 0, 2).reshape(-1, 3) for b in tree[1:]]
        )
        radii = np.concatenate([np.repeat(b.radii, POINTS_A_BRANCH) for b in tree[1:]])
        hu[canvas.balls(centres, radii) & canvas.mask(*LUNG_LOBES)] = MUSCLE


@dataclass(frozen=True, eq=False)
class Branches:
    """One generation of vessels.

    Attributes:
        ends: (n, 3) mm.
        ways: (n, 3) mm, from where each begins to its end.
        radii: (n,) mm.
    """

    ends: Real
    ways: Real
    radii: Real


def _forked(parents: Branches, generator: np.random.Generator) -> Branches:
    """Return two branches that go on from each; thinner ones are shorter."""
    ends, ways, radii = (np.repeat(of, 2, axis=0) for of in (parents.ends, parents.ways, parents.radii))
    turned = _unit(ways) + generator.normal(0, TURN, ways.shape)
    lengths = generator.uniform(*LENGTHS, len(ways)) * np.sqrt(radii)
    onwards = _unit(turned) * lengths[:, None]
    return Branches(ends + onwards, onwards, radii * SHRINKING * generator.uniform(0.85, 1.1, len(ways)))


def _unit(vectors: Real) -> Real:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float64)
