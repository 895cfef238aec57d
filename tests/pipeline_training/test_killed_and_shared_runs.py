"""Training in processes of its own: one that is killed, two that share the work."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pipeline_training.train import train
from pipeline_training.train_options import TrainOptions


def stored(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def test_process_killed_at_a_random_moment_ends_with_the_weights_of_one_that_was_not(
    tiny_run: TrainOptions, tmp_path: Path
) -> None:
    """SIGKILL to a process of its own, once a checkpoint is there; then the same command again.

    The one that was not killed runs here, with the same tiny_run.
    """
    run = tmp_path / "run.toml"
    run.write_text(
        "steps = [40]\nsizes = [32]\nbatch = 4\nwidths = [4, 6, 8, 10, 12]\n"
        "checkpoint_every = 2\nthreads = 1\n"
    )

    def start(out: Path) -> subprocess.Popen[str]:
        asked = ["--projections", tiny_run.projections, "--out", out, "--run", run]
        command = [sys.executable, "-m", "pipeline_training.cli", "train", *map(str, asked)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    torn = tmp_path / "torn"
    killed = start(torn)
    deadline = time.monotonic() + 120
    while not (torn / "checkpoint.pt").exists() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    killed.kill()
    _, words = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, words
    assert 0 < stored(torn / "checkpoint.pt")["step"] < 40
    again = start(torn)
    whole = train(
        replace(
            tiny_run, out=tmp_path / "whole", radiographs=(), steps=(40,), sizes=(32,), checkpoint_every=2
        )
    )
    _, words = again.communicate(timeout=120)
    assert again.returncode == 0, words
    found, expected = stored(torn / "checkpoint.pt"), stored(whole)
    for state in ("network", "average"):
        assert all(torch.equal(found[state][key], value) for key, value in expected[state].items())
    assert (torn / "log.csv").read_text().count("\n") == 41


def test_two_ranks_make_the_network_that_one_makes(tiny_run: TrainOptions, tmp_path: Path) -> None:
    """Sums go over both ranks in another order: weights differ by rounding, here by less than 1e-4 of 1."""
    one = stored(train(tiny_run))
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = tmp_path / "run.toml"
    run.write_text(
        "steps = [4, 2]\nsizes = [32, 64]\nbatch = 4\nwidths = [4, 6, 8, 10, 12]\n"
        "checkpoint_every = 3\nthreads = 1\n"
    )
    asked = [
        "train",
        "--projections",
        str(tiny_run.projections),
        "--out",
        str(tmp_path / "two"),
        "--run",
        str(run),
    ]
    asked += ["--radiographs", str(tiny_run.radiographs[0])]
    done = subprocess.run(
        [*together, "-m", "--", "pipeline_training.cli", *asked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "UserWarning" not in done.stderr
    two = stored(tmp_path / "two" / "checkpoint.pt")
    assert two["step"] == one["step"]
    for state in ("network", "average"):
        for key, value in one[state].items():
            torch.testing.assert_close(two[state][key], value, atol=1e-4, rtol=1e-3, msg=key)
    assert len((tmp_path / "two" / "log.csv").read_text().splitlines()) == 7, "the first rank alone writes"
