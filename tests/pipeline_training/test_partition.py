import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.partition import body_box, joint_partition

SHAPE = (6, 7, 8)
WHOLE = (slice(0, 6), slice(0, 7), slice(0, 8))


def layer(seed: int, parts: int) -> Layer:
    numbers = np.random.default_rng(seed).integers(0, parts + 1, SHAPE).astype(np.uint8)
    return Layer(numbers, {}, parts)


def anatomy(hu: npt.NDArray[np.int16], parts: npt.NDArray[np.uint8]) -> Anatomy:
    return Anatomy("x", hu, Layer(parts, {}, 1), (), np.array([0, 0]), 1.0, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("counts", [(3,), (3, 2), (9, 8, 7)])
def test_combination_tells_the_part_in_every_layer(counts: tuple[int, ...]) -> None:
    layers = [layer(i, count) for i, count in enumerate(counts)]
    found = joint_partition(layers, WHOLE)
    for i, one in enumerate(layers):
        np.testing.assert_array_equal(found.parts[:, i][found.ids], one.parts)


def test_only_combinations_that_occur_are_numbered_and_none_is_the_outside() -> None:
    left, upper = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    left[:, :, 4:], upper[3:] = 1, 1
    found = joint_partition([Layer(left, {}, 1), Layer(upper, {}, 1), Layer(left, {}, 1)], WHOLE)
    assert found.ids.min() == 1
    assert found.parts.tolist()[1:] == [[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1]]


def test_many_combinations_fit() -> None:
    found = joint_partition([layer(0, 200), layer(1, 200)], WHOLE)
    assert found.ids.dtype == np.int16
    assert len(found.parts) > 256


def test_box_holds_the_body_and_every_part() -> None:
    hu, parts = np.full(SHAPE, -1000, np.int16), np.zeros(SHAPE, np.uint8)
    hu[2, 3, 4] = 0
    parts[4, 3, 2] = 1
    assert body_box(anatomy(hu, parts)) == (slice(2, 5), slice(3, 4), slice(2, 5))


def test_box_of_nothing_is_the_whole_volume() -> None:
    assert body_box(anatomy(np.full(SHAPE, -1000, np.int16), np.zeros(SHAPE, np.uint8))) == WHOLE
