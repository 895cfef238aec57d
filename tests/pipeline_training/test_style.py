import numpy as np
import pytest

from pipeline_training import style
from pipeline_training.style import LEVELS, histogram_of, in_style

FILM = np.ones((60, 80), np.bool_)


def drawn(seed: int, power: float) -> np.ndarray:
    return np.random.default_rng(seed).random((60, 80)).astype(np.float32) ** np.float32(power)


def test_histogram_is_of_the_picture_and_not_of_its_padding() -> None:
    image, film = drawn(0, 1), np.ones((60, 80), np.bool_)
    image[:30] = 0
    film[:30] = False
    np.testing.assert_allclose(histogram_of(image, film), np.quantile(image[30:], LEVELS), atol=1e-6)


def test_an_image_gets_the_histogram_and_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "LEAST_SHARE", 1.0)
    image, other = drawn(1, 1), drawn(2, 3)
    wanted = histogram_of(other, np.ones_like(other, np.bool_))
    found = in_style(image, FILM, wanted, np.random.default_rng(0))
    np.testing.assert_allclose(np.quantile(found, LEVELS), wanted, atol=0.01)
    assert (np.diff(found.ravel()[np.argsort(image.ravel())]) >= 0).all()
    assert found.dtype == np.float32


def test_at_least_a_share_of_the_way_is_gone() -> None:
    image, other = drawn(1, 1), drawn(2, 3)
    wanted = histogram_of(other, np.ones_like(other, np.bool_))
    means = [in_style(image, FILM, wanted, np.random.default_rng(seed)).mean() for seed in range(40)]
    way = (image.mean() - np.array(means)) / (image.mean() - other.mean())
    assert way.min() >= style.LEAST_SHARE - 0.02
    assert way.max() <= 1.02
    assert way.max() - way.min() > 0.4


def test_padding_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "LEAST_SHARE", 1.0)
    image, film = drawn(1, 1), FILM.copy()
    image[:25], film[:25] = 0, False
    wanted = histogram_of(drawn(2, 3), FILM)
    found = in_style(image, film, wanted, np.random.default_rng(0))
    np.testing.assert_allclose(np.quantile(found[film], LEVELS), wanted, atol=0.01)


def test_a_flat_stretch_gets_the_mean_of_what_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "LEAST_SHARE", 1.0)
    image = drawn(1, 1)
    image[:18] = 0  # 30 % of it
    wanted = LEVELS.astype(np.float32)
    found = in_style(image, FILM, wanted, np.random.default_rng(0))
    assert found[0, 0] == pytest.approx(0.15, abs=0.02)
