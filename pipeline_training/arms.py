"""Arms: raised in a CT, lowered or held sideways in a radiograph, or cut off by the edge of the field.

An arm is geometry: a humerus with a cortex in a cylinder of muscle and fat. It is no structure of ours, so it
changes no mask.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline_training.anatomy import TISSUES, Anatomy, Layer
from pipeline_training.paint import (
    AIR_HU,
    CORTEX_HU,
    FAT_HU,
    MUSCLE_HU,
    SPONGY_HU,
    Box,
    add_room,
    outside,
    painted,
)

ABDUCTION_DEG = (6.0, 55.0)
"""Between the arm and the long axis of the body: hanging, to held sideways with the hands on the hips."""

FORWARD_DEG = (-10.0, 25.0)
MUSCLE_MM = (34.0, 50.0)
"""Radius of the arm."""

FAT_MM = (3.0, 14.0)
"""Thickness of the layer under its skin."""

SHAFT_MM, HEAD_MM = 11.0, 23.0
"""Radii of the humerus: shaft 22 mm wide, head 46 mm (anatomy textbooks)."""

CORTEX_MM = 4.0
HEAD_CORTEX_MM = 1.5
LENGTH_MM, HEAD_LENGTH_MM = 300.0, 30.0
BESIDE_MM, BELOW_MM = 14.0, 14.0
"""From the outermost point of the scapula (the acromion) to the centre of the humerus's head."""

ROOM_MM = 90.0
RAISED_RADIUS_MM, RAISED_MM = 62.0, 900.0
"""What is taken away around a raised arm, and how far."""
SIDES = (("right", -1.0), ("left", 1.0))

Place = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Arm:
    """One lowered arm.

    Attributes:
        abduction_deg: Away from the body.
        forward_deg: In front of it.
        muscle_mm: Radius of the muscles.
        fat_mm: Thickness of what covers them.
    """

    abduction_deg: float
    forward_deg: float
    muscle_mm: float
    fat_mm: float


def draw_arms(generator: np.random.Generator) -> tuple[Arm, Arm]:
    """Return (right, left): alike but for some degrees."""
    common = [generator.uniform(*ends) for ends in (ABDUCTION_DEG, FORWARD_DEG, MUSCLE_MM, FAT_MM)]
    right, left = (
        Arm(
            *(
                float(n)
                for n in (common[0] + generator.normal(0, 5), common[1] + generator.normal(0, 4), *common[2:])
            )
        )
        for _ in SIDES
    )
    return right, left


def lower_arms(anatomy: Anatomy, arms: tuple[Arm, Arm]) -> Anatomy:
    """Return the anatomy with both arms hanging; a raised humerus is taken away with the flesh around it.

    A side whose scapula is not known keeps what it has, as does one whose arm hangs already.
    """
    wide = add_room(anatomy, sides_mm=ROOM_MM)
    for (side, outwards), arm in zip(SIDES, arms, strict=True):
        scapula = wide.organs.mask(f"scapula {side}")
        if not scapula.any():
            continue
        head = shoulder_joint(scapula, outwards, wide.spacing_mm)
        humerus = _humerus(wide, head, outwards)
        if len(humerus) and humerus[:, 0].mean() < head[0]:
            continue
        wide = _hang(_without_raised(wide, humerus, head, outwards), head, outwards, arm)
    return wide


def shoulder_joint(
    scapula: npt.NDArray[np.bool_], outwards: float, spacing_mm: float
) -> npt.NDArray[np.float64]:
    """Return (slice, row, column) of the head of the humerus that belongs to a scapula."""
    places = np.argwhere(scapula).astype(np.float64)
    reach = outwards * places[:, 2]
    outermost = places[reach >= np.quantile(reach, 0.97)].mean(axis=0)
    return np.asarray(outermost + np.array([-BELOW_MM, 0.0, outwards * BESIDE_MM]) / spacing_mm)


def _humerus(anatomy: Anatomy, head: Place, outwards: float) -> Places:
    """Return the voxels (n, 3) of the scan's humerus: parts of the shoulder that are no structure of ours."""
    named = {part for parts in anatomy.organs.structures.values() for part in parts}
    shoulder = np.flatnonzero(anatomy.tissue_of_part == TISSUES.index("shoulder"))
    table = np.zeros(256, np.bool_)
    table[[part for part in shoulder if part not in named]] = True
    middle = round(anatomy.centre[2])
    first = middle if outwards > 0 else 0
    half = anatomy.organs.parts[:, :, middle:] if outwards > 0 else anatomy.organs.parts[:, :, :middle]
    return np.argwhere(table[half]) + np.array([0, 0, first]) if table.any() else np.zeros((0, 3), int)


