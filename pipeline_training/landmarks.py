"""Points of a body that devices are fitted to.

In mm towards (left, posterior, superior) from the lungs' centre.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.anatomy import Anatomy
from pipeline_training.paint import SKIN_HU

Points = npt.NDArray[np.float64]

SKIN_BLUR_VOXELS = 4.0


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Where things are.

    Attributes:
        lungs: (2, 3) lower and upper corner of the lungs' box.
        airway: (n, 3) middle of the trachea from top to carina.
        gullet: (n, 3) middle of the oesophagus from top to bottom.
        stomach: (3,).
        heart: (2, 3) lower and upper corner of the heart's box.
        sternum: (n, 3) middle of the sternum from top to bottom; none where it is not labelled.
        skin: (slices, columns) posterior coordinate of the front of the body.
        spacing_mm: Of `skin`.
        centre: (slice, row, column) of the lungs' centre.
    """

    lungs: Points
    airway: Points
    gullet: Points
    stomach: Points
    heart: Points
    sternum: Points
    skin: Points
    spacing_mm: float
    centre: tuple[float, float, float]

    def on_skin(self, across_mm: float, up_mm: float, depth_mm: float = 0.0) -> Points:
        """Return the point of the front of the body there, `depth_mm` under the skin."""
        z = int(np.clip(up_mm / self.spacing_mm + self.centre[0], 0, self.skin.shape[0] - 1))
        x = int(np.clip(across_mm / self.spacing_mm + self.centre[2], 0, self.skin.shape[1] - 1))
        return np.array([across_mm, self.skin[z, x] + depth_mm, up_mm])


def find_landmarks(anatomy: Anatomy) -> Landmarks:
    """Return a body's landmarks; what is not labelled is put where it usually lies beside the lungs."""
    lungs = _box(anatomy, anatomy.organs.mask("lung"))
    height = lungs[1, 2] - lungs[0, 2]
    usual = np.array([[0.0, 5.0, lungs[1, 2] + 10.0], [3.0, 10.0, lungs[1, 2] - 0.4 * height]])
    airway = _or_else(_middle_line(anatomy, anatomy.organs.mask("trachea")), usual)
    behind = np.array([3.0, 18.0, 0.0])
    usual = np.concatenate([airway + behind, [[12.0, 45.0, lungs[0, 2] + 10.0]]])
    heart = anatomy.organs.mask("heart")
    stomach = anatomy.organs.mask("stomach")
    return Landmarks(
        lungs=lungs,
        airway=airway,
        gullet=_or_else(_middle_line(anatomy, anatomy.organs.mask("esophagus")), usual),
        stomach=_centre(anatomy, stomach) if stomach.any() else np.array([50.0, 0.0, lungs[0, 2] - 30.0]),
        heart=_box(anatomy, heart) if heart.any() else lungs * 0.5,
        sternum=_middle_line(anatomy, anatomy.organs.mask("sternum")),
        skin=_skin(anatomy),
        spacing_mm=anatomy.spacing_mm,
        centre=anatomy.centre,
    )


def _or_else(line: Points, usual: Points) -> Points:
    return line if len(line) > 1 else usual


def _mm(anatomy: Anatomy, places: Points) -> Points:
    """Return (slice, row, column) places as (left, posterior, superior) mm from the centre."""
    return np.asarray((places - np.array(anatomy.centre))[..., ::-1] * anatomy.spacing_mm, np.float64)


def _box(anatomy: Anatomy, mask: npt.NDArray[np.bool_]) -> Points:
    ends = [np.flatnonzero(mask.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1))]
    return _mm(anatomy, np.stack(ends, axis=1).astype(np.float64))


def _centre(anatomy: Anatomy, mask: npt.NDArray[np.bool_]) -> Points:
    return _mm(anatomy, np.array(ndimage.center_of_mass(mask)))


def _middle_line(anatomy: Anatomy, mask: npt.NDArray[np.bool_], every_mm: float = 12.0) -> Points:
    """Return a structure's centre slice by slice from top to bottom, some 12 mm apart; (0, 3) if unknown."""
    slices = np.flatnonzero(mask.any(axis=(1, 2)))[::-1]
    if not slices.size:
        return np.zeros((0, 3))
    chosen = slices[:: max(1, round(every_mm / anatomy.spacing_mm))]
    return _mm(anatomy, np.array([(z, *ndimage.center_of_mass(mask[z])) for z in chosen]))


def _skin(anatomy: Anatomy) -> Points:
    body = anatomy.hu > SKIN_HU
    rows = np.where(body.any(axis=1), body.argmax(axis=1), body.shape[1] / 2)
    smooth = ndimage.gaussian_filter(ndimage.median_filter(rows, 5).astype(np.float64), SKIN_BLUR_VOXELS)
    return np.asarray((smooth - anatomy.centre[1]) * anatomy.spacing_mm, np.float64)
