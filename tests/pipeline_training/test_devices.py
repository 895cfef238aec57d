from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.devices import Device, plate, project_devices, smooth_course, to_detector, tube
from pipeline_training.fittings import FITTINGS, NUMBERS, Fitting, draw_fittings, fit
from pipeline_training.geometry import POSES, Pose
from pipeline_training.landmarks import find_landmarks
from pipeline_training.projector import project

SIZE = 160


def ball(radius_mm: float, centre: tuple[float, float, float], per_mm: float) -> Device:
    axis = np.arange(-radius_mm, radius_mm + 0.01, 0.5)
    points = np.stack([n.ravel() for n in np.meshgrid(axis, axis, axis)], axis=1)
    inside = points[np.linalg.norm(points, axis=1) <= radius_mm]
    return Device("ball", inside + np.array(centre), np.full(len(inside), per_mm * 0.5**3))


@pytest.mark.parametrize("view", ["PA", "AP", "LL", "LAO"])
def test_device_lies_where_the_same_solid_in_the_volume_does(anatomy: Anatomy, view: str) -> None:
    pose = replace(POSES[view], field_mm=320.0, tilt_deg=5.0, roll_deg=7.0, shift_mm=(10.0, -12.0))
    z, y, x = (int(c) for c in anatomy.centre)
    only = replace(anatomy, hu=np.full_like(anatomy.hu, -1000))
    at = (z + 9, y - 6, x + 8)
    only.hu[at] = 1000
    seen = project(only, pose, SIZE, step_mm=1.0).attenuation.sum(axis=0)
    place = (np.array(at) - np.array(anatomy.centre))[::-1] * anatomy.spacing_mm
    drawn = project_devices([ball(3.0, tuple(place), 0.04)], pose, SIZE)
    for axis in (0, 1):
        grid = np.arange(SIZE)
        centres = [np.average(grid, weights=image.sum(axis=1 - axis)) for image in (seen, drawn)]
        assert centres[0] == pytest.approx(centres[1], abs=0.4)


def test_integral_through_a_ball_is_its_diameter_times_its_attenuation() -> None:
    image = project_devices([ball(12.0, (0, 0, 0), 0.05)], Pose(field_mm=300.0), SIZE)
    assert image.max() == pytest.approx(24 * 0.05, rel=0.06)


def test_thin_wire_absorbs_as_much_as_its_volume() -> None:
    course = np.array([[-50.0, 0, 0], [50.0, 0, 0]])
    image = project_devices([tube("wire", course, 0.5, 0.6)], Pose(parallel=True, field_mm=200.0), SIZE)
    assert image.sum() * (200 / SIZE) ** 2 == pytest.approx(np.pi * 0.25 * 100 * 0.6, rel=0.02)
    rows = np.flatnonzero(image.sum(axis=1) > 1e-6)
    assert rows.size <= 4


def test_hollow_tube_is_denser_at_its_edges() -> None:
    course = np.array([[-60.0, 0, 0], [60.0, 0, 0]])
    pose = Pose(parallel=True, field_mm=100.0)
    profile = project_devices([tube("tube", course, 8.0, 0.1, wall_mm=1.5)], pose, SIZE)[:, SIZE // 2]
    assert profile[SIZE // 2 - 12 : SIZE // 2 - 9].max() > 1.5 * profile[SIZE // 2 - 2 : SIZE // 2 + 2].mean()


def test_smooth_course_passes_its_knots() -> None:
    knots = np.array([[0.0, 0, 0], [10, 0, 5], [12, 4, 20], [0, 0, 40]])
    course = smooth_course(knots, spacing_mm=0.5)
    assert all(np.linalg.norm(course - knot, axis=1).min() < 0.3 for knot in knots)


def test_plate_has_its_volume() -> None:
    box = plate("box", np.zeros(3), np.diag([20.0, 10.0, 3.0]), 0.3, rounding=2.0)
    assert box.absorbed_mm2.sum() == pytest.approx(np.pi * 20 * 10 * 6 * 0.3, rel=0.03)


def test_what_is_outside_the_field_leaves_no_trace() -> None:
    image = project_devices([ball(5.0, (900.0, 0, 0), 1.0)], Pose(), SIZE)
    assert not image.any()
    at, magnification = to_detector(np.zeros((1, 3)), Pose(field_mm=400.0), SIZE)
    np.testing.assert_allclose(at, [[SIZE / 2 - 0.5, SIZE / 2 - 0.5]])
    assert magnification[0] == pytest.approx(1800 / 1600)


@pytest.mark.parametrize("name", FITTINGS)
def test_fitting_lies_in_the_body_and_follows_its_numbers(anatomy: Anatomy, name: str) -> None:
    pictures: list[npt.NDArray[np.float32]] = []
    for number in (0.1, 0.1, 0.8):
        devices = fit(anatomy, [Fitting(name, (number,) * NUMBERS)])
        assert devices
        pictures.append(project_devices(devices, Pose(field_mm=450.0), SIZE))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    assert 0.05 < pictures[0].max() < 30
    assert (pictures[0] > 0).mean() < 0.2


def test_tracheal_tube_ends_above_the_carina(anatomy: Anatomy) -> None:
    body = find_landmarks(anatomy)
    for number in (0.0, 0.99):
        (wall, *_) = fit(anatomy, [Fitting("tracheal tube", (number,) * NUMBERS)])
        assert wall.points_mm[:, 2].min() > body.airway[-1, 2]


def test_drawn_fittings_follow_the_generator() -> None:
    drawn = [draw_fittings(np.random.default_rng(seed)) for seed in range(80)]
    assert drawn == [draw_fittings(np.random.default_rng(seed)) for seed in range(80)]
    assert 0.25 < np.mean([bool(each) for each in drawn]) < 0.65
    assert {fitting.name for each in drawn for fitting in each} == set(FITTINGS)
