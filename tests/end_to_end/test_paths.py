"""Where a file lies is never decided by what a DICOM object says of itself."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode

from node.archive import Archive
from node.spool import Spool

NODE = Path(__file__).parents[2] / "node"
KEPT = re.compile(r"(objects|results)/[0-9a-f]{2}/[0-9a-f]{64}\.dcm")
TRAVERSAL = "../../../../evil"


def test_object_full_of_paths_lies_below_its_digest(tmp_path: Path, make_dx: Any) -> None:
    names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "AccessionNumber", "StudyID")
    dataset = make_dx(**dict.fromkeys(names, TRAVERSAL))
    content = encode(dataset, False, True)
    assert content is not None
    spool = Spool(tmp_path / "data").prepare()
    incoming = spool.begin(encoding=str(ExplicitVRLittleEndian))
    incoming.write(content)

    kept = incoming.keep()
    result = spool.store_result(content)

    found = [path.relative_to(spool.root).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(found) == sorted([kept.path, result.path])
    assert all(KEPT.fullmatch(path) for path in found)


@pytest.mark.parametrize("uid", [TRAVERSAL, "/etc/passwd", "..", "1.2/../3"])
def test_archive_of_the_demonstration_writes_into_its_folder(tmp_path: Path, uid: str) -> None:
    with Archive(tmp_path / "archive") as archive:
        assert archive.path(uid).parent == archive.folder


def test_spool_is_the_only_module_of_the_running_node_that_names_files() -> None:
    """Modules that join paths with anything that is not a constant are those that are known to."""
    joining = set()
    for path in NODE.glob("*.py"):
        for found in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(found, ast.BinOp) and isinstance(found.op, ast.Div) and _names_a_file(found.right):
                joining.add(path.stem)

    assert joining <= {
        "archive",
        "segment_files",
        "spool",
    }  # "segment_files": of the command, after its inputs


def _names_a_file(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr)


def test_folders_that_the_node_makes_are_for_its_user_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "data").prepare()
    spool.store_result(b"a result")

    folders = [path for path in (tmp_path / "data").rglob("*") if path.is_dir()]
    assert len(folders) == 4
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "data", *folders)} == {0o700}
