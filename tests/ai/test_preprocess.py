import numpy as np
import pytest
from scipy import ndimage

from ai.errors import NotAChestError
from ai.preprocess import Letterbox, bilinear_above, network_input, separable_bilinear, separable_smoothed


@pytest.mark.parametrize("shape", [(64, 8300), (8300, 64)])
def test_pictures_too_narrow_for_the_grid_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(NotAChestError, match=rf"{shape[0]} x {shape[1]} pixels shows no chest"):
        network_input(np.ones(shape, np.float32), 128)


@pytest.mark.parametrize(("rows", "columns"), [(299, 320), (320, 301), (64, 63), (100, 100)])
def test_film_is_where_the_grid_holds_picture(rows: int, columns: int) -> None:
    box = Letterbox(rows, columns, 64)
    assert np.array_equal(box.film(), box.to_network(np.ones((rows, columns), np.float32)) > 0.999)


@pytest.mark.parametrize(
    ("shape", "rows", "columns"), [((9, 7), 300, 205), ((1, 5), 64, 3), ((40, 40), 10, 65)]
)
def test_samples_above_a_level_are_those_of_the_sampled_picture(
    shape: tuple[int, int], rows: int, columns: int
) -> None:
    image = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    at = np.linspace(-1, shape[0], rows), np.linspace(-1, shape[1], columns)
    samples = separable_bilinear(image, *at)
    above = bilinear_above(image, 0.25, *at)
    assert above.any()
    assert (
        np.array_equal(above, samples > 0.25)
        or np.abs(samples[above != (samples > 0.25)] - 0.25).max() < 1e-6
    )


@pytest.mark.parametrize(("shape", "size"), [((300, 411), 64), ((66, 65), 64), ((50, 700), 32)])
def test_what_is_smoothed_where_it_is_sampled_is_the_smoothed_picture_sampled(
    shape: tuple[int, int], size: int
) -> None:
    image = np.random.default_rng(4).random(shape, np.float32)
    sigma = (max(shape) / size - 1) / 2
    at = np.linspace(-1, shape[0], 40), np.linspace(-1, shape[1], 30)
    expected = separable_bilinear(ndimage.gaussian_filter(image, sigma), *at)
    assert separable_smoothed(image, *at, sigma=sigma) == pytest.approx(expected, abs=1e-6)
