"""A chest that lies right is accepted, flipped copies of it are refused, doubt is no reason to."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline_training.errors import VolumeError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.intake.unlabelled import Evidence, check_unlabelled, contradiction, evidence
from pipeline_training.phantom import draw_parameters, make_phantom

SOUND = Evidence(apex_shape=0.2, rib_slope=0.3, heart=0.6, liver_mm=60.0)


@pytest.fixture(scope="module")
def ct() -> CtVolume:
    """A phantom of the thorax, voxels of 3 mm."""
    volume = make_phantom(draw_parameters(np.random.default_rng(4)), 3.0, "body")
    assert volume.hu is not None
    return CtVolume("body", volume.hu, 3.0)


def flipped(ct: CtVolume, *axes: int) -> CtVolume:
    return replace(ct, hu=np.ascontiguousarray(np.flip(ct.hu, axes)))


def test_chest_that_lies_right_is_accepted(ct: CtVolume) -> None:
    found = evidence(ct)
    check_unlabelled(ct)
    assert found.apex_shape is not None
    assert found.apex_shape > 0.1
    assert found.rib_slope is not None
    assert found.rib_slope > 0.1
    assert found.heart is not None
    assert found.heart > 0.4


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ((0,), "up and down: the lungs' upper end is the one that the diaphragm bulges into"),
        ((1,), "front and back: the ribs rise towards the front"),
        ((2,), "left and right: "),
        ((0, 1), "up and down"),
        ((1, 2), "front and back"),
        ((0, 1, 2), "up and down"),
    ],
)
def test_flipped_chest_is_refused_by_name(ct: CtVolume, axes: tuple[int, ...], words: str) -> None:
    with pytest.raises(VolumeError, match=f"body: the volume is flipped: {words}"):
        check_unlabelled(flipped(ct, *axes))


def test_flip_from_left_to_right_turns_the_sign_and_keeps_the_size(ct: CtVolume) -> None:
    right, wrong = evidence(ct), evidence(flipped(ct, 2))
    assert right.heart is not None
    assert wrong.heart == pytest.approx(-right.heart, abs=0.05)


def test_a_part_of_a_chest_is_not_refused(ct: CtVolume) -> None:
    for low, high in ((0.0, 0.5), (0.3, 0.7), (0.5, 1.0)):
        part = ct.hu[int(low * len(ct.hu)) : int(high * len(ct.hu))]
        check_unlabelled(replace(ct, hu=part))


def test_volume_without_lungs_tells_nothing() -> None:
    stone = CtVolume("stone", np.full((40, 40, 40), 50, np.int16), 3.0)
    assert evidence(stone) == Evidence()
    check_unlabelled(stone)


def test_liver_tells_more_than_the_heart() -> None:
    assert contradiction(replace(SOUND, heart=-1.0)) == ""
    assert "the liver lies 30 mm left of the spine" in contradiction(replace(SOUND, liver_mm=-30.0))
    assert "reaches 2.0 times further to the right" in contradiction(replace(SOUND, liver_mm=5, heart=-1.0))


def test_ribs_alone_tell_that_one_of_two_axes_is_flipped() -> None:
    assert contradiction(replace(SOUND, rib_slope=-0.3)).startswith("front and back: ")
    assert contradiction(replace(SOUND, apex_shape=0.02, rib_slope=-0.3)).startswith("front and back, or up")


@pytest.mark.parametrize("found", [Evidence(), Evidence(-0.05, -0.05, -0.3, -10.0), SOUND])
def test_doubt_is_no_reason(found: Evidence) -> None:
    assert contradiction(found) == ""
