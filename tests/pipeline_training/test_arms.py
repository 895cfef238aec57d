from dataclasses import replace

import numpy as np
import pytest

from pipeline_training.anatomy import TISSUES, Anatomy
from pipeline_training.arms import ROOM_MM, Arm, cut_sides, draw_arms, lower_arms, shoulder_joint
from pipeline_training.paint import painted

HANGING = Arm(abduction_deg=10.0, forward_deg=0.0, muscle_mm=40.0, fat_mm=6.0)
WHOLE = (slice(None), slice(None), slice(None))


@pytest.fixture
def thin(anatomy: Anatomy) -> Anatomy:
    """The phantom in air: nothing but its organs."""
    return replace(anatomy, hu=np.where(anatomy.organs.parts > 0, anatomy.hu, np.int16(-1000)))


def with_humerus(body: Anatomy, upwards: bool) -> Anatomy:
    mask = np.zeros(body.hu.shape, np.bool_)
    mask[(slice(50, 60) if upwards else slice(20, 36)), 34:37, 55:57] = True
    flesh = replace(body, hu=body.hu.copy())
    if upwards:
        flesh.hu[50:60, 32:39, 53:59][body.organs.parts[50:60, 32:39, 53:59] == 0] = 40
    return painted(flesh, WHOLE, mask, np.full(int(mask.sum()), 900, np.int16), "shoulder")


def test_lowered_arms_are_bone_in_flesh_and_change_no_structure(thin: Anatomy) -> None:
    body = lower_arms(thin, (HANGING, HANGING))
    sides = round(ROOM_MM / thin.spacing_mm)
    assert body.hu.shape[2] == thin.hu.shape[2] + 2 * sides
    for name in thin.known():
        for layer, before in zip(body.layers, thin.layers, strict=True):
            np.testing.assert_array_equal(layer.mask(name)[:, :, sides:-sides], before.mask(name))
            assert not layer.mask(name)[:, :, :sides].any()
    humeri = body.organs.parts > thin.organs.count
    assert (body.hu[humeri] >= 200).all()
    assert body.organs.count == thin.organs.count + 2
    assert {TISSUES[k] for k in body.tissue_of_part[-2:]} == {"shoulder"}
    columns = np.flatnonzero(humeri.any(axis=(0, 1)))
    assert columns[0] < sides + 6
    assert columns[-1] > body.hu.shape[2] - sides - 7


def test_arm_hangs_from_its_shoulder(thin: Anatomy) -> None:
    joint = shoulder_joint(thin.organs.mask("scapula left"), 1.0, thin.spacing_mm)
    body = lower_arms(thin, (HANGING, HANGING))
    places = np.argwhere(body.organs.parts == body.organs.count)
    assert places[:, 0].max() <= joint[0] + 5
    assert places[:, 0].min() == 0
    steep = lower_arms(thin, (HANGING, replace(HANGING, abduction_deg=50.0)))
    assert np.argwhere(steep.organs.parts == steep.organs.count)[:, 2].max() > places[:, 2].max()


def test_raised_arm_is_taken_away(thin: Anatomy) -> None:
    raised = with_humerus(thin, upwards=True)
    body = lower_arms(raised, (HANGING, HANGING))
    sides = round(ROOM_MM / thin.spacing_mm)
    assert (raised.hu[57:, 30:40, 50:] > 0).sum() > 5 * (body.hu[57:, 30:40, sides + 50 :] > 0).sum()


def test_hanging_arm_of_the_scan_stays(thin: Anatomy) -> None:
    hanging = with_humerus(thin, upwards=False)
    assert lower_arms(hanging, (HANGING, HANGING)).organs.count == hanging.organs.count + 1


def test_cut_ends_image_and_structures_at_the_same_columns(anatomy: Anatomy) -> None:
    cut = cut_sides(anatomy, (0.0, 12.0))
    columns = np.flatnonzero(anatomy.organs.mask("lung").any(axis=(0, 1)))
    low, high = columns[0], columns[-1] + 2
    for part in (cut.hu[:, :, :low] + 1000, cut.organs.parts[:, :, :low], cut.organs.parts[:, :, high + 1 :]):
        assert not part.any()
    np.testing.assert_array_equal(cut.hu[:, :, low : high + 1], anatomy.hu[:, :, low : high + 1])
    np.testing.assert_array_equal(
        cut.regions[0].parts[:, :, low : high + 1], anatomy.regions[0].parts[:, :, low : high + 1]
    )


def test_arms_are_alike_and_follow_the_generator() -> None:
    right, left = draw_arms(np.random.default_rng(2))
    assert (right, left) == draw_arms(np.random.default_rng(2))
    assert right.muscle_mm == left.muscle_mm
    assert right.abduction_deg != left.abduction_deg
