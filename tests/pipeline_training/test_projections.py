import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.anatomy import TISSUES, Anatomy
from pipeline_training.augment import mix
from pipeline_training.body import as_scanned
from pipeline_training.errors import DatasetError
from pipeline_training.poses import draw_pose
from pipeline_training.projections import (
    NAMES,
    ProjectOptions,
    build_projections,
    project_case,
    projection_files,
    read_projection,
    write_projection,
)
from pipeline_training.projections import (
    stored as stored_form,
)
from pipeline_training.projector import Pose, project
from pipeline_training.scanned import Scanned
from pipeline_training.told import EVERYWHERE, THROUGH, told

MakeCase = Callable[..., Path]
SIZE = 32


@pytest.fixture
def options(make_case: MakeCase, tmp_path: Path) -> ProjectOptions:
    return ProjectOptions([make_case("a")], tmp_path / "out", per_case=5, size=SIZE, seed=3)


def test_data_set_is_a_function_of_its_options_and_resumable(options: ProjectOptions, tmp_path: Path) -> None:
    made = list(build_projections(options))
    assert [file.relative_to(options.out).as_posix() for file in made] == [
        "a/0000_0.npz", "a/0000_1.npz", "a/0000_2.npz", "a/0000_3.npz", "a/0001_0.npz",
    ]  # fmt: skip
    assert list(build_projections(options)) == []
    before = {path: path.read_bytes() for path in (*made, options.out / "a" / "manifest.jsonl")}
    made[2].unlink()
    made[4].unlink()
    assert list(build_projections(options)) == [made[2], made[4]]
    assert {path: path.read_bytes() for path in before} == before
    assert projection_files(options.out) == made
    again = replace(options, out=tmp_path / "again")
    files = list(build_projections(again))
    assert [file.read_bytes() for file in files] == [before[file] for file in made]


def test_cases_made_one_by_one_are_the_same_data_set(options: ProjectOptions, tmp_path: Path) -> None:
    made = [file.read_bytes() for file in build_projections(options)]
    alone = replace(options, cases=(), out=tmp_path / "alone")
    entries = project_case(options.cases[0], alone)
    assert [(alone.out / entry.file).read_bytes() for entry in entries] == made
    assert project_case(options.cases[0], alone) == entries


def test_folder_of_another_seed_is_refused(options: ProjectOptions) -> None:
    next(build_projections(options))
    other = ProjectOptions(options.cases, options.out, per_case=5, size=SIZE, seed=4)
    with pytest.raises(DatasetError, match="made with seed 3, not 4"):
        next(build_projections(other))


def test_case_that_was_labelled_anew_does_not_keep_its_projections(options: ProjectOptions) -> None:
    list(build_projections(replace(options, per_case=1)))
    described = options.cases[0] / "labels.json"
    content = json.loads(described.read_text())
    described.write_text(json.dumps(content | {"patient": "somebody else"}))
    with pytest.raises(DatasetError, match=r"a has changed since its projections were made: remove .*out/a"):
        list(build_projections(replace(options, per_case=1)))


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="two cases are called a"):
        ProjectOptions([tmp_path / "x" / "a", tmp_path / "y" / "a"], tmp_path)


