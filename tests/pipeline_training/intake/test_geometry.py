"""Voxels land where they lie, whatever the grid that they were stored on."""

import numpy as np
import pytest

from pipeline_training.errors import VolumeError
from pipeline_training.intake.geometry import Grid, Placed, Real, resample, working_grid
from pipeline_training.intake.labelling import Painter, onto

FIRST_MM = np.array([-30.0, 12.0, 105.0])


def placed(voxels: Real, axes: Real) -> Placed:
    """Return voxels of which the axes point along the columns of `axes`, mm."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, FIRST_MM
    return Placed(voxels, matrix)


def blob_at(volume: Placed, centre_mm: tuple[float, float, float]) -> Placed:
    """Return a ball of 12 mm, soft at its edge, about a place in the patient."""
    indices = np.indices(volume.voxels.shape).reshape(3, -1)
    places = volume.to_patient[:3, :3] @ indices + volume.to_patient[:3, 3:]
    distance = np.linalg.norm(places - np.reshape(centre_mm, (3, 1)), axis=0)
    return Placed(np.clip(12 - distance, 0, 4).reshape(volume.voxels.shape), volume.to_patient)


def turned(degrees: float, spacing_mm: tuple[float, float, float]) -> Real:
    angle = np.radians(degrees)
    about_left = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    about_superior = about_left[[1, 2, 0]][:, [1, 2, 0]]
    axes: Real = about_left @ about_superior * spacing_mm
    return axes


@pytest.mark.parametrize("degrees", [0.0, 0.2, 7.0, 30.0, 80.0, 135.0])
@pytest.mark.parametrize("spacing_mm", [(1.5, 1.5, 1.5), (0.7, 0.7, 3.0), (2.5, 1.0, 1.2)])
def test_a_ball_lies_at_its_place_from_every_grid(
    degrees: float, spacing_mm: tuple[float, float, float]
) -> None:
    shape = np.round(np.array([90.0, 80.0, 100.0]) / spacing_mm).astype(int)
    empty = placed(np.zeros(shape), turned(degrees, spacing_mm))
    middle = empty.to_patient @ [*(shape / 2), 1]
    volume = blob_at(empty, (middle[0], middle[1], middle[2]))
    grid = working_grid(volume)
    found = np.asarray(resample(volume, grid, order=1, outside=0), np.float64)
    centre = [(found * axis).sum() / found.sum() for axis in np.indices(found.shape)]
    np.testing.assert_allclose(grid.to_patient @ [*centre, 1], middle, atol=0.1)
    volume_ml = volume.voxels.sum() * np.prod(spacing_mm)
    assert found.sum() * 1.5**3 == pytest.approx(volume_ml, rel=0.02)


def test_grid_of_the_working_spacing_keeps_every_voxel() -> None:
    voxels = np.random.default_rng(0).normal(size=(5, 6, 7))
    volume = placed(voxels, np.array([[0, 0, -1.5], [1.5, 0, 0], [0, -1.5, 0]]))
    grid = working_grid(volume)
    assert grid.shape == (6, 5, 7)
    found = resample(volume, grid, order=1, outside=0)
    np.testing.assert_array_equal(found, voxels.transpose(1, 0, 2)[::-1, :, ::-1])


def test_nearest_voxel_keeps_the_type_and_fills_outside() -> None:
    volume = placed(np.full((4, 4, 4), 7, np.uint8).astype(np.float64), np.eye(3) * 3.0)
    labels = Placed(volume.voxels.astype(np.uint8), volume.to_patient)
    wide = Grid((20, 20, 20), (FIRST_MM[0] - 9, FIRST_MM[1] - 9, FIRST_MM[2] - 9))
    found = resample(labels, wide, order=0, outside=0)
    assert found.dtype == np.uint8
    assert np.count_nonzero(found) == 8**3
    assert found[6, 6, 6] == 7


def test_labels_beside_the_grid_are_refused() -> None:
    volume = placed(np.ones((20, 20, 20)), np.eye(3) * 1.5)
    beside = Grid((20, 20, 20), (FIRST_MM[0] + 24, FIRST_MM[1], FIRST_MM[2]))
    with pytest.raises(VolumeError, match=r"a: b\.nii lies outside the CT: 5 of 27 ml are within it"):
        onto("a", "b.nii", volume, beside)


@pytest.mark.parametrize("matrix", [np.full((4, 4), np.nan), np.zeros((4, 4))])
def test_voxels_without_a_place_are_refused(
    matrix: Real,
) -> None:
    with pytest.raises(VolumeError, match="not finite, or its axes lie in one plane"):
        Placed(np.zeros((2, 2, 2)), matrix)


def test_of_two_structures_the_smaller_one_stays_in_either_order() -> None:
    large, small = np.zeros((4, 4, 4), np.bool_), np.zeros((4, 4, 4), np.bool_)
    large[:3], small[1] = True, True
    for order in (("large", "small"), ("small", "large")):
        painter = Painter("a", large.shape)
        for name in order:
            painter.paint(name, {"large": large, "small": small}[name])
        painter.paint("none", np.zeros_like(large))
        found = painter.labelling()
        numbers = {name: number for number, name in found.names.items()}
        np.testing.assert_array_equal(found.labels == numbers["small"], small)
        np.testing.assert_array_equal(found.labels == numbers["large"], large & ~small)
        assert found.vocabulary == {"large", "small", "none"}


def test_name_that_comes_twice_is_refused() -> None:
    painter = Painter("a", (1, 1, 1))
    painter.paint("liver", np.ones((1, 1, 1), np.bool_))
    with pytest.raises(VolumeError, match="a: two labels are named liver"):
        painter.paint("liver", np.zeros((1, 1, 1), np.bool_))


def test_what_is_finer_than_the_grid_is_averaged_not_picked() -> None:
    noise = np.random.default_rng(0).normal(0, 100, (60, 60, 60))
    volume = placed(noise, np.eye(3) * 0.5)
    found = np.asarray(resample(volume, working_grid(volume), order=1, outside=0), np.float64)
    assert found[2:-2, 2:-2, 2:-2].std() < 20
