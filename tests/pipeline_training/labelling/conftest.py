"""Stand-ins for the libraries of others: small modules with the same calls, put on the path."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.intake.ct import CtVolume

Install = Callable[[str, str], None]
"""(name of a module, its text)."""


@pytest.fixture
def marked() -> CtVolume:
    """A CT of air with one dense voxel: upper, anterior, left."""
    hu = np.full((5, 6, 7), -1000, np.int16)
    hu[3, 1, 5] = 700
    return CtVolume("body", hu, 2.0)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what puts a module in place of an installed one, also for other processes."""
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))

    def put(name: str, text: str) -> None:
        folder, (*parents, last) = packages, name.split(".")
        for parent in parents:
            folder = folder / parent
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
        (folder / f"{last}.py").write_text(text, encoding="utf-8")
        package = name.partition(".")[0]
        for each in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
            monkeypatch.delitem(sys.modules, each)

    return put
