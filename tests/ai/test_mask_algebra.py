import numpy as np
import pytest

from ai.mask_algebra import cropped, overlap, seen_through, share_outside, union
from ai.segmentation import Mask

SHAPE = (40, 50)


def random_mask(generator: np.random.Generator) -> Mask:
    top, left = generator.integers(0, 25, 2)
    height, width = generator.integers(1, 15, 2)
    dense = np.zeros(SHAPE, np.bool_)
    dense[top : top + height, left : left + width] = generator.random((height, width)) < 0.6
    dense[top, left] = True
    mask = Mask.from_dense(dense)
    assert mask is not None
    return mask


@pytest.mark.parametrize("seed", range(40))
def test_crops_give_what_whole_pictures_would(seed: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = random_mask(generator), random_mask(generator)
    a, b = first.dense(SHAPE), second.dense(SHAPE)
    shared = overlap(first, second)
    np.testing.assert_array_equal(np.zeros(SHAPE) if shared is None else shared.dense(SHAPE), a & b)
    np.testing.assert_array_equal(union(first, second).dense(SHAPE), a | b)
    assert share_outside(first, second) == np.count_nonzero(a & ~b) / np.count_nonzero(a)
    window = (slice(second.top, second.bottom), slice(second.left, second.right))
    np.testing.assert_array_equal(seen_through(first, second), a[window])


def test_nothing_left_is_no_mask() -> None:
    window = Mask(np.ones((3, 3), np.bool_), 5, 7)
    assert cropped(np.zeros((3, 3), np.bool_), window) is None
    dot = cropped(np.eye(3, dtype=np.bool_)[::-1] & (np.arange(3) == 1), window)
    assert dot is not None
    assert (dot.top, dot.left, dot.area) == (6, 8, 1)
