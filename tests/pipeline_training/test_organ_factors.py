from dataclasses import replace

import numpy as np
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.organ_factors import FACTORS, attenuate, draw_factors, truncated_log_normal


def test_factor_scales_the_attenuation_of_its_part_alone(anatomy: Anatomy) -> None:
    factors = np.ones(anatomy.organs.count + 1, np.float32)
    (part,) = anatomy.organs.structures["liver"]
    factors[part] = 0.5
    changed = attenuate(anatomy, factors)
    liver = anatomy.organs.mask("liver")
    np.testing.assert_allclose(changed.hu[liver] + 1000, (anatomy.hu[liver] + 1000) / 2, atol=1)
    np.testing.assert_array_equal(
        changed.hu[~liver & (anatomy.hu >= -1000)], anatomy.hu[~liver & (anatomy.hu >= -1000)]
    )
    assert changed.organs is anatomy.organs


def test_denser_bone_is_pure_bone_at_most(anatomy: Anatomy) -> None:
    factors = np.full(anatomy.organs.count + 1, 4.0, np.float32)
    metal = replace(anatomy, hu=anatomy.hu.copy())
    metal.hu[5, 5, 5] = 3000
    denser = attenuate(metal, factors).hu
    assert denser[5, 5, 5] == 3000
    denser[5, 5, 5] = 0
    assert -1000 <= denser.min() <= denser.max() == 1600


def test_log_normal_has_its_mode_at_one_and_its_range() -> None:
    drawn = truncated_log_normal(20000, np.random.default_rng(0))
    assert FACTORS[0] <= drawn.min() < drawn.max() <= FACTORS[1]
    counts, edges = np.histogram(drawn, bins=21, range=FACTORS)
    assert edges[counts.argmax()] == pytest.approx(1.0, abs=0.35)


def test_every_other_body_is_varied_strongly(anatomy: Anatomy) -> None:
    spreads = [np.log(draw_factors(anatomy, np.random.default_rng(seed))[1:]).std() for seed in range(60)]
    assert 0.3 < np.mean(np.array(spreads) > 0.3) < 0.7
    first = draw_factors(anatomy, np.random.default_rng(1))
    assert first[0] == 1.0
    np.testing.assert_array_equal(first, draw_factors(anatomy, np.random.default_rng(1)))
