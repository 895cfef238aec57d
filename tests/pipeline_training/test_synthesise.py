import numpy as np
import pytest

from pipeline_training.synthesise import synthesise_ct
from pipeline_training.volumes import LabelMap


@pytest.mark.parametrize(
    ("names", "low", "high"),
    [
        (("lung_upper_lobe_right", "lung_lower_lobe_left"), -960, -600),
        (("heart",), 90, 170),
        (("aorta",), 90, 170),
        (("liver",), 20, 100),
        (("trachea",), -1010, -930),
        (("costal_cartilages",), 90, 170),
        (("sternum",), 300, 1000),
        (("vertebrae_T6",), 150, 900),
    ],
)
def test_structure_has_its_usual_hu(phantom: LabelMap, names: tuple[str, ...], low: int, high: int) -> None:
    hu = synthesise_ct(phantom, np.random.default_rng(1))
    assert low < hu[phantom.mask(*names)].mean() < high


def test_body_is_soft_tissue_inside_and_air_outside(phantom: LabelMap) -> None:
    hu = synthesise_ct(phantom, np.random.default_rng(1))
    assert hu.shape == phantom.labels.shape
    assert hu.dtype == np.int16
    assert hu[30, 0, 0] < -900
    between_the_lungs = hu[20:40, 9:12, 25:28]
    assert -50 < between_the_lungs.mean() < 100
    assert hu.min() >= -1024
    assert hu.max() <= 3071


def test_cortex_is_denser_than_the_core(phantom: LabelMap) -> None:
    hu = synthesise_ct(phantom, np.random.default_rng(1))
    assert hu[21, 24, 29] > hu[21, 28, 29] + 150


def test_same_seed_same_ct(phantom: LabelMap) -> None:
    first, second, other = (synthesise_ct(phantom, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
