from itertools import combinations

import pytest

from node.text_layout import LINE_HEIGHT, Box, TextLayout

WORDS = "cardiothoracic ratio 0.48"


@pytest.mark.parametrize(
    ("anchor", "left", "above"),
    [
        ((300, 200), True, True),
        ((700, 200), False, True),
        ((300, 800), True, False),
        ((700, 800), False, False),
    ],
)
def test_text_goes_away_from_the_middle(anchor: tuple[float, float], left: bool, above: bool) -> None:
    layout = TextLayout(1000, 1000)
    box = layout.place(anchor, [WORDS])
    assert layout.is_left(anchor) == left
    assert (box.right == anchor[0]) if left else (box.left == anchor[0])
    assert (box.bottom < anchor[1]) if above else (box.top > anchor[1])


@pytest.mark.parametrize("anchor", [(0, 0), (999, 0), (0, 999), (999, 999), (500, 500)])
def test_text_stays_inside_and_off_the_reserved_part(anchor: tuple[float, float]) -> None:
    box = TextLayout(1000, 1000, reserved=0.1).place(anchor, [WORDS] * 3)
    assert min(box.left, box.top) >= 0
    assert box.right <= 1000
    assert box.bottom <= 900
    assert box.bottom - box.top == pytest.approx(3 * LINE_HEIGHT * 1000)


def test_no_block_lies_over_another_while_there_is_room() -> None:
    layout = TextLayout(1000, 800)
    boxes = [layout.place((400, 500), [WORDS] * count) for count in (1, 3, 2, 1, 4)]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_on_a_narrow_image_text_takes_its_width_and_no_more() -> None:
    box = TextLayout(1000, 64).place((30, 500), [WORDS])
    assert (box.left, box.right) == (0, 64)


def test_without_room_text_lies_where_it_belongs() -> None:
    layout = TextLayout(64, 64)
    first = layout.place((10, 10), [WORDS] * 60)
    assert layout.place((10, 10), [WORDS] * 60) == first


def test_a_block_is_cut_into_its_lines() -> None:
    lines = Box(0, 10, 50, 40).lines(3)
    assert [(line.top, line.bottom) for line in lines] == [(10, 20), (20, 30), (30, 40)]
