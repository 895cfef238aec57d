import numpy as np
import pytest

from pipeline_training.judge.drawn import draw_other
from pipeline_training.judge.limbs import draw_limb


@pytest.mark.parametrize("seed", range(12))
def test_drawn_pictures_are_display_values_that_differ(seed: int) -> None:
    picture = draw_other(48, np.random.default_rng(seed))
    assert picture.shape == (48, 48)
    assert picture.dtype == np.float32
    assert 0 <= picture.min() < picture.max() <= 1


def test_a_limb_is_bright_on_a_dark_ground() -> None:
    pictures = np.stack([draw_limb(48, np.random.default_rng(seed)) for seed in range(8)])
    assert np.all(np.quantile(pictures.reshape(8, -1), 0.97, axis=1) > 0.2)
    assert np.median(pictures[:, 0, 0]) < 0.1


def test_the_same_seed_draws_the_same() -> None:
    first, second = (draw_other(48, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)
