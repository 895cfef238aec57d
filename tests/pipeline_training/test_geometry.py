import numpy as np
import pytest

from pipeline_training.errors import VolumeError
from pipeline_training.geometry import POSES, Pose, cast_rays, central_direction, detector_points

TOWARDS = {
    "PA": (0, -1, 0),
    "AP": (0, 1, 0),
    "LL": (1, 0, 0),
    "RL": (-1, 0, 0),
    "LAO": (np.sqrt(0.5), -np.sqrt(0.5), 0),
    "RAO": (-np.sqrt(0.5), -np.sqrt(0.5), 0),
}
"""Where the beam goes, as (left, posterior, superior): to the side that lies at the detector."""


@pytest.mark.parametrize("view", POSES)
def test_beam_of_a_view_goes_to_the_side_it_is_named_after(view: str) -> None:
    np.testing.assert_allclose(central_direction(POSES[view]), TOWARDS[view], atol=1e-12)


@pytest.mark.parametrize(("view", "distance_mm"), [("PA", 1800), ("AP", 1000), ("LL", 1800), ("RL", 1800)])
def test_source_stands_at_its_distance_from_the_detector(view: str, distance_mm: float) -> None:
    source, pixels = detector_points(POSES[view], 2)
    assert np.linalg.norm(pixels.mean(axis=(0, 1)) - source) == pytest.approx(distance_mm)


def test_tilted_beam_goes_towards_the_feet() -> None:
    left, posterior, superior = central_direction(Pose(tilt_deg=30.0))
    assert (left, posterior, superior) == pytest.approx((0, -np.sqrt(0.75), -0.5))


def test_rays_of_a_cone_meet_in_the_source() -> None:
    pose = POSES["RAO"]
    source, pixels = detector_points(pose, 3)
    rays = cast_rays(pose, 3)
    np.testing.assert_allclose(rays.origin, source[None])
    np.testing.assert_allclose(np.cross(pixels.reshape(-1, 3) - source, rays.direction), 0, atol=1e-9)


def test_mirrored_view_has_its_columns_reversed() -> None:
    pose, mirrored = Pose(azimuth_deg=180.0), Pose(azimuth_deg=180.0, mirrored=True)
    plain = cast_rays(pose, 4).direction.reshape(4, 4, 3)
    np.testing.assert_array_equal(cast_rays(mirrored, 4).direction.reshape(4, 4, 3), plain[:, ::-1])


def test_parallel_rays_keep_the_field_at_the_lungs() -> None:
    pose = Pose(1000.0, 800.0, azimuth_deg=10.0, field_mm=400.0).as_parallel()
    rays = cast_rays(pose, 2)
    assert pose.field_mm == 320.0
    np.testing.assert_array_equal(rays.direction, np.tile(central_direction(pose), (4, 1)))
    assert np.linalg.norm(rays.origin[1] - rays.origin[0]) == pytest.approx(160.0)


def test_patient_stands_between_source_and_detector() -> None:
    with pytest.raises(VolumeError, match="between source and detector"):
        Pose(source_to_detector_mm=1000.0, source_to_centre_mm=1000.0)
