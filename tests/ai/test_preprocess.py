import numpy as np
import pytest
from scipy import ndimage

from ai.errors import NotAChestError
from ai.preprocess import Letterbox, network_input, positive_box, separable_bilinear, separable_smoothed
from ai.segmentation import Mask


@pytest.mark.parametrize("shape", [(64, 8300), (8300, 64)])
def test_pictures_too_narrow_for_the_grid_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(NotAChestError, match=rf"{shape[0]} x {shape[1]} pixels shows no chest"):
        network_input(np.ones(shape, np.float32), 128)


@pytest.mark.parametrize(("rows", "columns"), [(299, 320), (320, 301), (64, 63), (100, 100)])
def test_film_is_where_the_grid_holds_picture(rows: int, columns: int) -> None:
    box = Letterbox(rows, columns, 64)
    assert np.array_equal(box.film(), box.to_network(np.ones((rows, columns), np.float32)) > 0.999)


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [((9, 7), 300, 205), ((1, 5), 64, 3), ((5, 1), 3, 64), ((40, 40), 10, 65), ((3, 4), 700, 30)],
)
def test_the_box_of_samples_above_0_is_cut_out_of_the_sampled_picture(
    shape: tuple[int, int], rows: int, columns: int
) -> None:
    image = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    image[0, 0] = 0  # neither above 0 nor below it
    at = np.linspace(-1, shape[0], rows), np.linspace(-1, shape[1], columns)
    for level in (-9, 0, float(np.median(image))):
        field = image - np.float32(level)
        expected = Mask.from_dense(separable_bilinear(field.T, *at[::-1]).T > 0)  # columns first, to the bit
        box, top, left = positive_box(field, *at) or pytest.fail("nothing is above 0")
        assert expected is not None
        assert (top, left) == (expected.top, expected.left)
        assert np.array_equal(box, expected.pixels)
    assert positive_box(image - 9, *at) is None


@pytest.mark.parametrize("between", [254, 255, 256, 257])
def test_so_many_samples_between_two_rows_as_numbers_of_a_byte_are_counted(between: int) -> None:
    field = np.array([[1, -1, 1], [1, 1, -1]], np.float32)
    at = np.arange(between) / between, np.arange(3.0)
    expected = separable_bilinear(field.T, *at[::-1]).T > 0
    box, top, left = positive_box(field, *at) or pytest.fail("nothing is above 0")
    assert (top, left) == (0, 0)
    assert np.array_equal(box, expected)


@pytest.mark.parametrize(("shape", "size"), [((300, 411), 64), ((66, 65), 64), ((50, 700), 32)])
def test_what_is_smoothed_where_it_is_sampled_is_the_smoothed_picture_sampled(
    shape: tuple[int, int], size: int
) -> None:
    image = np.random.default_rng(4).random(shape, np.float32)
    sigma = (max(shape) / size - 1) / 2
    at = np.linspace(-1, shape[0], 40), np.linspace(-1, shape[1], 30)
    expected = separable_bilinear(ndimage.gaussian_filter(image, sigma), *at)
    assert separable_smoothed(image, *at, sigma=sigma) == pytest.approx(expected, abs=1e-6)
