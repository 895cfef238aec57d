from dataclasses import replace

import numpy as np
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.deform import GRID, Deformation, deform, draw_deformation
from pipeline_training.errors import VolumeError

HEART = (22.0, 16.0, 33.0)


def still(**changes: object) -> Deformation:
    none = Deformation((1.0, 1.0, 1.0), np.zeros((3, GRID, GRID, GRID), np.float32), HEART, 1.0, 12.0)
    return replace(none, **changes)  # type: ignore[arg-type]  # the values are those of the fields


def test_no_deformation_changes_nothing(anatomy: Anatomy) -> None:
    same = deform(anatomy, still())
    np.testing.assert_array_equal(same.organs.parts, anatomy.organs.parts)
    np.testing.assert_array_equal(same.regions[0].parts, anatomy.regions[0].parts)
    assert np.abs(same.hu.astype(int) - anatomy.hu).max() <= 1
    np.testing.assert_allclose(same.centre, anatomy.centre)
    assert same.known() == anatomy.known()


@pytest.mark.parametrize(("growth", "low", "high"), [(1.4, 1.1, 1.4), (0.85, 0.85, 0.96)])
def test_heart_grows_and_shrinks_by_about_half_the_factor(
    anatomy: Anatomy, growth: float, low: float, high: float
) -> None:
    before, after = (
        np.count_nonzero(body.organs.mask("heart")) ** (1 / 3)
        for body in (anatomy, deform(anatomy, still(heart_growth=growth)))
    )
    assert low < after / before < high


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_stretch_scales_its_axis_alone(anatomy: Anatomy, axis: int) -> None:
    factors = [1.0, 1.0, 1.0]
    factors[axis] = 0.9
    before, after = (
        [float(np.ptp(places)) + 1 for places in np.nonzero(body.organs.mask("lung"))]
        for body in (anatomy, deform(anatomy, still(stretch=tuple(factors))))
    )
    expected = [length * factor for length, factor in zip(before, factors, strict=True)]
    np.testing.assert_allclose(after, expected, atol=1.5)


def test_bend_takes_voxels_from_where_it_says(anatomy: Anatomy) -> None:
    bend = np.zeros((3, GRID, GRID, GRID), np.float32)
    bend[0] = 4.0
    moved = deform(anatomy, still(bend_voxels=bend))
    np.testing.assert_array_equal(moved.organs.parts[:, :, :-4], anatomy.organs.parts[:, :, 4:])
    assert not moved.organs.parts[:, :, -4:].any()


def test_same_seed_draws_the_same_body(anatomy: Anatomy) -> None:
    first, second, other = (draw_deformation(anatomy, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.stretch == second.stretch != other.stretch
    np.testing.assert_array_equal(first.bend_voxels, second.bend_voxels)
    np.testing.assert_allclose(first.heart_centre, HEART, atol=1.0)


def test_volume_without_lungs_is_refused(anatomy: Anatomy) -> None:
    bend = np.full((3, GRID, GRID, GRID), 500.0, np.float32)
    with pytest.raises(VolumeError, match="holds no lung"):
        deform(anatomy, still(bend_voxels=bend))
