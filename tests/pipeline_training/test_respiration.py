import numpy as np
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.respiration import SHIFT_MM, breathe, draw_shift
from pipeline_training.warp import least_jacobian, warp

PHANTOM_COLUMN = (slice(None), 18, 43)
"""Through the middle of the left lung."""


def height(body: Anatomy, name: str) -> float:
    return float(np.nonzero(body.organs.mask(name))[0].mean()) * body.spacing_mm


@pytest.mark.parametrize("shift_mm", [-24.0, 24.0])
def test_diaphragm_takes_liver_and_lung_base_with_it(anatomy: Anatomy, shift_mm: float) -> None:
    breathed = warp(anatomy, [breathe(anatomy, shift_mm)])
    before, after = (np.flatnonzero(b.organs.mask("left lung")[PHANTOM_COLUMN]) for b in (anatomy, breathed))
    assert (after[0] - before[0]) * anatomy.spacing_mm == pytest.approx(shift_mm, abs=13)
    assert np.sign(after[0] - before[0]) == np.sign(shift_mm)
    assert after[-1] == before[-1]
    assert np.sign(height(breathed, "liver") - height(anatomy, "liver")) == np.sign(shift_mm)


def test_ribs_and_spine_stay(anatomy: Anatomy) -> None:
    breathed = warp(anatomy, [breathe(anatomy, 20.0)])
    for name in ("vertebrae T9", "posterior 9th rib left", "posterior 9th rib right"):
        assert height(breathed, name) == pytest.approx(height(anatomy, name), abs=anatomy.spacing_mm)


@pytest.mark.parametrize("shift_mm", [-200.0, *SHIFT_MM, 200.0])
def test_no_breath_folds_the_body(anatomy: Anatomy, shift_mm: float) -> None:
    assert least_jacobian(anatomy.hu.shape, [breathe(anatomy, shift_mm)], anatomy.spacing_mm) > 0.1


def test_shift_is_a_function_of_the_generator_within_its_range() -> None:
    shifts = [draw_shift(np.random.default_rng(seed)) for seed in range(50)]
    assert shifts == [draw_shift(np.random.default_rng(seed)) for seed in range(50)]
    assert SHIFT_MM[0] <= min(shifts) < -10 < 10 < max(shifts) <= SHIFT_MM[1]
