from pathlib import Path

import pytest
import torch

from pipeline_training.beginning import begin_with
from pipeline_training.errors import TrainingError
from pipeline_training.network import AnatomyNet
from pipeline_training.projections import NAMES

WIDTHS = (4, 6, 8, 10, 12)
NETWORK = ("heart", "aorta", "spine")


def written(folder: Path, network: AnatomyNet, labels: tuple[str, ...], without: str = "-") -> Path:
    average = {key: value for key, value in network.state_dict().items() if not key.startswith(without)}
    path = folder / "checkpoint.pt"
    torch.save({"options": {}, "labels": list(labels), "average": average}, path)
    return path


def indices(*labels: str) -> list[int]:
    return [NAMES.index(name) for name in labels]


def test_every_structure_begins_with_its_own_weights(tmp_path: Path) -> None:
    before, network = AnatomyNet(3, WIDTHS), AnatomyNet(2, WIDTHS)
    drawn = network.head.weight[1].clone()
    begin_with(network, indices("spine", "trachea"), written(tmp_path, before, NETWORK))
    assert torch.equal(network.head.weight[0], before.head.weight[2])
    assert torch.equal(network.head.weight[1], drawn)  # the trachea is new
    for ours, theirs in zip(network.context, before.context, strict=True):
        assert torch.equal(ours.get_parameter("weight")[0], theirs.get_parameter("weight")[2])
    state, other = network.state_dict(), before.state_dict()
    shared = [key for key in state if not key.startswith(("head.", "context."))]
    assert shared
    assert all(torch.equal(state[key], other[key]) for key in shared)


def test_layers_that_the_other_network_did_not_have_stay_as_they_are(tmp_path: Path) -> None:
    network = AnatomyNet(3, WIDTHS)
    drawn = [layer.get_parameter("weight").clone() for layer in network.context]
    path = written(tmp_path, AnatomyNet(3, WIDTHS), NETWORK, without="context.")
    begin_with(network, indices(*NETWORK), path)
    assert all(torch.equal(a.get_parameter("weight"), b) for a, b in zip(network.context, drawn, strict=True))


def test_network_of_other_widths_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, AnatomyNet(3, (4, 6, 8, 10, 16)), NETWORK)
    with pytest.raises(TrainingError, match=r"is of another network: down\.4"):
        begin_with(AnatomyNet(3, WIDTHS), indices(*NETWORK), path)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is not a checkpoint"):
        begin_with(AnatomyNet(3, WIDTHS), indices(*NETWORK), tmp_path / "none.pt")


def test_checkpoint_of_other_structures_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, AnatomyNet(3, WIDTHS), NETWORK)
    with pytest.raises(TrainingError, match="knows none of the structures"):
        begin_with(AnatomyNet(1, WIDTHS), indices("trachea"), path)