def test_stored_projection_reads_back(anatomy: Anatomy, tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    write_projection(file, anatomy, Pose(azimuth_deg=91.0), project(anatomy, Pose(), SIZE, step_mm=4.0))
    stored = read_projection(file)
    assert stored.lateral
    assert stored.case == "phantom"
    assert stored.size == SIZE
    assert {NAMES[i] for i in np.flatnonzero(stored.known)} == {
        *anatomy.known(), *anatomy.absent, "visible lung right", "visible lung left",
    }  # fmt: skip
    assert stored.masks().shape == (161, SIZE, SIZE)
    assert stored.masks()[NAMES.index("heart")].any()
    assert not stored.masks()[~stored.known].any()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_torn_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a_0000_0.part.npz").write_bytes(b"torn")
    assert projection_files(tmp_path) == []
    (tmp_path / "b.npz").write_bytes(b"torn")
    with pytest.raises(DatasetError, match=r"b\.npz is not a projection"):
        read_projection(tmp_path / "b.npz")


def test_file_of_an_earlier_version_says_so(anatomy: Anatomy, tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez_compressed(
        file, tissues=np.zeros((10, 4, 4)), described=json.dumps({"case": "a", "lateral": False})
    )
    with pytest.raises(DatasetError, match="made by an earlier paxnode-train"):
        read_projection(file)


def test_folder_of_an_earlier_version_says_so(options: ProjectOptions) -> None:
    options.out.mkdir()
    (options.out / "options.json").write_text(json.dumps({"size": SIZE, "seed": 3, "lateral_share": 0.1}))
    with pytest.raises(DatasetError, match="made with layout None, not 4"):
        next(build_projections(options))


def test_absent_structures_are_known_and_empty(anatomy: Anatomy, tmp_path: Path) -> None:
    body = replace(anatomy, absent=frozenset({"pancreas"}), patient="p7")
    write_projection(tmp_path / "a.npz", body, Pose(), project(body, Pose(), SIZE, step_mm=6.0))
    stored = read_projection(tmp_path / "a.npz")
    assert stored.known[NAMES.index("pancreas")]
    assert not stored.masks()[NAMES.index("pancreas")].any()
    assert not stored.known[NAMES.index("duodenum")]
    assert stored.patient == "p7"


def test_told_is_stored_and_ends_with_the_scan(anatomy: Anatomy, tmp_path: Path) -> None:
    pose = Pose(field_mm=900.0)
    write_projection(tmp_path / "a.npz", anatomy, pose, project(anatomy, pose, SIZE, step_mm=6.0))
    stored = read_projection(tmp_path / "a.npz")
    assert stored.told[THROUGH, SIZE // 2].all()
    assert not stored.told[THROUGH, 0].any()
    assert not stored.told[THROUGH, -1].any()
    assert stored.told[EVERYWHERE].all()
    assert EVERYWHERE not in stored.place


def test_whole_structures_are_stored(anatomy: Anatomy, tmp_path: Path) -> None:
    marked = replace(anatomy, whole=frozenset({"heart"}))
    write_projection(tmp_path / "a.npz", marked, Pose(), project(marked, Pose(), SIZE, step_mm=6.0))
    place = read_projection(tmp_path / "a.npz").place
    assert np.flatnonzero(place == EVERYWHERE).tolist() == [NAMES.index("heart")]


def test_what_is_told_of_a_structure_is_stored_in_its_plane(anatomy: Anatomy, tmp_path: Path) -> None:
    pose = Pose(tilt_deg=20.0, field_mm=900.0)
    write_projection(tmp_path / "a.npz", anatomy, pose, project(anatomy, pose, SIZE, step_mm=6.0))
    stored, where = (
        read_projection(tmp_path / "a.npz"),
        told(anatomy, Scanned(0.0, len(anatomy.hu) - 1.0), pose, SIZE),
    )
    assert np.array_equal(stored.told, where.planes)
    assert {name: int(stored.place[NAMES.index(name)]) for name in where.place} == where.place
    assert not stored.place[[NAMES.index(name) for name in set(NAMES) - set(where.place)]].any()


def test_channels_sum_to_what_the_projector_saw(anatomy: Anatomy) -> None:
    projection = project(anatomy, Pose(), SIZE, step_mm=6.0)
    kept = stored_form(as_scanned(anatomy, Scanned(0, 59)), Pose(), projection)
    water, bone, devices = mix(kept.tissues, np.ones(len(TISSUES), np.float32))
    np.testing.assert_allclose(water, projection.water_mm.sum(axis=0), rtol=2e-3, atol=0.5)
    np.testing.assert_allclose(bone, projection.bone_mm.sum(axis=0), rtol=2e-3, atol=0.5)
    assert not devices.any()


def test_poses_are_clinical() -> None:
    generator = np.random.default_rng(0)
    poses = [draw_pose(generator, 0.2) for _ in range(400)]
    lateral = [pose for pose in poses if abs(abs(pose.azimuth_deg) - 90) < 45]
    bedside = [pose for pose in poses if pose.mirrored]
    assert 0.12 < len(lateral) / len(poses) < 0.28
    assert all(pose.source_to_detector_mm <= 1300 and abs(pose.azimuth_deg - 180) < 45 for pose in bedside)
    assert all(abs(pose.azimuth_deg) < 45 for pose in poses if pose not in lateral and pose not in bedside)
