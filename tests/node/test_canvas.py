"""Masks and points on a smaller picture lie where they lay on the image."""

import numpy as np
import pytest
from PIL import Image

from ai.segmentation import Mask
from node.canvas import Canvas


def test_a_small_image_is_not_enlarged() -> None:
    canvas = Canvas(100, 200)

    assert canvas.size == (200, 100)
    assert canvas.point((3.5, 7.0)) == (3.5, 7.0)


@pytest.mark.parametrize(("rows", "columns"), [(2048, 2500), (2500, 2048), (1025, 1024), (4000, 300)])
def test_longest_side_has_1024_pixels_and_corners_meet(rows: int, columns: int) -> None:
    canvas = Canvas(rows, columns)
    width, height = canvas.size

    assert max(width, height) == 1024
    assert canvas.point((columns, rows)) == pytest.approx((width, height))


def test_shrunk_mask_has_the_pixels_that_are_covered_by_half() -> None:
    canvas, dense = Canvas(2048, 1600), np.zeros((2048, 1600), np.bool_)
    dense[100:301, 40:260] = True  # on the picture: rows 50 to 150.5, columns 20 to 130
    mask = Mask.from_dense(dense)
    assert mask is not None
    expected = np.zeros((1024, 800), np.bool_)
    expected[50:151, 20:130] = True

    assert np.array_equal(canvas.shrunk(mask), expected)


def test_shrunk_mask_is_what_shrinking_the_whole_picture_gives() -> None:
    rng, canvas = np.random.default_rng(5), Canvas(2400, 2000)
    dense = np.repeat(np.repeat(rng.random((240, 200)) > 0.6, 10, 0), 10, 1)
    dense[:700], dense[2300:], dense[:, :100] = False, False, False
    mask = Mask.from_dense(dense)
    assert mask is not None
    whole = Image.fromarray(dense.astype(np.uint8) * np.uint8(255))
    covered = np.asarray(whole.resize(canvas.size, Image.Resampling.BOX))  # as the radiograph is

    assert np.array_equal(canvas.shrunk(mask), covered >= 128)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (4999, 2999), (2500, 17)])
def test_a_structure_of_one_pixel_is_still_seen(row: int, column: int) -> None:
    canvas = Canvas(5000, 3000)
    shown = canvas.shrunk(Mask(np.ones((1, 1), np.bool_), row, column))

    [[y, x]] = np.argwhere(shown)
    assert (x, y) == tuple(int(value) for value in canvas.point((column + 0.5, row + 0.5)))
