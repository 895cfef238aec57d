from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pipeline_training.anatomy import Anatomy
from pipeline_training.errors import VolumeError
from pipeline_training.warp import Field, least_jacobian, pulled, warp

SHAPE = (60, 40, 60)
SPACING_MM = 6.0


def field(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Field:
    voxels: npt.NDArray[np.float32] = np.zeros((3, 4, 4, 4), np.float32)
    voxels[0], voxels[1], voxels[2] = x, y, z
    return Field(voxels)


def test_motions_follow_one_another_and_move_hu_and_parts_alike(anatomy: Anatomy) -> None:
    moved = warp(anatomy, [field(x=2.0), field(z=3.0)])
    np.testing.assert_array_equal(moved.organs.parts[:-3, :, :-2], anatomy.organs.parts[3:, :, 2:])
    np.testing.assert_array_equal(moved.regions[0].parts[:-3, :, :-2], anatomy.regions[0].parts[3:, :, 2:])
    np.testing.assert_array_equal(moved.hu[:-3, :, :-2], anatomy.hu[3:, :, 2:])
    assert not moved.organs.parts[-3:].any()


def test_second_motion_sees_the_place_that_the_first_one_leads_to() -> None:
    steps = np.zeros((3, 2, 2, 3), np.float32)
    steps[2, :, :, 2] = 6.0
    at = pulled(SHAPE, [field(x=29.5), Field(steps)], SPACING_MM)
    np.testing.assert_allclose(at[0, 0, 0].numpy(), [29.5, 0.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(at[0, 0, 29].numpy(), [58.5, 0.0, 6.0 * 29 / 29.5], atol=1e-3)


def test_coarse_motion_is_refined_between_its_points(anatomy: Anatomy) -> None:
    fine = replace(anatomy, spacing_mm=1.5)  # computed at every fourth voxel
    np.testing.assert_array_equal(
        warp(fine, [field(y=2.0)]).organs.parts, warp(anatomy, [field(y=2.0)]).organs.parts
    )


def test_jacobian_is_one_for_a_shift_and_below_zero_for_a_fold() -> None:
    assert least_jacobian(SHAPE, [field(1.0, 2.0, 3.0)], SPACING_MM) == pytest.approx(1.0, abs=1e-4)
    folded = np.zeros((3, 2, 2, 2), np.float32)
    folded[0, :, :, 0], folded[0, :, :, 1] = 45.0, -45.0
    assert least_jacobian(SHAPE, [Field(folded)], SPACING_MM) == pytest.approx(1 - 90 / 59, abs=1e-3)
    squeezed = Field(folded).softened(1 / 3)
    assert least_jacobian(SHAPE, [squeezed], SPACING_MM) == pytest.approx(1 - 30 / 59, abs=1e-3)


def test_body_without_lungs_is_refused(anatomy: Anatomy) -> None:
    with pytest.raises(VolumeError, match="holds no lung"):
        warp(anatomy, [field(x=900.0)])


def test_place_outside_takes_the_nearest_hu(anatomy: Anatomy) -> None:
    moved = warp(anatomy, [field(y=-5.0)])
    np.testing.assert_array_equal(moved.hu[:, 0], anatomy.hu[:, 0])
    assert torch.equal(torch.from_numpy(moved.hu[:, 5]), torch.from_numpy(anatomy.hu[:, 0]))
