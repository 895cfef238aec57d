"""A CT as it was stored, before it comes onto the working grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import VolumeError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.intake.geometry import Grid, Placed, resample

AIR_HU = -1000
LOWEST_HU = -1024
"""Scanners fill what they did not measure with values below; air is -1000."""

HIGHEST_HU = 32767

BONE_HU = 300
"""A CT of a chest holds bone, and so values above this; a picture that was windowed or scaled to 0..255 does
not."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A CT in Hounsfield units on the grid it was stored on.

    Attributes:
        case: Name of the volume.
        placed: The voxels, HU, and where they lie.
        patient: The unit that data are split by; "" where unknown.
        frame_of_reference: Frame of Reference UID (PS3.3 C.7.4.1); "" where the format has none.
        series: Series Instance UID; "" where the format has none.
    """

    case: str
    placed: Placed
    patient: str = ""
    frame_of_reference: str = ""
    series: str = ""

    def volume(self, grid: Grid) -> CtVolume:
        """Return the CT on a working grid, air where nothing was scanned."""
        hu = as_hu(resample(self.placed, grid, order=1, outside=AIR_HU))
        return CtVolume(self.case, hu, grid.spacing_mm, self.patient)


def as_hu(values: npt.NDArray[np.generic]) -> npt.NDArray[np.int16]:
    """Return the values as int16, what lies outside a scanner's range brought to its ends."""
    numbers: Any = values if values.dtype == np.int16 else np.rint(values)
    hu: npt.NDArray[np.int16] = np.clip(numbers, LOWEST_HU, HIGHEST_HU).astype(np.int16)
    return hu


def check_hu(case: str, voxels: npt.NDArray[np.generic]) -> None:
    """Refuse what cannot be Hounsfield units of a body in air.

    Raises:
        VolumeError: Naming the least and the greatest value.
    """
    if not np.isfinite(voxels).all():
        raise VolumeError(f"{case}: the CT holds values that are no numbers")
    low, high = float(voxels.min()), float(voxels.max())
    if low >= 0 or high < BONE_HU:
        raise VolumeError(
            f"{case}: the values are not Hounsfield units: they lie in {low:g}..{high:g}, and a CT of "
            f"a chest has air below 0 and bone above {BONE_HU}"
        )
