from itertools import chain

import numpy as np
import pytest

from ai.consistency import MAX_SHARED, make_consistent, take_lungs_apart
from ai.labels import LABELS, label
from ai.mask_algebra import overlap, union
from ai.segmentation import Mask
from ai.succession import series

NAMES = tuple(item.name for item in LABELS)
SHAPE = (200, 300)


def box(rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    return Mask(np.ones((rows[1] - rows[0], columns[1] - columns[0]), np.bool_), rows[0], columns[0])


def lungs(right: Mask, left: Mask) -> dict[str, Mask]:
    return {"visible lung right": right, "visible lung left": left}


def test_shared_pixels_go_to_the_nearer_lung() -> None:
    masks = lungs(box((20, 120), (10, 100)), box((20, 120), (90, 190)))
    apart, told = take_lungs_apart(masks)
    np.testing.assert_array_equal(
        apart["visible lung right"].dense(SHAPE), box((20, 120), (10, 95)).dense(SHAPE)
    )
    np.testing.assert_array_equal(
        apart["visible lung left"].dense(SHAPE), box((20, 120), (95, 190)).dense(SHAPE)
    )
    assert told == ("visible lung right and visible lung left: 1000 shared pixels given to the nearer one",)


def test_patch_of_one_lung_inside_the_other_goes_to_the_other() -> None:
    left = box((20, 120), (110, 190))
    patched = union(box((20, 120), (10, 100)), box((60, 70), (140, 150)))
    apart, _ = take_lungs_apart(lungs(patched, left))
    assert apart["visible lung left"] is left
    np.testing.assert_array_equal(
        apart["visible lung right"].dense(SHAPE), box((20, 120), (10, 100)).dense(SHAPE)
    )


def test_lungs_at_the_corner_of_the_image_are_taken_apart() -> None:
    apart, _ = take_lungs_apart(lungs(box((0, 9), (0, 9)), box((0, 9), (5, 30))))
    assert overlap(*apart.values()) is None
    assert apart["visible lung right"].area + apart["visible lung left"].area == 9 * 30


@pytest.mark.parametrize("left", [box((20, 120), (10, 100)), box((20, 120), (40, 300))])
def test_lungs_that_lie_on_each_other_are_both_kept(left: Mask) -> None:
    masks = lungs(box((20, 120), (10, 100)), left)
    apart, told = take_lungs_apart(masks)
    assert apart == masks
    assert told == (
        "visible lung right and visible lung left: lie on each other; one is wrong, both are kept",
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_pixel_is_lost_when_lungs_are_taken_apart(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:80, :120]
    middle = generator.uniform(50, 70)
    dense = [np.hypot((columns - middle - off) / 30, (rows - 40) / 36) < 1 for off in (-24, 24)]
    masks = [Mask.from_dense(each & (generator.random(each.shape) < 0.97)) for each in dense]
    right, left = (mask for mask in masks if mask is not None)
    apart, _ = take_lungs_apart(lungs(right, left))
    assert overlap(*apart.values()) is None
    whole = union(*apart.values()).dense((80, 120))
    np.testing.assert_array_equal(whole, union(right, left).dense((80, 120)))


def test_whole_lungs_overlap_and_only_more_than_ever_seen_is_told() -> None:
    masks = {"right lung": box((20, 120), (10, 110)), "left lung": box((20, 120), (80, 180))}
    assert take_lungs_apart(masks) == (masks, ())
    masks["left lung"] = box((20, 120), (round(110 - 100 * MAX_SHARED) - 5, 200))
    apart, told = take_lungs_apart(masks)
    assert apart == masks
    assert told == ("right lung and left lung: share 45 % of the smaller one; both are kept",)


def test_one_lung_alone_is_left_alone() -> None:
    masks = {"visible lung right": box((20, 120), (10, 110)), "right lung": box((20, 120), (10, 110))}
    assert take_lungs_apart(masks) == (masks, ())


def disc(column: float, row: float, radius: float) -> Mask:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    mask = Mask.from_dense(np.hypot(rows - row, columns - column) < radius)
    assert mask is not None
    return mask
