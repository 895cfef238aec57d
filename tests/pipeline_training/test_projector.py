import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.errors import VolumeError
from pipeline_training.projector import WATER_PER_MM, Pose, attenuation_per_mm, project

SPACING_MM, VOXELS = 2.5, 61
CENTRE = (VOXELS - 1) / 2
SIZE, FIELD_MM = 96, 250.0
RADIUS_MM = 21.0
CHORD_MM = 16.0
"""A ray belongs to the silhouette from this path on: its edge is then no matter of single voxels."""
Point = tuple[float, float, float]

PA = Pose(field_mm=FIELD_MM)
AP = Pose(1000.0, 850.0, azimuth_deg=180.0, field_mm=FIELD_MM)
AP_MIRRORED = Pose(1000.0, 850.0, azimuth_deg=180.0, field_mm=FIELD_MM, mirrored=True)
FROM_RIGHT = Pose(azimuth_deg=90.0, field_mm=FIELD_MM)
FROM_LEFT = Pose(azimuth_deg=-90.0, field_mm=FIELD_MM)


def anatomy_of(mask: npt.NDArray[np.bool_], hu: int = 0) -> Anatomy:
    """Return air with one structure of that density; the poses' centre is the volume's."""
    layer = Layer.empty(mask.shape)
    layer.add(mask, "thing")
    volume = np.where(mask, hu, -1000).astype(np.int16)
    return Anatomy("x", volume, layer, (), np.array([1, 1]), SPACING_MM, (CENTRE, CENTRE, CENTRE))


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
@pytest.mark.parametrize(
    ("pose", "across", "towards_source"),
    [
        (PA, (1, 0), (0, 1)),
        (AP, (-1, 0), (0, -1)),
        (AP_MIRRORED, (1, 0), (0, -1)),
        (FROM_RIGHT, (0, 1), (-1, 0)),
        (FROM_LEFT, (0, -1), (1, 0)),
    ],
)
def test_ball_lands_where_magnification_puts_it(
    pose: Pose, across: tuple[int, int], towards_source: tuple[int, int], at: Point
) -> None:
    left, posterior, superior = at
    column_mm = across[0] * left + across[1] * posterior
    depth_mm = pose.source_to_centre_mm - (towards_source[0] * left + towards_source[1] * posterior)
    scale = pose.source_to_detector_mm / depth_mm * SIZE / FIELD_MM
    column, row, radius = pixels(silhouette(ball(at), pose))
    assert column == pytest.approx(SIZE / 2 + column_mm * scale, abs=0.5)
    assert row == pytest.approx(SIZE / 2 - superior * scale, abs=0.5)
    assert radius == pytest.approx(np.sqrt(RADIUS_MM**2 - CHORD_MM**2 / 4) * scale, abs=0.5)


def test_shift_moves_the_central_ray() -> None:
    moved = Pose(shift_mm=(30.0, -20.0), field_mm=FIELD_MM)
    column, row, _ = pixels(silhouette(ball((30.0, 0.0, -20.0)), moved))
    assert (column, row) == pytest.approx((SIZE / 2, SIZE / 2), abs=0.5)


def test_beam_towards_the_feet_lifts_what_is_in_front() -> None:
    front = ball((0.0, -40.0, 0.0))
    _, level, _ = pixels(silhouette(front, PA))
    _, tilted, _ = pixels(silhouette(front, Pose(tilt_deg=10.0, field_mm=FIELD_MM)))
    assert tilted < level - 2


def test_roll_turns_the_picture() -> None:
    column, row, _ = pixels(silhouette(ball((40.0, 0.0, 0.0)), Pose(roll_deg=90.0, field_mm=FIELD_MM)))
    assert abs(column - SIZE / 2) < 0.5
    assert abs(row - SIZE / 2) > 10


@pytest.mark.parametrize(("pose", "depth_mm"), [(PA, 62.5), (FROM_LEFT, 102.5)])
def test_path_through_a_box_is_its_depth(pose: Pose, depth_mm: float) -> None:
    projection = project(block((50.0, 30.0, 50.0)), pose, SIZE)
    middle = projection.lengths_mm[0][1][SIZE // 2 - 2 : SIZE // 2 + 2, SIZE // 2 - 2 : SIZE // 2 + 2]
    np.testing.assert_allclose(middle, depth_mm, rtol=0.02)


def test_water_absorbs_by_its_depth_and_air_not_at_all() -> None:
    projection = project(block((50.0, 30.0, 50.0)), PA, SIZE)
    assert projection.attenuation[1, SIZE // 2, SIZE // 2] == pytest.approx(62.5 * WATER_PER_MM, rel=0.02)
    assert projection.attenuation[:, 2, 2].sum() == pytest.approx(0, abs=1e-6)


def test_attenuation_grows_with_density_and_calcium_counts_more() -> None:
    per_mm = attenuation_per_mm(np.array([-1000, 0, 150, 1150], np.int16))
    np.testing.assert_allclose(per_mm / WATER_PER_MM, [0, 1, 1.15, 2.45], rtol=1e-6)


def test_rays_beside_the_volume_meet_nothing() -> None:
    wide = project(block((50.0, 30.0, 50.0)), Pose(field_mm=2000.0), 32)
    assert wide.lengths_mm[0][:, 0, 0].sum() == 0
    assert np.isfinite(wide.attenuation).all()


def test_patient_stands_between_source_and_detector() -> None:
    with pytest.raises(VolumeError, match="between source and detector"):
        Pose(source_to_detector_mm=1000.0, source_to_centre_mm=1000.0)
