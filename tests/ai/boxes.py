"""The film that most measurements are tried on, 600 rows and 500 columns, and boxes on it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ai.radiograph import Radiograph
from ai.segmentation import Segmentation

SHAPE = (600, 500)

MakeFilm = Callable[..., Radiograph]
MakeChest = Callable[..., Segmentation]
Field = npt.NDArray[np.bool_]


def box(rows: tuple[int, int], columns: tuple[int, int]) -> Field:
    """Return a box on the film, bool (600, 500), from the first up to and without the second of each."""
    dense = np.zeros(SHAPE, np.bool_)
    dense[slice(*rows), slice(*columns)] = True
    return dense
