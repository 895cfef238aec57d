"""Voxels of bone go to the seed with the shortest way through bone, not through the air."""

import numpy as np

from pipeline_training.labelling.bone_paths import nearest_seed, points_along


def test_way_leads_through_bone_only() -> None:
    bone = np.zeros((5, 12, 20), np.bool_)
    bone[2, 2, 2:18] = bone[2, 8, 2:18] = bone[2, 2:9, 17] = True  # a U, its arms six rows apart
    bone[4, 10, 10] = True
    seeds = np.zeros(bone.shape, np.uint8)
    seeds[2, 2, 2], seeds[2, 8, 12] = 1, 7
    numbers, lengths = nearest_seed(bone, seeds, 2.0)
    assert numbers[2, 2, 10] == 1, "nearer to the other seed through the air"
    assert numbers[2, 8, 2] == 7
    assert lengths[2, 2, 10] == 16.0
    assert numbers[4, 10, 10] == 0
    assert np.isinf(lengths[4, 10, 10])


def test_points_follow_each_other_along_a_bone() -> None:
    bone = np.zeros((5, 5, 40), np.bool_)
    bone[1:4, 1:4, :] = True
    seeds = np.zeros(bone.shape, np.uint8)
    seeds[:, :, 0] = 3 * bone[:, :, 0]
    numbers, lengths = nearest_seed(bone, seeds, 1.0)
    found = points_along(numbers, lengths, every_mm=10, reach_mm=30, spacing_mm=1.0)
    assert list(found) == [(3, 0), (3, 1), (3, 2), (3, 3)]
    np.testing.assert_allclose(found[3, 2], (2, 2, 20), atol=0.5)
