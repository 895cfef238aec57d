"""The short form of the proof that `make crash` gives at length, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROOF = """
import random, sys
from rich.console import Console
from tests.faults.crash import prove_on
from tests.faults.crash_points import point_named
points = [point_named(name) for name in sys.argv[2:]]
counts = prove_on(sys.argv[1], points, 1, random.Random(2), Console(quiet=True))
sys.exit("; ".join(f"{c.what}: {c.found}, not {c.wanted}" for c in counts if not c.holds) or 0)
"""
POINTS = {
    "sqlite": ("receive: its job is committed, not answered", "deliver: an object is answered, not recorded"),
    "postgresql": ("work: a result is recorded, not committed",),
}


@pytest.mark.parametrize("kind", POINTS)
def test_node_that_is_killed_under_load_loses_and_doubles_nothing(kind: str) -> None:
    command = [sys.executable, "-c", PROOF, kind, *POINTS[kind]]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr[-2000:]
