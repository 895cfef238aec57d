"""Whether a picture of three channels is a gray one."""

import numpy as np
import numpy.typing as npt

GRAY_TOLERANCE = 8
GRAY_SHARE = 0.001
"""Three channels are a gray picture if no larger share of the pixels differs by more than the tolerance."""


def coloured_share(channels: npt.NDArray[np.generic]) -> float:
    """Return the share in [0, 1] of the pixels (rows, columns, 3) whose channels differ visibly."""
    red, green, blue = (channels[:, :, channel].astype(np.int32) for channel in range(3))
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    return float((highest - lowest > GRAY_TOLERANCE).mean())
