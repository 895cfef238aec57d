"""What counts as drawn right, and that everything drawn wrong is found."""

import numpy as np
import pytest

from ai.labels import LABELS, Label, label
from tests.viewers.overlay_pixels import (
    MOST_COLOUR_DISTANCE,
    Field,
    Geometry,
    Picture,
    colour_distance,
    compare,
    drawn,
    eroded,
    line_hits,
)

SIZE = (300, 400)
COLOUR, OTHER = (90, 178, 230), (109, 158, 240)


def _disc(x: float, y: float, radius: float, shape: tuple[int, int] = SIZE) -> Field:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 < radius**2)


PAIRED = [
    each
    for each in LABELS
    if "right" in each.name.split() and each.name.replace("right", "left") in {other.name for other in LABELS}
]
RIGHT, LEFT = _disc(110, 150, 60), _disc(300, 150, 60)


@pytest.fixture(scope="module")
def film() -> Picture:
    grey = np.random.default_rng(1).integers(40, 200, SIZE, np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _over(film: Picture, mask: Field, colour: tuple[int, int, int] = COLOUR, alpha: float = 0.5) -> Picture:
    picture = film.astype(float)
    picture[mask] = (1 - alpha) * picture[mask] + alpha * np.array(colour)
    return picture.round().astype(np.uint8)


def test_a_structure_that_is_drawn_as_it_should_has_no_faults(film: Picture) -> None:
    found = compare("lung", _over(film, RIGHT), film, RIGHT, COLOUR)
    assert found.faults == []
    assert (found.iou, found.filled, found.outside) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("alpha", [0.2, 0.4, 0.9])
def test_the_colour_is_found_again_at_any_alpha(film: Picture, alpha: float) -> None:
    picture = _over(film, RIGHT, alpha=alpha)
    assert colour_distance(picture, film, RIGHT, COLOUR) < 3
    assert colour_distance(picture, film, RIGHT, OTHER) > 20


@pytest.mark.parametrize(
    ("drawn_mask", "colour", "fault"),
    [
        (np.roll(RIGHT, 8, axis=1), COLOUR, "IoU"),
        (np.roll(RIGHT, 8, axis=0), COLOUR, "IoU"),
        (RIGHT[:, ::-1], COLOUR, "IoU 0.0"),
        (LEFT, COLOUR, "inside is drawn"),
        (np.zeros_like(RIGHT), COLOUR, "its colour is inf away"),
        (RIGHT | _disc(350, 40, 15), COLOUR, "of the screen outside"),
        (RIGHT & (np.mgrid[0 : SIZE[0], 0 : SIZE[1]][0] % 2 == 0), COLOUR, "inside is drawn"),
        (RIGHT, OTHER, "its colour"),
    ],
    ids=["shifted", "lower", "mirrored", "other side", "nothing", "a spot more", "serrated", "recoloured"],
)
def test_what_is_drawn_wrong_is_a_fault(
    film: Picture, drawn_mask: Field, colour: tuple[int, int, int], fault: str
) -> None:
    found = compare("lung", _over(film, drawn_mask, colour), film, RIGHT, COLOUR)
    assert any(fault in each for each in found.faults), found


def test_a_mirrored_expectation_fails(film: Picture) -> None:
    picture = _over(film, RIGHT)
    assert compare("lung", picture, film, RIGHT[:, ::-1], COLOUR).iou < 0.1


def test_several_structures_together_have_no_colour_to_compare(film: Picture) -> None:
    picture = _over(_over(film, RIGHT), LEFT, OTHER)
    assert compare("all", picture, film, RIGHT | LEFT, None).faults == []


def test_an_outline_of_another_strength_changes_no_verdict(film: Picture) -> None:
    picture = _over(film, RIGHT)
    edge = RIGHT & ~eroded(RIGHT, 3)
    picture[edge] = _over(film, edge, alpha=1.0)[edge]
    assert compare("lung", picture, film, RIGHT, COLOUR).faults == []


def test_rounding_is_not_drawing(film: Picture) -> None:
    assert not drawn(film + np.uint8(2), film).any()


def test_eroding_a_thin_mask_leaves_something() -> None:
    thin = np.zeros(SIZE, np.bool_)
    thin[100:103, 50:200] = True
    assert eroded(thin, 5).any()


def test_a_mask_lies_on_the_canvas_where_its_geometry_says() -> None:
    mask = np.zeros((50, 80), np.bool_)
    mask[10:20, 30:60] = True
    geometry = Geometry(first=(11.0, 22.5), column_step=(2.0, 0.0), row_step=(0.0, 3.0))
    shown = geometry.mask_on_canvas(mask, (200, 200))
    rows, columns = np.nonzero(shown)
    assert (columns.min(), columns.max() + 1) == (70, 130)  # 11 - 1 + 2 x 30 to 11 - 1 + 2 x 60
    assert (rows.min(), rows.max() + 1) == (51, 81)
    assert shown.sum() == 60 * 30
    np.testing.assert_allclose(geometry.on_canvas([(30, 10), (60, 20)]), [(70, 51), (130, 81)])


def test_a_picture_that_is_turned_on_the_canvas_is_followed() -> None:
    mask = np.zeros((50, 80), np.bool_)
    mask[0:10, 0:5] = True
    turned = Geometry(first=(99.5, 0.5), column_step=(0.0, 1.0), row_step=(-1.0, 0.0))
    assert np.array_equal(turned.mask_on_canvas(mask, (80, 100))[:5, 90:], np.ones((5, 10), np.bool_))


def _line(film: Picture, dashed: bool) -> Picture:
    picture = film.copy()
    columns = np.arange(50, 350)
    columns = columns[columns % 8 < 4] if dashed else columns
    picture[120:122, columns] = (255, 255, 0)
    return picture


POINTS = np.array([(50.0, 121.0), (200.0, 121.0), (350.0, 121.0)])


@pytest.mark.parametrize("dashed", [False, True])
def test_a_line_is_found_where_it_is_drawn(film: Picture, dashed: bool) -> None:
    assert line_hits(_line(film, dashed), POINTS) > 0.97


@pytest.mark.parametrize("away", [(0.0, 8.0), (150.0, 0.0), (0.0, -60.0)])
def test_a_line_is_not_found_where_it_is_not(film: Picture, away: tuple[float, float]) -> None:
    assert line_hits(_line(film, dashed=True), POINTS + np.array(away)) < 0.8


def test_a_line_beyond_the_screen_is_not_drawn(film: Picture) -> None:
    assert line_hits(film, POINTS + 1000) == 0.0


@pytest.mark.parametrize("right", PAIRED, ids=lambda each: each.name)
def test_the_colours_of_right_and_left_can_be_told_apart(right: Label) -> None:
    left = label(right.name.replace("right", "left"))
    distance = np.linalg.norm(np.subtract(right.colour, left.colour))
    assert distance > 2 * MOST_COLOUR_DISTANCE
