import numpy as np
import pytest

from ai.containment import (
    GROWING,
    GROWN_BY,
    MOSTLY,
    NOT_INSIDE,
    cut_parts,
    growing_parts,
    put_parts_inside,
    union_parts,
)
from ai.labels import LABELS, children, label
from ai.mask_algebra import share_outside, union
from ai.segmentation import Mask

NAMES = tuple(item.name for item in LABELS)
SHAPE = (200, 300)


def box(rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    return Mask(np.ones((rows[1] - rows[0], columns[1] - columns[0]), np.bool_), rows[0], columns[0])


def same(first: Mask, second: Mask) -> bool:
    return bool(np.array_equal(first.dense(SHAPE), second.dense(SHAPE)))


def test_every_structure_with_a_parent_grows_it_is_cut_by_it_or_is_excused() -> None:
    for item in LABELS:
        if item.parent is not None:
            grows, cut = growing_parts(item.parent), cut_parts(item.parent)
            assert (item.name in grows) + (item.name in cut) + (item.name in NOT_INSIDE) == 1, item.name


def test_unions_are_what_the_table_derives_from_parts_alone() -> None:
    assert union_parts("clavicles") == ("clavicle left", "clavicle right")
    assert union_parts("spine") == ("cervical spine", "thoracic spine", "lumbar spine")
    assert len(union_parts("thoracic spine")) == 12
    assert union_parts("posterior 9th rib") == ("posterior 9th rib right", "posterior 9th rib left")
    assert union_parts("12th rib") == ("posterior 12th rib right", "posterior 12th rib left")
    assert not union_parts("heart") + union_parts("right lung") + union_parts("diaphragm")


def test_reasons_are_of_structures_that_have_a_parent_or_parts() -> None:
    assert all(label(name).parent for name in (*NOT_INSIDE, *GROWN_BY))
    assert all(children(name) for name in GROWING)


@pytest.mark.parametrize(
    ("whole", "part"), [("heart", "heart atrium right"), ("right lung", "lung lower lobe right")]
)
def test_part_is_cut_at_the_edge_of_its_container(whole: str, part: str) -> None:
    masks = {whole: box((20, 100), (50, 150)), part: box((60, 90), (140, 160))}
    inside, told = put_parts_inside(masks, NAMES)
    assert inside[whole] is masks[whole]
    assert same(inside[part], box((60, 90), (140, 150)))
    assert told == (f"cut off where they reached beyond what holds them: {part} 50.0 %",)


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ("clavicles", "clavicle left"),
        ("thoracic spine", "vertebrae T5"),
        ("lung base", "right lung base"),
        ("right lung", "visible lung right"),
        ("cardiomediastinum", "heart"),
        ("aorta", "aortic arch"),
    ],
)
def test_whole_that_is_made_of_its_parts_grows_by_them(whole: str, part: str) -> None:
    masks = {whole: box((20, 100), (50, 150)), part: box((60, 90), (140, 160))}
    inside, told = put_parts_inside(masks, NAMES)
    assert inside[part] is masks[part]
    assert same(inside[whole], union(*masks.values()))
    assert told == (f"grown by parts that reached beyond them: {whole} 3.8 %",)


def test_what_has_grown_makes_grow_what_holds_it() -> None:
    masks = {
        "spine": box((0, 100), (50, 100)),
        "thoracic spine": box((0, 100), (50, 100)),
        "vertebrae T5": box((50, 60), (60, 110)),
    }
    inside, told = put_parts_inside(masks, NAMES)
    assert same(inside["spine"], inside["thoracic spine"])
    assert told == ("grown by parts that reached beyond them: thoracic spine 2.0 %, spine 2.0 %",)


def test_what_was_cut_cuts_what_it_holds() -> None:
    masks = {
        "diaphragm": box((100, 140), (20, 200)),
        "lung": box((0, 100), (20, 200)),
        "left lung": box((0, 100), (120, 200)),
        "left lung base": box((70, 110), (120, 200)),
        "lung base": box((70, 115), (20, 200)),
    }
    inside, told = put_parts_inside(masks, NAMES)
    assert same(inside["lung base"], box((70, 100), (20, 200)))
    assert same(inside["left lung base"], box((70, 100), (120, 200)))
    assert told == (
        "cut off where they reached beyond what holds them: lung base 33.3 %, left lung base 25.0 %",
    )


def test_part_that_lies_elsewhere_is_kept_with_its_whole_and_told() -> None:
    for whole, part in (("heart", "heart ventricle left"), ("clavicles", "clavicle right")):
        masks = {whole: box((20, 100), (50, 150)), part: box((60, 90), (141, 160))}
        inside, told = put_parts_inside(masks, NAMES)
        assert all(inside[name] is mask for name, mask in masks.items())
        assert told == (f"{part}: 52.6 % of it lies outside {whole}; one of the two is wrong, both are kept",)


@pytest.mark.parametrize("name", sorted(NOT_INSIDE))
def test_what_leaves_its_parent_in_every_body_is_left_alone(name: str) -> None:
    masks = {label(name).parent or "": box((20, 100), (50, 150)), name: box((10, 60), (90, 100))}
    inside, told = put_parts_inside(masks, NAMES)
    assert told == ()
    assert inside[name] is masks[name]


def test_union_that_was_not_found_is_built_of_all_its_parts() -> None:
    masks = {"clavicle left": box((20, 30), (160, 220)), "clavicle right": box((20, 30), (60, 120))}
    inside, told = put_parts_inside(masks, NAMES)
    assert same(inside["clavicles"], union(*masks.values()))
    assert told == ("clavicles: not found, built as the union of clavicle left and clavicle right",)


def test_union_is_not_built_of_one_part_nor_for_a_model_that_does_not_know_it() -> None:
    left = {"clavicle left": box((20, 30), (160, 220))}
    assert put_parts_inside(left, NAMES) == (left, ())
    both = left | {"clavicle right": box((20, 30), (60, 120))}
    assert put_parts_inside(both, tuple(both)) == (both, ())


def test_container_that_was_not_found_is_not_built() -> None:
    masks = {"ascending aorta": box((20, 80), (60, 90)), "descending aorta": box((20, 99), (100, 120))}
    assert put_parts_inside(masks, NAMES) == (masks, ())


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_masks_each_part_is_inside_or_told_and_none_is_erased(seed: int) -> None:
    generator = np.random.default_rng(seed)
    masks = {}
    for name in NAMES:
        top, left = (int(value) for value in generator.integers(0, 60, 2))
        height, width = (int(value) for value in generator.integers(5, 90, 2))
        if generator.random() < 0.8:
            masks[name] = box((top, top + height), (left, left + width))
    inside, told = put_parts_inside(masks, NAMES)
    assert masks.keys() <= inside.keys()
    for name, mask in masks.items():
        assert inside[name].area >= (1 - MOSTLY) ** 3 * mask.area
        parent = label(name).parent
        if parent in inside and name not in NOT_INSIDE and share_outside(inside[name], inside[parent]):
            assert any(s.startswith(f"{name}: ") and f"outside {parent};" in s for s in told)
    again, second = put_parts_inside(inside, NAMES)
    if not any("lies outside" in sentence for sentence in told):
        assert second == ()
        assert again == inside
