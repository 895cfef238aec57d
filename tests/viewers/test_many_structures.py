"""The made segmentation has every structure, of a size that anatomy has, and overlaps."""

import numpy as np
import pytest

from ai.labels import LABELS, children
from ai.segmentation import Segmentation
from tests.viewers.many_structures import COUNT, NAMES, many_structures

SHAPE = (400, 328)


@pytest.fixture(scope="module")
def made() -> Segmentation:
    return many_structures(SHAPE)


def test_there_are_159_structures_in_the_order_of_the_table(made: Segmentation) -> None:
    assert list(made.masks) == [label.name for label in LABELS][:COUNT] == list(NAMES)
    assert COUNT == 159


def test_sizes_are_those_of_structures(made: Segmentation) -> None:
    areas = np.array([mask.area for mask in made.masks.values()]) / (SHAPE[0] * SHAPE[1])
    assert areas.min() > 0.0005
    assert areas.max() < 0.5


def test_the_right_side_lies_left_in_the_picture(made: Segmentation) -> None:
    for name, mask in made.masks.items():
        column = mask.centroid[0]
        if "right" in name.split() and "heart" not in name:
            assert column < SHAPE[1] / 2, name
        if "left" in name.split() and "heart" not in name:
            assert column > SHAPE[1] / 2, name


def test_what_comprises_others_covers_them(made: Segmentation) -> None:
    for name in ("spine", "lung", "right lung", "clavicles", "cardiomediastinum", "aorta"):
        whole = made.masks[name].dense(SHAPE)
        for part in children(name):
            if part in made.masks and part != "trachea":
                assert not (made.masks[part].dense(SHAPE) & ~whole).any(), part


def test_structures_overlap(made: Segmentation) -> None:
    depth = np.sum([mask.dense(SHAPE) for mask in made.masks.values()], axis=0)
    assert depth.max() > 10
