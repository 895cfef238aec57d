import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_training.errors import DatasetError
from pipeline_training.manifest import MANIFEST_FILE, read_manifest
from pipeline_training.projections import ProjectOptions, project_case, read_projection

MakeCase = Callable[..., Path]


@pytest.fixture
def built(make_case: MakeCase, tmp_path: Path) -> Path:
    out = tmp_path / "out"
    for name in ("b", "a"):
        project_case(make_case(name), ProjectOptions([], out, per_case=2, size=16))
    return out


def test_manifest_tells_every_projection_of_every_case(built: Path) -> None:
    entries = read_manifest(built)
    assert [e.file for e in entries] == ["a/0000_0.npz", "a/0000_1.npz", "b/0000_0.npz", "b/0000_1.npz"]
    for entry in entries:
        stored = read_projection(built / entry.file)
        assert (entry.case, entry.patient, entry.body) == (stored.case, stored.patient, 0)
        assert entry.view == ("lateral" if stored.lateral else "frontal")
        assert list(entry.known) == stored.known.nonzero()[0].tolist()
        assert entry.geometry["field_mm"] > 0


def test_changed_and_missing_files_are_found(built: Path) -> None:
    file = built / "a" / "0000_0.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"x")
    assert len(read_manifest(built, check=False)) == 4
    with pytest.raises(DatasetError, match=r"0000_0\.npz was changed"):
        read_manifest(built)
    file.unlink()
    with pytest.raises(DatasetError, match="in the manifest, but not there"):
        read_manifest(built)


def test_folder_without_a_complete_case_and_broken_lines_are_refused(built: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no complete case"):
        read_manifest(tmp_path / "a")
    path = built / "b" / MANIFEST_FILE
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps({**row, "colour": "red"}))
    with pytest.raises(DatasetError, match="is not a manifest"):
        read_manifest(built)
