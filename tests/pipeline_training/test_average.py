"""The mean of checkpoints: of all weights, of networks that are alike."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pipeline_training.average import average
from pipeline_training.cli import app
from pipeline_training.errors import TrainingError
from pipeline_training.export import load_network
from pipeline_training.network import AnatomyNet

WIDTHS = (4, 4, 6, 6, 8)
LABELS = ("heart", "aorta")
MakeCheckpoint = Callable[..., Path]


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    def make(seed: int, labels: tuple[str, ...] = LABELS, widths: tuple[int, ...] = WIDTHS) -> Path:
        torch.manual_seed(seed)
        network = AnatomyNet(len(labels), widths).train()
        network(torch.rand(4, 1, 64, 64))
        path = tmp_path / f"{seed}.pt"
        content = {"options": {"widths": widths}, "labels": list(labels), "average": network.state_dict()}
        torch.save(content, path)
        return path

    return make


def test_each_weight_is_the_mean_and_the_checkpoint_can_be_exported(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    paths = [make_checkpoint(seed) for seed in (1, 2, 3)]
    average(paths, tmp_path / "mean.pt")
    network, labels = load_network(tmp_path / "mean.pt")
    parts = [load_network(path)[0].state_dict() for path in paths]
    assert labels == LABELS
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(part[name] for part in parts) / 3)
    assert (network.head.weight != parts[0]["head.weight"]).all()


@pytest.mark.parametrize("other", [{"labels": ("heart", "spine")}, {"widths": (4, 4, 6, 6, 10)}])
def test_networks_that_differ_have_no_mean(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, other: dict[str, tuple[int, ...]]
) -> None:
    with pytest.raises(TrainingError, match=r"1\.pt has other structures or widths"):
        average([make_checkpoint(1), make_checkpoint(2, **other)], tmp_path / "mean.pt")
    assert not (tmp_path / "mean.pt").exists()


def test_one_is_not_enough_and_nothing_is_written_over(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    one = make_checkpoint(1)
    with pytest.raises(TrainingError, match="two checkpoints or more, found 1"):
        average([one], tmp_path / "mean.pt")
    with pytest.raises(TrainingError, match="is there already"):
        average([one, one], one)


def test_command_writes_the_mean(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    options = [f"--checkpoint={make_checkpoint(seed)}" for seed in (1, 2)]
    said = CliRunner().invoke(app, ["average", *options, "--out", str(tmp_path / "new" / "mean.pt")])
    assert said.exit_code == 0, said.output
    assert (tmp_path / "new" / "mean.pt").is_file()
