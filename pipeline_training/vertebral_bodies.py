"""Where the bodies of the vertebrae lie in a frontal mask of the spine, which has their processes, too."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

BODY_SHARE = 0.5
"""Of the width of a vertebra with its transverse processes: in text books some 30 of 75 mm at T1, 28 of 60 at
T6, and more only at the lowest thoracic vertebrae."""

SMOOTHED_SHARE = 1 / 6
"""Of the spine's rows: over so many are middle and width smoothed, so that processes leave no steps."""


def vertebral_bodies(spine: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return bool (rows, columns): of each row of the spine the middle, `BODY_SHARE` of its width.

    Middle and width are running medians, so that a bent spine stays bent.
    """
    bodies = np.zeros_like(spine)
    rows = np.flatnonzero(spine.any(axis=1))
    if not rows.size:
        return bodies
    left, right = spine[rows].argmax(axis=1), spine.shape[1] - spine[rows, ::-1].argmax(axis=1)
    window = 2 * int(len(rows) * SMOOTHED_SHARE / 2) + 1
    middle, width = (
        ndimage.median_filter(line, window, mode="reflect") for line in ((left + right - 1) / 2, right - left)
    )
    away = np.abs(np.arange(spine.shape[1]) - middle[:, None])
    bodies[rows] = away < BODY_SHARE * width[:, None] / 2
    return bodies
