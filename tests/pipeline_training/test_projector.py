from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.errors import VolumeError
from pipeline_training.geometry import POSES, Pose, cast_rays, central_direction
from pipeline_training.physics import BONE_DENSITY, CT_KEV, bone_per_mm, materials, water_per_mm
from pipeline_training.projector import Projector, project

SPACING_MM, VOXELS = 2.5, 61
CENTRE = (VOXELS - 1) / 2
SIZE, FIELD_MM = 96, 250.0
RADIUS_MM = 21.0
CHORD_MM = 16.0
"""A ray belongs to the silhouette from this path on: its edge is then no matter of single voxels."""
Point = tuple[float, float, float]

HALF = float(np.sqrt(0.5))


@dataclass(frozen=True)
class Stand:
    """A pose, and where (left, posterior, superior) shows in it, derived by hand."""

    pose: Pose
    across: Point
    down: Point
    towards_source: Point

    def place(self, at: Point) -> tuple[float, float, float]:
        """Return column and row in pixels, and pixels for each mm at that depth."""
        across, down, nearer = (
            float(np.dot(axis, at)) for axis in (self.across, self.down, self.towards_source)
        )
        shift_right, shift_up = self.pose.shift_mm
        depth = self.pose.source_to_centre_mm - nearer
        scale = self.pose.source_to_detector_mm / depth * SIZE / FIELD_MM
        return SIZE / 2 + (across - shift_right) * scale, SIZE / 2 + (down + shift_up) * scale, scale


def posed(view: str, **changes: Any) -> Pose:
    return replace(POSES[view], field_mm=FIELD_MM, **changes)


FEET: Point = (0, 0, -1)
TILT, ROLL = float(np.radians(12.0)), float(np.radians(20.0))
STANDS = {
    "PA": Stand(posed("PA"), (1, 0, 0), FEET, (0, 1, 0)),
    "AP": Stand(posed("AP"), (1, 0, 0), FEET, (0, -1, 0)),
    "AP seen from behind": Stand(posed("AP", mirrored=False), (-1, 0, 0), FEET, (0, -1, 0)),
    "LL": Stand(posed("LL"), (0, 1, 0), FEET, (-1, 0, 0)),
    "RL": Stand(posed("RL"), (0, -1, 0), FEET, (1, 0, 0)),
    "LAO": Stand(posed("LAO"), (HALF, HALF, 0), FEET, (-HALF, HALF, 0)),
    "RAO": Stand(posed("RAO"), (HALF, -HALF, 0), FEET, (HALF, HALF, 0)),
    "PA, shifted": Stand(posed("PA", shift_mm=(15.0, -10.0)), (1, 0, 0), FEET, (0, 1, 0)),
    "PA, tilted": Stand(
        posed("PA", tilt_deg=12.0),
        (1, 0, 0),
        (0, np.sin(TILT), -np.cos(TILT)),
        (0, np.cos(TILT), np.sin(TILT)),
    ),
    "PA, rolled": Stand(
        posed("PA", roll_deg=20.0),
        (np.cos(ROLL), 0, -np.sin(ROLL)),
        (-np.sin(ROLL), 0, -np.cos(ROLL)),
        (0, 1, 0),
    ),
}


def anatomy_of(mask: npt.NDArray[np.bool_], hu: int = 0) -> Anatomy:
    """Return air with one structure of that density; the poses' centre is the volume's."""
    layer = Layer.empty(mask.shape)
    layer.add(mask, "thing")
    volume = np.where(mask, hu, -1000).astype(np.int16)
    return Anatomy("x", volume, layer, (), np.array([0, 0]), SPACING_MM, (CENTRE, CENTRE, CENTRE))


def grid_mm() -> npt.NDArray[np.float64]:
    """Return (left, posterior, superior) of every voxel in mm about the centre."""
    z, y, x = np.mgrid[:VOXELS, :VOXELS, :VOXELS]
    return (np.stack([x, y, z]) - CENTRE) * SPACING_MM


def ball(at_mm: Point) -> Anatomy:
    away = grid_mm() - np.reshape(at_mm, (3, 1, 1, 1))
    return anatomy_of(np.linalg.norm(away, axis=0) <= RADIUS_MM)


def block(half_mm: Point) -> Anatomy:
    inside = np.abs(grid_mm()) <= np.reshape(half_mm, (3, 1, 1, 1))
    return anatomy_of(np.asarray(inside.all(axis=0)))


def silhouette(anatomy: Anatomy, pose: Pose) -> npt.NDArray[np.bool_]:
    seen: npt.NDArray[np.bool_] = project(anatomy, pose, SIZE, step_mm=2.5).lengths_mm[0][1] > CHORD_MM
    return seen


