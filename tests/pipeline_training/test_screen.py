from pathlib import Path

import pytest
import torch

from pipeline_training.anatomy import Anatomy
from pipeline_training.cli import main
from pipeline_training.network import AnatomyNet
from pipeline_training.projections import write_projection
from pipeline_training.projector import Pose, project
from pipeline_training.screen import screen

WIDTHS = (4, 6, 8, 10, 12)
LABELS = ("right lung", "heart", "breast")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A network that sees the right lung everywhere, and nothing else anywhere."""
    network = AnatomyNet(len(LABELS), WIDTHS)
    torch.nn.init.zeros_(network.head.weight)
    weights = network.state_dict()
    weights["head.bias"] = torch.tensor([9.0, -9.0, -9.0])
    content = {"options": {"widths": WIDTHS}, "labels": list(LABELS), "average": weights}
    torch.save(content, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


def test_structures_are_told_worst_first_with_their_dice(
    anatomy: Anatomy, checkpoint: Path, tmp_path: Path
) -> None:
    pose = Pose()
    write_projection(tmp_path / "0.npz", anatomy, pose, project(anatomy, pose, 320, step_mm=30.0))
    found = screen(checkpoint, tmp_path, size=64, looks=2)
    assert list(found)[-1] == "right lung"
    assert 0 < (found["right lung"] or 0) < 1
    assert (found["heart"], found["breast"]) == (0, None)


@pytest.mark.parametrize(
    ("asked_for", "withheld"), [((), '["breast", "heart"]'), (("--held-out",), '["heart"]')]
)
def test_command_says_what_to_withhold(
    anatomy: Anatomy,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    asked_for: tuple[str, ...],
    withheld: str,
) -> None:
    folder, pose = tmp_path / "projections", Pose()
    folder.mkdir()
    write_projection(folder / "0.npz", anatomy, pose, project(anatomy, pose, 320, step_mm=30.0))
    asked = [
        "--checkpoint",
        checkpoint,
        "--projections",
        folder,
        "--looks",
        "2",
        "--size",
        "64",
        "--least",
        "0.1",
    ]
    with pytest.raises(SystemExit) as ended:
        main(["screen", *map(str, asked), *asked_for])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert f"withheld = {withheld}" in told
    assert "not shown" in told
