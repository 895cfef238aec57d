import numpy as np
import numpy.typing as npt
import pytest

from node.polarity import LIMIT, looks_turned_over, mediastinal_contrast

Pixels = npt.NDArray[np.float32]


def _chest(lungs: float, middle: float, shape: tuple[int, int] = (300, 260)) -> Pixels:
    pixels = np.full(shape, 0.5, np.float32)
    columns = shape[1]
    pixels[:, round(0.15 * columns) : round(0.4 * columns)] = lungs
    pixels[:, round(0.6 * columns) : round(0.85 * columns)] = lungs
    pixels[:, round(0.4 * columns) : round(0.6 * columns)] = middle
    return pixels


def test_a_bright_middle_between_dark_lungs_is_the_right_way_up() -> None:
    assert mediastinal_contrast(_chest(0.2, 0.8)) == pytest.approx(1.0)
    assert not looks_turned_over(_chest(0.2, 0.8))


def test_turning_the_grey_scale_over_turns_the_contrast_over() -> None:
    pixels = _chest(0.2, 0.8)
    assert mediastinal_contrast(1 - pixels) == pytest.approx(-mediastinal_contrast(pixels))
    assert looks_turned_over(1 - pixels)


def test_a_doubtful_picture_is_left_as_it_is() -> None:
    pixels = _chest(0.5, 0.45)
    pixels[0, :], pixels[-1, :] = 0, 1
    pixels[:10], pixels[-10:] = 0, 1  # so that the scale is not that of the chest
    assert LIMIT < mediastinal_contrast(pixels) < 0
    assert not looks_turned_over(pixels)


def test_the_contrast_does_not_depend_on_the_size_or_the_window() -> None:
    pixels = _chest(0.2, 0.8)
    large = np.kron(pixels, np.ones((5, 5), np.float32))
    assert mediastinal_contrast(large) == pytest.approx(mediastinal_contrast(pixels), abs=0.05)
    assert mediastinal_contrast(pixels * 0.3 + 0.1) == pytest.approx(mediastinal_contrast(pixels), abs=1e-5)


def test_a_picture_of_one_value_has_no_contrast() -> None:
    assert mediastinal_contrast(np.full((80, 80), 0.4, np.float32)) == 0
