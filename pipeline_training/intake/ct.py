"""A CT without labels, on the grid that everything else works on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import VolumeError


@dataclass(frozen=True, eq=False)
class CtVolume:
    """A CT that nobody has labelled yet.

    Attributes:
        case: Name of the volume.
        hu: int16 (slices, rows, columns), growing towards superior, posterior, left.
        spacing_mm: Edge length of a voxel, the same along all axes.
        patient: The unit that data are split by; "" where the case stands for its patient.
    """

    case: str
    hu: npt.NDArray[np.int16]
    spacing_mm: float
    patient: str = ""

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or self.hu.dtype != np.int16 or self.spacing_mm <= 0:
            raise VolumeError(
                f"{self.case}: a CT has three axes of int16 and a spacing above 0, "
                f"found {self.hu.ndim} of {self.hu.dtype} and {self.spacing_mm}"
            )
