from pathlib import Path

from pipeline_training.anatomy import Anatomy
from pipeline_training.building.outcome import CaseOutcome, Verdict
from pipeline_training.projections import write_projection
from pipeline_training.projector import Pose, project
from pipeline_training.quickstart import _write_set


def test_pictures_of_all_bodies_that_were_held_back_are_in_the_set(anatomy: Anatomy, tmp_path: Path) -> None:
    pose = Pose(azimuth_deg=0.0)
    drawn = project(anatomy, pose, 64, step_mm=30.0)
    files = [f"{body}/0000_0.npz" for body in ("one", "other")]
    for file in files:
        (tmp_path / "held_back" / file).parent.mkdir(parents=True)
        write_projection(tmp_path / "held_back" / file, anatomy, pose, drawn)
    outcomes = [CaseOutcome(file.split("/")[0], Verdict.BUILT, files=(file,)) for file in files]
    _write_set(tmp_path / "set", tmp_path / "held_back", outcomes)
    names = {"one_0000_0.png", "other_0000_0.png"}
    assert {path.name for path in (tmp_path / "set" / "images").iterdir()} == names
    assert {path.name for path in (tmp_path / "set" / "masks" / "heart").iterdir()} == names
