from dataclasses import replace

import numpy as np
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.geometry import Pose
from pipeline_training.poses import APEX_MM, LEAN_DEG, Lean, draw_pose, lean_of
from pipeline_training.projector import project

LEAN = Lean(posterior_mm=90.0, superior_mm=10.0)


@pytest.mark.parametrize("apex_mm", [10.0, 20.0, 30.0])
def test_tilt_shows_the_apices_as_high_as_asked(apex_mm: float) -> None:
    """A beam from behind that is tilted by t sees a point at y sin(-t) + z cos(t)."""
    tilt = np.radians(LEAN.tilt(apex_mm))
    seen = -LEAN.posterior_mm * np.sin(tilt) + LEAN.superior_mm * np.cos(tilt)
    assert seen == pytest.approx(apex_mm, abs=1e-6)


def test_nobody_leans_further_than_patients_do() -> None:
    assert LEAN.tilt(80.0) == -LEAN_DEG
    assert LEAN.tilt(-80.0) == LEAN_DEG


def test_lean_is_the_way_from_clavicles_to_apices(anatomy: Anatomy) -> None:
    lean = lean_of(anatomy)
    assert lean is not None
    tops = []
    for side, pick in (("right", np.argmax), ("left", np.argmin)):
        lung, bone = (np.argwhere(anatomy.organs.mask(name)) for name in (f"{side} lung", f"clavicle {side}"))
        tops.append((lung[:, 0].max() - bone[pick(bone[:, 2])][0]) * anatomy.spacing_mm)
    assert lean.superior_mm == pytest.approx(np.mean(tops))
    unknown = anatomy.organs.with_parts(np.zeros_like(anatomy.organs.parts))
    assert lean_of(replace(anatomy, organs=unknown)) is None


@pytest.mark.parametrize(("azimuth", "sign"), [(0.0, 1), (180.0, -1)])
def test_projected_apices_rise_above_the_clavicles_as_the_tilt_says(
    anatomy: Anatomy, azimuth: float, sign: int
) -> None:
    """From behind and from in front: the tilt has the right sign where the clavicles sink in the picture."""

    def clavicles_below_apices(tilt: float) -> float:
        seen = project(anatomy, Pose(azimuth_deg=azimuth, tilt_deg=tilt), 96, step_mm=6.0).lengths_mm[0]
        rows = {}
        for name in ("right lung", "clavicle right"):
            paths = seen[list(anatomy.organs.structures[name])].sum(axis=(0, 2))
            rows[name] = float(np.average(np.arange(len(paths)), weights=paths))
        return rows["clavicle right"] - rows["right lung"]

    lean = lean_of(anatomy)
    assert lean is not None
    upright = lean.tilt(lean.superior_mm + 15)
    assert clavicles_below_apices(sign * upright) > clavicles_below_apices(0) + 0.5
    assert clavicles_below_apices(-sign * upright) < clavicles_below_apices(0) - 0.5


def test_upright_views_show_the_apices_above_the_clavicles() -> None:
    generator = np.random.default_rng(0)
    poses = [draw_pose(generator, 0.0, LEAN) for _ in range(600)]
    upright = [pose.tilt_deg for pose in poses if not pose.mirrored]
    expected = np.mean([LEAN.tilt(apex) for apex in np.linspace(*APEX_MM, 50)])
    assert np.mean(upright) == pytest.approx(expected, abs=0.7)
    bedside = [pose.tilt_deg for pose in poses if pose.mirrored]
    assert np.mean(bedside) == pytest.approx(0, abs=1.5)