def _without_raised(anatomy: Anatomy, humerus: Places, head: Place, outwards: float) -> Anatomy:
    """Return the anatomy without the flesh around a raised humerus, all that lies above its joint."""
    if not len(humerus):
        return anatomy
    top = humerus[humerus[:, 0] >= np.quantile(humerus[:, 0], 0.9)].mean(axis=0)
    length = RAISED_MM / anatomy.spacing_mm
    far = head + (top - head) / np.linalg.norm(top - head) * length
    box = _box_around(anatomy.hu.shape, head, far, RAISED_RADIUS_MM / anatomy.spacing_mm)
    distance, along = _along(box, head, far)
    gone = (distance * anatomy.spacing_mm < RAISED_RADIUS_MM) & (along * RAISED_MM > HEAD_MM)
    beyond = outwards * (np.arange(box[2].start, box[2].stop) - head[2]) * anatomy.spacing_mm > -HEAD_MM
    gone &= (anatomy.organs.parts[box] == 0) & beyond[None, None]
    hu, parts = anatomy.hu.copy(), anatomy.organs.parts.copy()
    hu[box][gone] = AIR_HU
    hu[tuple(humerus.T)], parts[tuple(humerus.T)] = AIR_HU, 0
    return replace(anatomy, hu=hu, organs=anatomy.organs.with_parts(parts))


def _hang(anatomy: Anatomy, head: Place, outwards: float, arm: Arm) -> Anatomy:
    """Return the anatomy with an arm that hangs from `head`: flesh where air was, bone where no organ is."""
    spread, forward = np.radians(arm.abduction_deg), np.radians(arm.forward_deg)
    direction = np.array([-np.cos(spread) * np.cos(forward), -np.sin(forward), outwards * np.sin(spread)])
    far = head + direction * LENGTH_MM / anatomy.spacing_mm
    box = _box_around(anatomy.hu.shape, head, far, (arm.muscle_mm + arm.fat_mm) / anatomy.spacing_mm)
    distance, along = _along(box, head, far)
    distance = distance * anatomy.spacing_mm
    thick = arm.muscle_mm * (1.0 - 0.15 * along)
    flesh = outside(anatomy, box) & (distance < thick + arm.fat_mm)
    fleshed = replace(anatomy, hu=anatomy.hu.copy())
    fleshed.hu[box][flesh] = np.where(distance[flesh] < thick[flesh], MUSCLE_HU, FAT_HU)
    wide = SHAFT_MM + (HEAD_MM - SHAFT_MM) * np.exp(-((along * LENGTH_MM / HEAD_LENGTH_MM) ** 2))
    bone = (distance < wide) & (anatomy.organs.parts[box] == 0)
    cortex = np.where(along * LENGTH_MM < HEAD_LENGTH_MM, HEAD_CORTEX_MM, CORTEX_MM)
    inner = distance[bone] < (wide - cortex)[bone]
    return painted(fleshed, box, bone, np.where(inner, SPONGY_HU, CORTEX_HU).astype(np.int16), "shoulder")


def _box_around(shape: tuple[int, ...], start: Place, stop: Place, radius: float) -> Box:
    """Return the part of a volume that holds all within `radius` voxels of a segment; it may be empty."""
    low = np.floor(np.minimum(start, stop) - radius).astype(int)
    high = np.ceil(np.maximum(start, stop) + radius).astype(int) + 1
    z, y, x = (
        slice(int(np.clip(a, 0, n)), int(np.clip(b, 0, n))) for a, b, n in zip(low, high, shape, strict=True)
    )
    return z, y, x


def _along(box: Box, start: Place, stop: Place) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return each voxel's distance from a segment, in voxels, and its place on it, 0 at `start` to 1."""
    z, y, x = (np.arange(side.start, side.stop, dtype=np.float32) for side in box)
    start, step = start.astype(np.float32), (stop - start).astype(np.float32)
    dz, dy, dx = z[:, None, None] - start[0], y[None, :, None] - start[1], x[None, None] - start[2]
    along = np.clip((dz * step[0] + dy * step[1] + dx * step[2]) / (step @ step), 0, 1)
    distance = np.sqrt(
        (dz - along * step[0]) ** 2 + (dy - along * step[1]) ** 2 + (dx - along * step[2]) ** 2
    )
    return distance, along


def cut_sides(anatomy: Anatomy, beyond_lungs_mm: tuple[float, float]) -> Anatomy:
    """Return the anatomy without what lies farther out than so many mm beside the lungs (right, left).

    The field of a film or of a CT ends there: HU are air, structures end.
    """
    columns = np.flatnonzero(anatomy.organs.mask("lung").any(axis=(0, 1)))
    low = columns[0] - beyond_lungs_mm[0] / anatomy.spacing_mm
    high = columns[-1] + beyond_lungs_mm[1] / anatomy.spacing_mm
    place = np.arange(anatomy.hu.shape[2])
    kept = ((place >= low) & (place <= high))[None, None]

    def cut(layer: Layer) -> Layer:
        return layer.with_parts(np.where(kept, layer.parts, 0).astype(np.uint8))

    return replace(
        anatomy,
        hu=np.where(kept, anatomy.hu, AIR_HU).astype(np.int16),
        organs=cut(anatomy.organs),
        regions=tuple(cut(layer) for layer in anatomy.regions),
    )
