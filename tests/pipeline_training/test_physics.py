import numpy as np
import pytest
import torch

from pipeline_training.physics import (
    ALUMINIUM_CM2_PER_G,
    ALUMINIUM_G_PER_CM3,
    BONE_DENSITY,
    CT_KEV,
    ENERGY_KEV,
    SPECTRA,
    WATER_CM2_PER_G,
    add_quantum_noise,
    add_scatter,
    attenuation,
    bins,
    blur_detector,
    blurred,
    bone_per_mm,
    detector_sigma_mm,
    film_density,
    materials,
    signal,
    water_per_mm,
)

PA, BEDSIDE = SPECTRA["PA 120 kVp"], SPECTRA["bedside 85 kVp"]


def mm(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def effective_per_mm(water: float, bone: float, spectrum: str) -> float:
    return float(-signal(mm(water), mm(bone), SPECTRA[spectrum]).log()) / (water + bone)


def test_coefficients_are_those_of_the_tables_at_their_energies() -> None:
    assert water_per_mm(60.0) == pytest.approx(0.02059)
    assert bone_per_mm(80.0) == pytest.approx(0.2229 * 1.92 / 10)
    assert 0.01837 < water_per_mm(70.0) < 0.02059


def test_materials_keep_what_the_ct_saw() -> None:
    hu = torch.tensor([-1024, -1000, -500, 0, 60, 150, 500, 1000, 1600, 3000], dtype=torch.int16)
    water, bone = materials(hu)
    np.testing.assert_allclose(
        water + BONE_DENSITY * bone, np.maximum(hu.numpy(), -1000) / 1000 + 1, atol=1e-6
    )
    assert (bone[:6] == 0).all()
    assert (np.diff(bone[5:].numpy()) > 0).all()


def test_voxel_as_dense_as_cortical_bone_is_bone() -> None:
    water, bone = materials(torch.tensor([1000 * (BONE_DENSITY - 1)]))
    assert float(bone) == pytest.approx(1.0, abs=1e-5)
    assert float(water) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("depth_mm", [0.0, 10.0, 100.0, 250.0])
def test_water_slab_absorbs_by_beer_and_lambert(depth_mm: float) -> None:
    expected = sum(share * np.exp(-water * depth_mm) for share, water, _ in bins(PA))
    assert float(signal(mm(depth_mm), mm(0), PA)) == pytest.approx(expected)
    assert float(attenuation(mm(depth_mm), mm(0))) == pytest.approx(depth_mm * water_per_mm(CT_KEV))


def test_bins_of_5_kev_stand_for_the_whole_spectrum() -> None:
    kev = np.arange(15.5, PA.kvp)
    table = [
        np.exp(np.interp(np.log(kev), np.log(ENERGY_KEV), np.log(column)))
        for column in (ALUMINIUM_CM2_PER_G, WATER_CM2_PER_G)
    ]
    weight = (PA.kvp - kev) * np.exp(-table[0] * ALUMINIUM_G_PER_CM3 / 10 * PA.aluminium_mm)
    fine = (weight * np.exp(-table[1] / 10 * 250)).sum() / weight.sum()
    assert float(signal(mm(250), mm(0), PA)) == pytest.approx(fine, rel=0.01)


def test_beam_hardens_on_its_way() -> None:
    per_mm = [effective_per_mm(depth, 0, "PA 120 kVp") for depth in (1.0, 50.0, 250.0)]
    assert per_mm == sorted(per_mm, reverse=True)


def test_bone_stands_out_more_at_low_voltage() -> None:
    contrast = [effective_per_mm(0, 10, name) / effective_per_mm(10, 0, name) for name in SPECTRA]
    assert contrast[list(SPECTRA).index("bedside 85 kVp")] == max(contrast)
    assert min(contrast) > BONE_DENSITY


def test_open_beam_passes_whole() -> None:
    assert all(
        sum(share for share, _, _ in bins(spectrum)) == pytest.approx(1) for spectrum in SPECTRA.values()
    )
    assert float(signal(mm(0), mm(0), BEDSIDE)) == pytest.approx(1)
    assert float(film_density(mm(1))) == 0


def test_scatter_adds_its_ratio_where_the_field_is_even_and_lifts_the_shadows() -> None:
    even = torch.full((2, 64, 64), 0.5)
    np.testing.assert_allclose(add_scatter(even, 0.4, 10.0), 0.7, rtol=1e-5)
    shadow = even.clone()
    shadow[:, 24:40, 24:40] = 0.01
    assert float(add_scatter(shadow, 0.4, 10.0)[0, 32, 32]) > 0.05


def test_noise_has_poisson_variance_and_follows_its_generator() -> None:
    grey = torch.full((200, 200), 0.2)
    first, again = (add_quantum_noise(grey, 1000.0, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, again)
    assert float(first.mean()) == pytest.approx(0.2, abs=1e-3)
    assert float(first.std()) == pytest.approx(np.sqrt(0.2 / 1000), rel=0.03)


def test_detector_passes_half_of_the_frequency_that_names_it() -> None:
    pixel_mm, half = 0.5, 0.25
    wave = 0.5 + 0.4 * torch.cos(2 * np.pi * half * pixel_mm * torch.arange(256.0)).repeat(64, 1)
    seen = blur_detector(wave, detector_sigma_mm(half) / pixel_mm)[32, 64:192]
    assert float(seen.max() - seen.min()) / 0.8 == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("sigma", [3.0, 12.0])
def test_blurred_point_is_a_gaussian(sigma: float) -> None:
    point = torch.zeros(161, 161)
    point[80, 80] = 1.0
    spread = blurred(point, sigma)
    away = (torch.arange(161.0) - 80) ** 2
    assert float(spread.sum()) == pytest.approx(1, abs=2e-3)
    assert float((spread.sum(dim=0) * away).sum()) == pytest.approx(sigma**2, rel=0.06)


def test_blur_of_nothing_changes_nothing() -> None:
    assert torch.equal(blurred(torch.eye(5), 0.0), torch.eye(5))
