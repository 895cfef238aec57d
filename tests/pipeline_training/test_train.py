import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline_training.anatomy import Anatomy
from pipeline_training.dataset import Batch
from pipeline_training.errors import TrainingError
from pipeline_training.network import Outputs
from pipeline_training.projections import write_projection
from pipeline_training.projector import Pose, project
from pipeline_training.train import TrainOptions, follow, learning_rate, loss_of, train

MakeReaderSet = Callable[..., Path]
WIDTHS = (4, 6, 8, 10, 12)
RECORDED_LOSSES = (1.2223, 1.5714)
"""4 * entropy + dice of the first and of the sixth step, recorded on an x86 CPU when this test was written;
the sixth is larger, because it sees another size and other samples."""


@pytest.fixture(scope="session")
def projections(anatomy: Anatomy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projections")
    for index, azimuth in enumerate((0.0, 90.0)):
        pose = Pose(azimuth_deg=azimuth)
        write_projection(folder / f"{index}.npz", anatomy, pose, project(anatomy, pose, 320, step_mm=30.0))
    return folder


@pytest.fixture
def options(projections: Path, tmp_path: Path, make_reader_set: MakeReaderSet) -> TrainOptions:
    return TrainOptions(
        projections, tmp_path / "run", (make_reader_set("jsrt", images=2),), steps=(4, 2), sizes=(32, 64),
        batch=4, widths=WIDTHS, checkpoint_every=3, threads=1,
    )  # fmt: skip


def stored(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def log(options: TrainOptions) -> list[dict[str, str]]:
    with (options.out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class _Killed(BaseException):
    """Ends a run as a signal would: no handler of ours stops it."""


def test_killed_run_goes_on_as_if_it_had_never_stopped(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(options, out=tmp_path / "whole")
    expected = stored(train(whole))

    def killed(*arguments: Any) -> None:
        follow(*arguments)
        killed.calls += 1  # type: ignore[attr-defined]
        if killed.calls == 5:  # type: ignore[attr-defined]
            raise _Killed

    killed.calls = 0  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr("pipeline_training.train.follow", killed)
        with pytest.raises(_Killed):
            train(options)
    assert stored(options.out / "checkpoint.pt")["step"] == 3
    found = stored(train(options))
    assert found["step"] == expected["step"] == 6
    for state in ("network", "average"):
        for key, value in expected[state].items():
            assert torch.equal(found[state][key], value), key
    assert [row["step"] for row in log(options)] == ["1", "2", "3", "4", "5", "6"]
    assert [row["dice"] for row in log(options)] == [row["dice"] for row in log(whole)]


def test_first_losses_are_the_recorded_ones(options: TrainOptions) -> None:
    train(options)
    totals = [4 * float(row["entropy"]) + float(row["dice"]) for row in log(options)]
    np.testing.assert_allclose((totals[0], totals[-1]), RECORDED_LOSSES, atol=0.005)


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 2), ("batch", 3), ("steps", (4, 3)), ("learning_rate", 1e-3), ("widths", (4,) * 5)],
)
def test_checkpoint_of_another_run_is_refused(options: TrainOptions, key: str, value: Any) -> None:
    options.out.mkdir()
    plain = {k: v for k, v in vars(options).items() if k not in {"projections", "out", "radiographs"}}
    torch.save({"options": plain, "labels": [], "average": {}}, options.out / "checkpoint.pt")
    with pytest.raises(TrainingError, match=f"was trained with {key}"):
        train(replace(options, **{key: value}))


def test_torn_checkpoint_is_refused(options: TrainOptions) -> None:
    options.out.mkdir()
    (options.out / "checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="is not a checkpoint"):
        train(options)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"steps": (1, 2), "sizes": (32,)}, "each size has its number of steps"),
        ({"steps": (1,), "sizes": (40,)}, "multiples of 32, found 40"),
        ({"real_share": 1.0}, "real_share"),
        ({"batch": 1}, "batch"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        TrainOptions(Path(), Path(), **wrong)


def test_unknown_structures_do_not_change_the_loss() -> None:
    known = torch.tensor([[True, False], [True, False]])
    target = torch.zeros(2, 2, 4, 4)
    target[:, 0, :2] = 1
    logits = torch.zeros(2, 2, 4, 4)
    other = logits.clone()
    other[:, 1] = 9
    losses = [
        loss_of(
            Outputs(each, torch.zeros(2, 2)),
            Batch(torch.zeros(2, 1, 8, 8), target, known, torch.zeros(2).long()),
        )
        for each in (logits, other)
    ]
    assert torch.equal(losses[0][0], losses[1][0])
    assert losses[0][1]["entropy"] == pytest.approx(np.log(2))


def test_learning_rate_warms_up_and_falls() -> None:
    options = TrainOptions(Path(), Path(), steps=(1000,), sizes=(32,))
    rates = [learning_rate(options, step) for step in (0, 49, 999)]
    np.testing.assert_allclose(rates, [4e-5, 2e-3, 2e-5], rtol=0.02)
