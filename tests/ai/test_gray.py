import numpy as np
import pytest

from ai.gray import GRAY_TOLERANCE, coloured_share


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_share_counts_the_pixels_beyond_the_tolerance(channel: int, sign: int) -> None:
    channels = np.full((10, 20, 3), 100, np.uint8)
    channels[:5, :, channel] = 100 + sign * GRAY_TOLERANCE
    assert coloured_share(channels) == 0
    channels[0, :10, channel] = 100 + sign * (GRAY_TOLERANCE + 1)
    assert coloured_share(channels) == 10 / 200
