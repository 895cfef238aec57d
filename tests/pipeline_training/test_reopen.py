"""A bundle goes on as a run: its answers stay, and its norms follow the batches again."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pipeline_training.beginning import begin_with
from pipeline_training.checkpoint import read_checkpoint
from pipeline_training.cli import app
from pipeline_training.errors import TrainingError
from pipeline_training.network import AnatomyNet
from pipeline_training.parent import label_ids, load_parent
from pipeline_training.reopen import awaken, reopen
from tests.pipeline_training.small_bundles import SIZE, WIDTHS, bundle_of, seasoned


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def test_answers_stay_and_norms_normalise(images: torch.Tensor) -> None:
    bundle = bundle_of(seasoned())
    network, untouched = load_parent(bundle), load_parent(bundle).train()
    with torch.no_grad():
        before, as_read = network(images).logits, untouched(images).logits
        awaken(network, [images[:3], images[3:]])
        after, in_training = network(images).logits, network.train()(images).logits
    spread = float(before.std())
    torch.testing.assert_close(after, before, rtol=0, atol=1e-4 * spread)
    torch.testing.assert_close(in_training, before, rtol=0, atol=0.05 * spread)
    assert (as_read - before).abs().max() > spread, "read back alone, it is another network in training"


def test_run_begins_with_a_reopened_bundle(images: torch.Tensor, tmp_path: Path) -> None:
    bundle = bundle_of(seasoned())
    reopen(bundle, [images], tmp_path / "checkpoint.pt")
    network = AnatomyNet(3, WIDTHS)
    begin_with(network, label_ids(bundle), tmp_path / "checkpoint.pt")
    with torch.no_grad():
        begun, parent = network.eval()(images).logits, load_parent(bundle)(images).logits
    torch.testing.assert_close(begun, parent, rtol=0, atol=1e-4 * float(parent.std()))
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is there already"):
        reopen(bundle, [images], tmp_path / "checkpoint.pt")


def test_bundle_is_not_reopened_without_images(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no image"):
        reopen(bundle_of(seasoned()), [], tmp_path / "checkpoint.pt")
    assert not list(tmp_path.iterdir())


def test_command_writes_a_checkpoint_for_a_run(projections: Path, tmp_path: Path) -> None:
    bundle_of(seasoned()).save(tmp_path / "bundle")
    words = ["reopen", "--bundle", tmp_path / "bundle", "--projections", projections]
    told = CliRunner().invoke(app, [*map(str, words), "--out", str(tmp_path / "new" / "begun.pt")])
    assert told.exit_code == 0, told.output
    assert read_checkpoint(tmp_path / "new" / "begun.pt")["labels"] == ["heart", "aorta", "trachea"]
