import numpy as np

from pipeline_training.hull import convex_hull


def test_hull_fills_what_lies_between() -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[5:25, 5:8] = mask[5:25, 22:25] = True
    expected = np.zeros_like(mask)
    expected[5:25, 5:25] = True
    np.testing.assert_array_equal(convex_hull(mask), expected)


def test_hull_of_little_or_of_a_line_is_empty() -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[3, 2:10] = True
    assert not convex_hull(mask).any()
    mask[3, :] = True
    assert not convex_hull(mask).any()
