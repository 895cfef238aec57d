from itertools import product

import numpy as np
import pytest

from ai.film import Film
from ai.measure import measure
from ai.measurement import Measurement, NotComputed
from ai.orientation import Orientation
from ai.radiograph import PixelSpacing, Radiograph
from ai.stand_in import StandInSegmenter

ALL = [Orientation(*flags) for flags in product([False, True], repeat=3)]
PIXELS = np.linspace(0, 1, 90 * 70, dtype=np.float32).reshape(90, 70)
UPRIGHT = Radiograph(PIXELS, PixelSpacing(4.0, 4.0, "given", calibrated=False))
[FOUND] = StandInSegmenter().segment([UPRIGHT])


@pytest.mark.parametrize("lies", ALL)
def test_masks_are_led_to_the_stored_grid(lies: Orientation) -> None:
    film = Film(UPRIGHT, lies)
    stored = film.stored_segmentation(FOUND)

    assert film.shape == lies.to_stored(PIXELS).shape
    assert stored.shape == film.shape
    assert stored.model == FOUND.model
    for name, mask in FOUND.masks.items():
        assert np.array_equal(stored.masks[name].dense(film.shape), lies.to_stored(mask.dense((90, 70))))


@pytest.mark.parametrize("lies", ALL)
def test_drawings_are_led_to_the_stored_grid(lies: Orientation) -> None:
    measured = measure(UPRIGHT, FOUND)
    stored = Film(UPRIGHT, lies).stored_measurements(measured)

    assert [result.name for result in stored] == [result.name for result in measured]
    assert stored.findings == measured.findings
    for before, after in zip(measured, stored, strict=True):
        if isinstance(before, NotComputed):
            assert after == before
            continue
        assert isinstance(after, Measurement)
        assert after.value == before.value
        for line, led in zip(before.drawings, after.drawings, strict=True):
            assert led.points == tuple(lies.point_to_stored(point, (90, 70)) for point in line.points)
