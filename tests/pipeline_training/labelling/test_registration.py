"""Bodies are laid on each other: a known change is found again."""

import numpy as np
import numpy.typing as npt

from pipeline_training.labelling import registration

SPACING_MM = 3.0
SHAPE = (40, 36, 48)


def _ellipsoids(scale: float, shift: float) -> npt.NDArray[np.bool_]:
    """Two lungs; scale and shift (voxels) are along the body's axis."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    height = ((z - 20 - shift) / (11 * scale)) ** 2 + ((y - 18) / 9) ** 2
    return (height + ((x - 14) / 7) ** 2 < 1) | (height + ((x - 34) / 7) ** 2 < 1)


def test_affine_transform_of_the_lungs_is_found() -> None:
    registration.one_thread()
    fixed, moving = _ellipsoids(1.0, 0), _ellipsoids(1.25, 3)
    transform = registration.affine_on_lungs(fixed, moving, SPACING_MM)
    top = np.array(transform.TransformPoint([14 * 3.0, 18 * 3.0, 31 * 3.0]))
    np.testing.assert_allclose(top, (14 * 3, 18 * 3, (20 + 3 + 11 * 1.25) * 3), atol=4.0)
    again = registration.moved_back(transform, top[None, ::-1])[0]
    np.testing.assert_allclose(again, (31 * 3, 18 * 3, 14 * 3), atol=1e-3)


def test_demons_close_what_is_left_and_labels_follow() -> None:
    registration.one_thread()
    fixed, moving = _ellipsoids(1.0, 0), _ellipsoids(1.0, 2)
    start = registration.field_through(SHAPE, SPACING_MM, np.zeros((0, 3)), np.zeros((0, 3)))
    still, other = (registration.image_of(each, SPACING_MM) for each in (fixed, moving))
    transform = registration.chain(start, registration.demons(still, other, start))
    carried = registration.carried(moving.astype(np.uint8), transform, SHAPE, SPACING_MM) > 0
    dices = [2 * (fixed & each).sum() / (fixed.sum() + each.sum()) for each in (moving, carried)]
    assert dices[0] < 0.9
    assert dices[1] > 0.95


def test_field_leads_points_to_their_goals_and_leaves_the_rest() -> None:
    points, goals = np.array([[60.0, 54.0, 42.0]]), np.array([[72.0, 54.0, 42.0]])
    field = registration.field_through(SHAPE, SPACING_MM, points, goals)
    np.testing.assert_allclose(field.TransformPoint([42.0, 54.0, 60.0]), (42, 54, 72), atol=0.5)
    np.testing.assert_allclose(field.TransformPoint([138.0, 54.0, 60.0]), (138, 54, 60), atol=0.1)
