"""The short form of the proof that `make kill` gives at length."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_node_that_is_killed_twice_under_load_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.end_to_end.kill_proof"]
    command += [
        "--images",
        "6",
        "--kills",
        "2",
        "--seed",
        "2",
        "--longest-life",
        "2",
        "--folder",
        str(tmp_path),
    ]
    proof = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert "holds" in proof.stdout