def pixels(mask: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return column and row of the centre, and the radius of a disc of the same area, in pixels."""
    rows, columns = np.nonzero(mask)
    return columns.mean() + 0.5, rows.mean() + 0.5, float(np.sqrt(len(rows) / np.pi))


@pytest.mark.parametrize("at", [(0.0, 0.0, 0.0), (30.0, 20.0, -25.0), (-40.0, -30.0, 40.0)])
@pytest.mark.parametrize("name", STANDS)
def test_ball_lands_where_magnification_puts_it(name: str, at: Point) -> None:
    column, row, scale = STANDS[name].place(at)
    found = pixels(silhouette(ball(at), STANDS[name].pose))
    assert found[:2] == pytest.approx((column, row), abs=0.5)
    assert found[2] == pytest.approx(np.sqrt(RADIUS_MM**2 - CHORD_MM**2 / 4) * scale, abs=0.5)


def test_nearer_to_the_source_is_larger() -> None:
    back, front = (pixels(silhouette(ball((0.0, y, 0.0)), posed("AP")))[2] for y in (40.0, -40.0))
    assert front / back == pytest.approx((850 + 40) / (850 - 40), rel=0.03)


@pytest.mark.parametrize("name", ["PA", "AP", "LL", "LAO", "PA, tilted"])
def test_chords_of_a_ball_follow_the_closed_form(name: str) -> None:
    stand, at = STANDS[name], (10.0, -15.0, 20.0)
    rays = cast_rays(stand.pose, SIZE)
    towards = np.asarray(at) - rays.origin
    along = (towards * rays.direction).sum(axis=1)
    beside = (towards**2).sum(axis=1) - along**2
    chords = 2 * np.sqrt(np.clip(RADIUS_MM**2 - beside, 0, None)).reshape(SIZE, SIZE)
    lengths = project(ball(at), stand.pose, SIZE).lengths_mm[0][1]
    assert lengths.sum() == pytest.approx(chords.sum(), rel=0.02)
    assert np.abs(lengths - chords)[chords > CHORD_MM].mean() < SPACING_MM


@pytest.mark.parametrize(
    ("pose", "depth_mm"), [(posed("PA"), 62.5), (posed("RL"), 102.5), (posed("PA", parallel=True), 62.5)]
)
def test_path_through_a_box_is_its_depth(pose: Pose, depth_mm: float) -> None:
    projection = project(block((50.0, 30.0, 50.0)), pose, SIZE)
    middle = projection.lengths_mm[0][1][SIZE // 2 - 2 : SIZE // 2 + 2, SIZE // 2 - 2 : SIZE // 2 + 2]
    np.testing.assert_allclose(middle, depth_mm, rtol=0.02)


def test_water_absorbs_by_its_depth_and_air_not_at_all() -> None:
    projection = project(block((50.0, 30.0, 50.0)), posed("PA"), SIZE)
    middle = projection.attenuation[0, SIZE // 2, SIZE // 2], projection.water_mm[0, SIZE // 2, SIZE // 2]
    assert middle == pytest.approx((62.5 * water_per_mm(CT_KEV), 62.5), rel=0.02)
    assert projection.attenuation[:, 2, 2].sum() == pytest.approx(0, abs=1e-6)
    assert not projection.bone_mm.any()


def test_cortical_bone_is_told_from_water() -> None:
    bone = anatomy_of(np.asarray((np.abs(grid_mm()) <= 40).all(axis=0)), hu=round(1000 * (BONE_DENSITY - 1)))
    projection = project(bone, posed("PA"), SIZE)
    middle = (0, SIZE // 2, SIZE // 2)
    assert projection.bone_mm[middle] == pytest.approx(82.5, rel=0.02)
    assert projection.water_mm[middle] == pytest.approx(0, abs=2.5)  # two faces, mixed with air


def test_parallel_rays_sum_the_columns_of_the_volume() -> None:
    noise = np.random.default_rng(1).integers(-800, 1500, (12, 9, 12)).astype(np.int16)
    body = Anatomy("x", noise, Layer.empty(noise.shape), (), np.array([0]), 2.0, (5.5, 4.0, 5.5))
    seen = project(body, Pose(field_mm=24.0, parallel=True), 12).attenuation[0]
    water, bone = (part.numpy().sum(axis=1)[::-1] * 2.0 for part in materials(torch.from_numpy(noise)))
    expected = water * water_per_mm(CT_KEV) + bone * bone_per_mm(CT_KEV)
    np.testing.assert_allclose(seen, expected, rtol=1e-5)


def cubes(seed: int = 0) -> Anatomy:
    """Return noise with two layers that cut each other, in tissues of their own."""
    numbers = np.random.default_rng(seed)
    shape = (24, 20, 28)
    organs = np.kron(numbers.integers(0, 4, (6, 5, 7)), np.ones((4, 4, 4))).astype(np.uint8)
    halves = np.zeros(shape, np.uint8)
    halves[:, :, 14:], halves[12:] = 1, 2
    volume = numbers.integers(-900, 1200, shape).astype(np.int16)
    layers = Layer(organs, {}, 3), Layer(halves, {}, 2)
    return Anatomy("x", volume, layers[0], layers[1:], np.array([0, 1, 2, 2]), 4.0, (11.5, 9.5, 13.5))


OBLIQUE = Pose(azimuth_deg=25.0, tilt_deg=8.0, roll_deg=5.0, field_mm=130.0)


def test_every_layer_sums_up_to_the_same_whole() -> None:
    organs, halves = project(cubes(), OBLIQUE, 40).lengths_mm
    assert organs.shape == (4, 40, 40)
    np.testing.assert_allclose(organs.sum(axis=0), halves.sum(axis=0), rtol=1e-5)


def test_the_whole_is_the_way_through_the_box() -> None:
    body = cubes()
    rays = cast_rays(OBLIQUE, 40)
    half = np.array(body.hu.shape[::-1]) / 2 * body.spacing_mm
    faces = np.stack([(-half - rays.origin) / rays.direction, (half - rays.origin) / rays.direction])
    chords = np.clip(faces.max(axis=0).min(axis=1) - faces.min(axis=0).max(axis=1), 0, None)
    whole = project(body, OBLIQUE, 40).lengths_mm[0].sum(axis=0)
    assert np.abs(whole.ravel() - chords).max() < 2 * body.spacing_mm


@pytest.mark.parametrize("step_mm", [2.0, 1.3, 0.7])
def test_attenuation_is_sampled_linearly_between_voxels(step_mm: float) -> None:
    body = cubes()
    rays = cast_rays(OBLIQUE, 8)
    planes = int(np.ceil(body.spacing_mm / abs(central_direction(OBLIQUE)[1]) / step_mm))
    level = (np.arange(20 * planes) + 0.5) / planes - 0.5
    origin = rays.origin / body.spacing_mm + np.array(body.centre[::-1])
    along = (level - origin[:, 1:2]) / rays.direction[:, 1:2]
    x, y, z = (origin[:, i : i + 1] + along * rays.direction[:, i : i + 1] for i in range(3))
    density = np.pad(np.clip(body.hu / 1000.0 + 1, 0, None), ((1, 1), (0, 0), (1, 1)))
    inside = (np.abs(z - 11.5) < 12) & (np.abs(x - 13.5) < 14)
    seen = (inside * ndimage.map_coordinates(density, [z + 1, y, x + 1], order=1, mode="nearest")).sum(axis=1)
    steps = body.spacing_mm / planes / np.abs(rays.direction[:, 1])
    expected = (seen * steps * water_per_mm(CT_KEV)).reshape(8, 8)
    found = project(body, OBLIQUE, 8, step_mm=step_mm).attenuation.sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-4)


def test_attenuation_of_the_parts_is_that_of_the_undivided_body() -> None:
    body = cubes()
    plain = replace(body, organs=Layer.empty(body.hu.shape), regions=(), tissue_of_part=np.array([0]))
    divided, whole = (project(one, OBLIQUE, 40).attenuation.sum(axis=0) for one in (body, plain))
    np.testing.assert_allclose(divided, whole, rtol=1e-4, atol=1e-5)
    assert (project(body, OBLIQUE, 40).attenuation[:3].max(axis=(1, 2)) > 0.1).all()


def test_image_and_masks_share_their_rays() -> None:
    projection = project(ball((30.0, 20.0, -25.0)), posed("RAO", tilt_deg=5.0, roll_deg=7.0), SIZE)
    dense = projection.attenuation.sum(axis=0) > CHORD_MM * water_per_mm(CT_KEV)
    inside = projection.lengths_mm[0][1] > CHORD_MM
    assert (dense & inside).sum() / (dense | inside).sum() > 0.94


def test_many_poses_together_are_what_each_is_alone() -> None:
    poses = [OBLIQUE, POSES["LL"], POSES["PA"], POSES["LAO"], POSES["AP"].as_parallel()]
    projector = Projector(cubes())
    for pose, one in zip(poses, projector.project(poses, 24), strict=True):
        alone = projector.project([pose], 24)[0]
        np.testing.assert_allclose(one.water_mm, alone.water_mm, rtol=1e-4, atol=1e-4)
        for together, single in zip(one.lengths_mm, alone.lengths_mm, strict=True):
            np.testing.assert_allclose(together, single, rtol=1e-5)


def test_finer_steps_change_little() -> None:
    coarse, fine = (
        project(cubes(), OBLIQUE, 40, step_mm=step).attenuation.sum(axis=0) for step in (4.0, 0.5)
    )
    assert np.corrcoef(coarse.ravel(), fine.ravel())[0, 1] > 0.99
    assert coarse.sum() == pytest.approx(fine.sum(), rel=0.01)


def test_rays_beside_the_volume_meet_nothing() -> None:
    wide = project(block((50.0, 30.0, 50.0)), Pose(field_mm=2000.0), 32)
    assert wide.lengths_mm[0][:, 0, 0].sum() == 0
    assert np.isfinite(wide.attenuation).all()


def test_source_inside_the_body_is_refused() -> None:
    with pytest.raises(VolumeError, match="the source lies between"):
        project(cubes(), Pose(1000.0, 10.0), 16)
