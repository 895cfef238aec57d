from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.errors import DatasetError
from pipeline_training.projections import (
    NAMES,
    ProjectOptions,
    build_projections,
    draw_pose,
    extend,
    projection_files,
    read_projection,
    write_projection,
)
from pipeline_training.projector import Pose, project

MakeCase = Callable[..., Path]
SIZE = 32


@pytest.fixture
def options(make_case: MakeCase, tmp_path: Path) -> ProjectOptions:
    return ProjectOptions([make_case("a")], tmp_path / "out", per_case=5, size=SIZE, seed=3)


def test_data_set_is_a_function_of_its_options_and_resumable(options: ProjectOptions, tmp_path: Path) -> None:
    made = list(build_projections(options))
    assert [file.name for file in made] == [
        "a_0000_0.npz", "a_0000_1.npz", "a_0000_2.npz", "a_0000_3.npz", "a_0001_0.npz",
    ]  # fmt: skip
    assert list(build_projections(options)) == []
    before = made[2].read_bytes()
    made[2].unlink()
    assert list(build_projections(options)) == [made[2]]
    assert made[2].read_bytes() == before
    assert projection_files(options.out) == made


def test_folder_of_another_seed_is_refused(options: ProjectOptions) -> None:
    next(build_projections(options))
    other = ProjectOptions(options.cases, options.out, per_case=5, size=SIZE, seed=4)
    with pytest.raises(DatasetError, match="made with seed 3, not 4"):
        next(build_projections(other))


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
        *anatomy.known(), "visible lung right", "visible lung left",
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


def test_extension_repeats_hu_and_holds_no_structure(anatomy: Anatomy) -> None:
    longer = extend(anatomy)
    added = round(75 / anatomy.spacing_mm)
    assert len(longer.hu) == len(anatomy.hu) + 2 * added
    np.testing.assert_array_equal(longer.hu[0], anatomy.hu[0])
    np.testing.assert_array_equal(longer.hu[-1], anatomy.hu[-1])
    assert not any(layer.parts[:added].any() or layer.parts[-added:].any() for layer in longer.layers)
    assert longer.centre[0] == anatomy.centre[0] + added


def test_poses_are_clinical() -> None:
    generator = np.random.default_rng(0)
    poses = [draw_pose(generator, 0.2) for _ in range(400)]
    lateral = [pose for pose in poses if abs(abs(pose.azimuth_deg) - 90) < 45]
    bedside = [pose for pose in poses if pose.mirrored]
    assert 0.12 < len(lateral) / len(poses) < 0.28
    assert all(pose.source_to_detector_mm <= 1300 and abs(pose.azimuth_deg - 180) < 45 for pose in bedside)
    assert all(abs(pose.azimuth_deg) < 45 for pose in poses if pose not in lateral and pose not in bedside)
