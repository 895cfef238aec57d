from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training import augment
from pipeline_training.anatomy import TISSUES

FloatImage = npt.NDArray[np.float32]
SIZE = 64
EFFECTS = [
    augment.gamma, augment.equalise, augment.sharpen, augment.blur, augment.uneven, augment.noise,
    augment.marker, augment.line, augment.invert,
]  # fmt: skip


@pytest.fixture
def picture() -> FloatImage:
    ramp = np.linspace(0.1, 0.9, SIZE, dtype=np.float32)
    image: FloatImage = np.outer(ramp, ramp[::-1]).astype(np.float32)
    image[20:40, 20:40] += 0.1
    return image


@pytest.mark.parametrize("effect", EFFECTS)
def test_effect_changes_the_picture_and_not_its_input(
    effect: Callable[[FloatImage, np.random.Generator], FloatImage], picture: FloatImage
) -> None:
    before = picture.copy()
    changed = effect(picture, np.random.default_rng(1))
    assert changed.shape == picture.shape
    assert changed.dtype == np.float32
    assert np.abs(changed - picture).max() > 1e-3
    np.testing.assert_array_equal(picture, before)


def test_collimation_touches_the_border_alone(picture: FloatImage) -> None:
    for seed in range(8):
        framed = augment.collimate(picture, np.random.default_rng(seed))
        np.testing.assert_array_equal(framed[8:-8, 8:-8], picture[8:-8, 8:-8])


def test_invert_is_the_negative(picture: FloatImage) -> None:
    np.testing.assert_array_equal(augment.invert(picture, np.random.default_rng(0)), 1 - picture)


def test_restyled_pictures_stay_in_range_and_follow_the_seed(picture: FloatImage) -> None:
    for seed in range(20):
        styled = augment.restyle(picture, np.random.default_rng(seed))
        assert styled.shape == picture.shape
        assert styled.min() >= 0
        assert styled.max() <= 1
        np.testing.assert_array_equal(styled, augment.restyle(picture, np.random.default_rng(seed)))


def test_composed_radiograph_shows_bone_bright_and_lung_dark() -> None:
    tissues = np.zeros((len(TISSUES), SIZE, SIZE), np.float16)
    tissues[TISSUES.index("soft")] = 2.0
    tissues[TISSUES.index("soft"), :, :20] = 0.5
    tissues[TISSUES.index("ribs"), 40:44] = 1.0
    for seed in range(10):
        image = augment.compose(tissues, np.random.default_rng(seed))
        assert image.shape == (SIZE, SIZE)
        assert 0 <= image.min() <= image.max() <= 1
        assert image[10, 5:15].mean() < image[10, 40:60].mean() <= image[41, 40:60].mean()


def test_wide_blur_keeps_the_mean(picture: FloatImage) -> None:
    assert augment.wide_blur(picture, 8.0).mean() == pytest.approx(picture.mean(), abs=0.01)
