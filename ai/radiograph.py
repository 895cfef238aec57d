"""The radiograph as the rest of the project sees it: display values with their geometry."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from ai.errors import ConstantImageError, RadiographError


class View(StrEnum):
    """The projection, in the terms of View Position (0018,5101), PS3.3 C.8.11.5."""

    PA = "PA"
    AP = "AP"
    LEFT_LATERAL = "LL"
    RIGHT_LATERAL = "RL"
    UNKNOWN = ""

    @property
    def is_lateral(self) -> bool:
        """Whether the view is stated to be a lateral one."""
        return self in {View.LEFT_LATERAL, View.RIGHT_LATERAL}


@dataclass(frozen=True)
class PixelSpacing:
    """The distance between pixel centres in mm, and where the number comes from.

    Attributes:
        row_mm: Distance between rows (vertical), above 0.
        column_mm: Distance between columns (horizontal), above 0.
        source: In words, such as "Pixel Spacing" or "Imager Pixel Spacing (at the detector)".
        calibrated: Whether it holds in the patient, not merely at the detector.
    """

    row_mm: float
    column_mm: float
    source: str
    calibrated: bool

    def __post_init__(self) -> None:
        if not (0 < self.row_mm < 100 and 0 < self.column_mm < 100):
            raise RadiographError(
                f"pixel spacing must lie in (0, 100) mm, found {self.row_mm} x {self.column_mm}"
            )


@dataclass(frozen=True, eq=False)
class Radiograph:
    """Display values of one projection radiograph, white where the X-rays were absorbed.

    Attributes:
        pixels: float32, shape (rows, columns), in [0, 1]; bone is bright (MONOCHROME2 sense). Column 0 is the
            image's left edge, which in a frontal view is the patient's right side.
        spacing: Pixel spacing, or None where the source tells none that can be believed.
        view: What the source states; UNKNOWN where it states nothing.
        notes: What the reader found odd about the source, one sentence each; they go into the report.
        why_no_spacing: Where `spacing` is None, whether none was stated or which one was not believed.
        why_unmeasured: Why nothing is measured on it, though it is segmented, in words; empty where it may.
    """

    pixels: npt.NDArray[np.float32]
    spacing: PixelSpacing | None = None
    view: View = View.UNKNOWN
    notes: tuple[str, ...] = ()
    why_no_spacing: str = "no pixel spacing"
    why_unmeasured: str = ""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32:
            found = f"{self.pixels.dtype} of shape {self.pixels.shape}"
            raise RadiographError(f"pixels must be float32 of shape (rows, columns), found {found}")
        if min(self.pixels.shape) < 64:
            raise RadiographError(f"a radiograph has at least 64 rows and columns, found {self.pixels.shape}")
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (low >= 0.0 and high <= 1.0):  # also true for NaN
            raise RadiographError(f"pixels must lie in [0, 1], found [{low}, {high}]")
        if low == high:
            raise ConstantImageError(f"every pixel has the value {low:g}: nothing was exposed or decoded")

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[1])
