"""No module is longer than a person reads in one sitting; ruff bounds the functions."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("node", "ai", "config", "pipeline_training", "tests")
MAX_LINES = 400
"""House style, rule 19."""

MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_is_at_most_400_lines_long(module: Path) -> None:
    lines = len((ROOT / module).read_text(encoding="utf-8").splitlines())

    assert lines <= MAX_LINES, f"{module} has {lines} lines: a module is one room with one purpose, split it"
