from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training import augment
from pipeline_training.anatomy import TISSUES
from pipeline_training.channels import CHANNELS
from pipeline_training.physics import Spectrum

FloatImage = npt.NDArray[np.float32]
SIZE = 64
EFFECTS = [
    augment.gamma, augment.equalise, augment.sharpen, augment.blur, augment.uneven, augment.opacify,
    augment.noise, augment.marker, augment.line, augment.invert,
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


def test_invert_is_the_negative(picture: FloatImage) -> None:
    np.testing.assert_array_equal(augment.invert(picture, np.random.default_rng(0)), 1 - picture)


def test_clouds_whiten_what_is_dark_and_nothing_beyond_soft_tissue(picture: FloatImage) -> None:
    for seed in range(10):
        clouded = augment.opacify(picture, np.random.default_rng(seed))
        whitened = clouded > picture + 1e-6
        assert whitened.any()
        assert not (clouded < picture).any()
        assert clouded[whitened].max() <= np.quantile(picture, 0.95) + 1e-6


def test_restyled_pictures_stay_in_range_and_follow_the_seed(picture: FloatImage) -> None:
    for seed in range(20):
        styled = augment.restyle(picture, np.random.default_rng(seed))
        assert styled.shape == picture.shape
        assert styled.min() >= 0
        assert styled.max() <= 1
        np.testing.assert_array_equal(styled, augment.restyle(picture, np.random.default_rng(seed)))


def planes() -> FloatImage:
    """Lung left, soft tissue right, a rib across."""
    found = np.zeros((len(CHANNELS), SIZE, SIZE), np.float32)
    found[CHANNELS.index("soft: water")] = 1.6
    found[CHANNELS.index("soft: water"), :, :20] = 0.5
    found[CHANNELS.index("ribs: bone"), 40:44] = 0.3
    return found


def test_composed_radiograph_shows_bone_bright_and_lung_dark() -> None:
    for seed in range(10):
        image = augment.compose(planes(), np.random.default_rng(seed))
        assert image.shape == (SIZE, SIZE)
        assert 0 <= image.min() <= image.max() <= 1
        assert image[10, 5:15].mean() < image[10, 40:60].mean() <= image[41, 40:60].mean()
        np.testing.assert_array_equal(image, augment.compose(planes(), np.random.default_rng(seed)))


def test_picture_of_air_and_noise_alone_stays_a_picture() -> None:
    """Noise may be brighter than air: what is said to be absorbed there lies below 0."""
    total = np.random.default_rng(0).normal(0, 0.02, (SIZE, SIZE)).astype(np.float32)
    for seed in range(20):
        shown = augment.film(total, np.random.default_rng(seed))
        assert np.isfinite(shown).all()
        assert 0 <= shown.min() <= shown.max() <= 1


def test_device_is_bright() -> None:
    wired = planes()
    wired[CHANNELS.index("devices"), :, 32] = 1.0
    for seed in range(5):
        image = augment.compose(wired, np.random.default_rng(seed))
        assert image[10:30, 32].mean() > image[10:30, [29, 35]].mean()


def test_harder_beam_shows_less_bone() -> None:
    water, bone, devices = augment.mix(planes(), np.ones(len(TISSUES), np.float32))

    def contrast(kvp: float) -> float:
        exposure = augment.Exposure(Spectrum(kvp, 3.0), 0.0, 12.0, 1e12, 0.0)
        seen = augment.expose(water, bone, devices, exposure, np.random.default_rng(0))
        return float(seen[42, 50] - seen[10, 50])

    assert contrast(70.0) > 1.3 * contrast(130.0) > 0


def test_fewer_photons_are_noisier_and_scatter_flattens() -> None:
    water, bone, devices = augment.mix(planes(), np.ones(len(TISSUES), np.float32))

    def seen(photons: float = 1e9, scatter_ratio: float = 0.0) -> FloatImage:
        exposure = augment.Exposure(Spectrum(100.0, 3.0), scatter_ratio, 12.0, photons, 0.0)
        return augment.expose(water, bone, devices, exposure, np.random.default_rng(0))

    assert seen(photons=1e4)[:30, 40:].std() > 5 * seen(photons=1e6)[:30, 40:].std()
    assert np.ptp(seen(scatter_ratio=1.0)) < np.ptp(seen())


def test_tissue_factors_follow_the_generator_and_scale_their_group() -> None:
    factors = augment.draw_tissue_factors(np.random.default_rng(1))
    np.testing.assert_array_equal(factors, augment.draw_tissue_factors(np.random.default_rng(1)))
    denser = np.ones(len(TISSUES), np.float32)
    denser[TISSUES.index("ribs")] = 2.0
    _, bone, _ = augment.mix(planes(), denser)
    assert bone[41, 0] == pytest.approx(60.0)


def test_wide_blur_keeps_the_mean(picture: FloatImage) -> None:
    assert augment.wide_blur(picture, 8.0).mean() == pytest.approx(picture.mean(), abs=0.01)


def test_noise_is_that_of_a_chest_exposure() -> None:
    """Behind 20 cm of water noise stays below a fifth of the step that 1 cm more makes."""
    water = np.full((SIZE, SIZE), 200.0, np.float32)
    water[:, SIZE // 2 :] += 10.0
    none = np.zeros_like(water)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        exposure = augment.draw_exposure(generator)
        seen = augment.expose(water, none, none, exposure, generator)
        thin, thick = seen[:, :20], seen[:, -20:]
        assert thick.mean() - thin.mean() > 5 * thin.std(), exposure


def test_sigmoid_parts_lung_from_soft_tissue(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = np.where(np.arange(SIZE) < SIZE // 2, 2.0, 4.0) + np.zeros((SIZE, 1))
    total = np.asarray(levels + np.random.default_rng(0).normal(0, 0.1, levels.shape), np.float32)
    monkeypatch.setattr(augment, "SIGMOID_SHARE", 1.0)
    for seed in range(10):
        image = augment.film(total, np.random.default_rng(seed))
        assert image[:, : SIZE // 2].max() < image[:, SIZE // 2 :].min()
        assert image[:, SIZE // 2 :].mean() - image[:, : SIZE // 2].mean() > 0.5
