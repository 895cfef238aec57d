"""ONNX Runtime tells its maker nothing: it looks for a variable while it is imported, and for none later."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIRST = ("ai", "pipeline_training")
"""Packages that set the variable before any module of theirs is imported."""


def importers() -> list[Path]:
    """Return the modules outside the tests that import ONNX Runtime."""
    folders = ("ai", "config", "node", "pipeline_training")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [path for path in files if "onnxruntime" in roots_of(path)]


def roots_of(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | named}


def test_it_is_imported_only_where_the_variable_has_been_set() -> None:
    found = importers()
    assert ROOT / "ai" / "runtime.py" in found
    assert {path.relative_to(ROOT).parts[0] for path in found} <= set(FIRST)


@pytest.mark.parametrize("module", ["ai.runtime", "pipeline_training.export", "node.model"])
def test_a_session_leaves_nothing_in_the_home_folder(module: str, tmp_path: Path) -> None:
    """Where it may tell, version 1.32 keeps an identity of the machine there from its import on."""
    work = (
        f"import {module}\n"
        "from ai.bundle import DEFAULT_BUNDLE\n"
        "from ai.runtime import CPU, start_session\n"
        "start_session('x', (DEFAULT_BUNDLE / 'model.onnx').read_bytes(), [CPU], 1)\n"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", work], env=home, cwd=ROOT, check=True)
    assert list(tmp_path.rglob("*")) == []
