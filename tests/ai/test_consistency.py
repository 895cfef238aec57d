import numpy as np
import numpy.typing as npt
import pytest

from ai.consistency import MAX_SHARED, make_consistent, take_lungs_apart
from ai.containment import union_parts
from ai.labels import LABELS
from ai.mask_algebra import overlap, union
from ai.segmentation import Mask
from ai.succession import series

Dense = npt.NDArray[np.bool_]

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


def disc(column: float, row: float, across: float, down: float) -> Dense:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(np.hypot((rows - row) / down, (columns - column) / across) < 1, np.bool_)


def body(generator: np.random.Generator) -> dict[str, Mask]:
    """A drawn chest in which everything lies where it belongs; the whole lungs overlap."""
    rows = np.arange(SHAPE[0])[:, None]
    middle, top = 150 + generator.uniform(-8, 8), generator.uniform(80, 110)
    drawn: dict[str, Dense] = {}
    for side, sign in (("right", -1), ("left", 1)):
        lung = disc(middle + sign * generator.uniform(44, 60), top, 55, 65)
        seen = lung & disc(middle + sign * 70, top, 60, 60)
        base = lung & (rows > top + generator.uniform(15, 25))
        drawn |= {f"{side} lung": lung, f"visible lung {side}": seen, f"{side} lung base": base}
        drawn |= {f"lung lower lobe {side}": base, f"clavicle {side}": disc(middle + sign * 50, 30, 40, 6)}
        for part, start in (("posterior", 20), ("anterior", 40)):
            for name, level in series()[f"{part} ribs {side}"]:
                drawn[name] = disc(middle + sign * 60, start + 11 * level, 30, 4)
    for name, level in series()["vertebrae"][6:20]:
        drawn[name] = disc(middle, 10 * level - 50, 12, 5 + generator.uniform(-1, 1))
    heart = disc(middle + 20, top + 40, 40, 35)
    drawn |= {"heart": heart, "heart atrium right": heart & disc(middle - 5, top + 40, 25, 25)}
    drawn |= {"trachea": disc(middle, 20, 8, 40), "cardiomediastinum": heart | disc(middle, top, 25, 60)}
    masks = {name: mask for name, dense in drawn.items() if (mask := Mask.from_dense(dense)) is not None}
    for whole in sorted(NAMES, key=lambda name: name == "lung" or name == "spine"):
        parts = [masks[part] for part in union_parts(whole) if part in masks]
        if parts:
            masks[whole] = union(*parts)
    return {name: masks[name] for name in NAMES if name in masks}


@pytest.mark.parametrize("seed", range(8))
def test_plausible_anatomy_comes_back_as_the_same_objects_without_a_word(seed: int) -> None:
    generator = np.random.default_rng(seed)
    masks = body(generator)
    whole = frozenset(name for name in masks if union_parts(name))
    kept = {name: mask for name, mask in masks.items() if name in whole or generator.random() < 0.85}
    consistent, told = make_consistent(kept, kept)
    assert told == ()
    assert list(consistent) == list(kept)
    assert all(consistent[name] is mask for name, mask in kept.items())


def test_rules_work_together_and_masks_come_in_table_order() -> None:
    masks = body(np.random.default_rng(0))
    del masks["clavicles"]
    masks["vertebrae T5"] = box((170, 176), (140, 152))
    masks["vertebrae T8"] = union(masks["vertebrae T8"], box((100, 104), (150, 172)))
    masks["heart atrium right"] = union(masks["heart atrium right"], box((100, 104), (10, 30)))
    masks["visible lung right"] = union(
        masks["visible lung right"], box((80, 90), (masks["visible lung left"].left + 20, 200))
    )
    consistent, told = make_consistent(masks, NAMES)
    assert list(consistent) == [name for name in NAMES if name in consistent]
    assert set(masks) - set(consistent) == {"vertebrae T5"}
    assert [sentence.split(":")[0] for sentence in told] == [
        "vertebrae T5",
        "visible lung right and visible lung left",
        "clavicles",
        "grown by parts that reached beyond them",
        "cut off where they reached beyond what holds them",
    ]
    assert overlap(consistent["visible lung right"], consistent["visible lung left"]) is None


def test_withheld_member_makes_nothing_grow() -> None:
    masks = body(np.random.default_rng(1))
    masks["vertebrae T5"] = box((170, 176), (139, 190))
    consistent, told = make_consistent(masks, NAMES)
    assert len(told) == 1
    assert consistent["thoracic spine"] is masks["thoracic spine"]
