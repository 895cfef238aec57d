"""What is known of a phantom without looking at its voxels: the places where the rules must cut."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline_training.phantom.frame import Frame
from pipeline_training.phantom.organs import AORTA_MM, TRACHEA_MM, aorta_path
from pipeline_training.phantom.parameters import PhantomParameters
from pipeline_training.phantom.skeleton import SIDES, clavicle_path, rib_path


@dataclass(frozen=True)
class PhantomTruth:
    """Places in mm, see `canvas`: x to the left, y backwards, z upwards.

    Attributes:
        rib_turn_y: By (side, number): how far back the lateral-most point of a rib's middle line lies.
        limbs_part_z: Height under the arch at which the aorta's cross-section falls apart in two.
        limbs_middle_y: Half way between ascending and descending aorta at that height.
        carina_z: Height of the ridge between the main bronchi: where the trachea's rounded end gives out.
        t4_lower_z: Lower edge of the body of T4.
        clavicle_end_z: By side: height of the clavicle's medial quarter.
        dome_z: By side: the highest point of the diaphragm.
        midline_x: Of the vertebrae, the median.
    """

    rib_turn_y: Mapping[tuple[str, int], float]
    limbs_part_z: float
    limbs_middle_y: float
    carina_z: float
    t4_lower_z: float
    clavicle_end_z: Mapping[str, float]
    dome_z: Mapping[str, float]
    midline_x: float


def phantom_truth(parameters: PhantomParameters) -> PhantomTruth:
    """Return the truth of the phantom that `make_phantom` paints, from the same closed forms."""
    frame = Frame(parameters)
    turns = {}
    for name, side in SIDES.items():
        for number in range(1, 12):
            path = rib_path(frame, number, side)
            turns[name, number] = float(path[np.argmax(np.abs(path[:, 0])), 1])
    _, arch, _ = aorta_path(frame)
    radius = float(np.linalg.norm(arch[0] - arch[-1]) / 2)
    levels = np.linspace(frame.vertebrae["L3"][0], frame.vertebrae["C5"][1], 200)
    return PhantomTruth(
        rib_turn_y=turns,
        limbs_part_z=float(arch[0, 2] + radius - AORTA_MM),
        limbs_middle_y=float((arch[0, 1] + arch[-1, 1]) / 2),
        carina_z=frame.carina - TRACHEA_MM,
        t4_lower_z=frame.vertebrae["T4"][0],
        clavicle_end_z={
            name: float(_medial_quarter(clavicle_path(frame, side))) for name, side in SIDES.items()
        },
        dome_z={name: dome.top for name, dome in frame.domes.items()},
        midline_x=float(np.median(frame.spine_x(levels))),
    )


def _medial_quarter(path: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Return the mean height of the quarter of a path that is nearest to the midline."""
    across = np.linspace(0, 1, 400)
    at = np.linspace(0, 1, len(path))
    x, z = (np.interp(across, at, path[:, axis]) for axis in (0, 2))
    near = np.abs(x) <= np.quantile(np.abs(x), 0.25)
    return float(z[near].mean())
