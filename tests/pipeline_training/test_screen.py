from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pipeline_training.anatomy import Anatomy
from pipeline_training.cli import main
from pipeline_training.dataset import read_sources
from pipeline_training.network import AnatomyNet
from pipeline_training.projections import NAMES, write_projection
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


def test_only_what_is_told_is_counted(
    anatomy: Anatomy, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that says lung everywhere errs least where nothing but lung is told."""
    write_projection(tmp_path / "0.npz", anatomy, Pose(), project(anatomy, Pose(), 320, step_mm=30.0))
    (source,) = read_sources(tmp_path, ())
    lung = NAMES.index("right lung")
    inside = source.coverage[source.known.tolist().index(lung)] == 4

    def dice(told: npt.NDArray[np.bool_], *everywhere: int) -> float | None:
        planes, place = np.zeros_like(source.told), np.zeros_like(source.place)
        planes[0], planes[1], place[list(everywhere)] = told, True, 1
        changed = replace(source, told=planes, place=place)
        monkeypatch.setattr("pipeline_training.screen.read_sources", lambda *_: [changed])
        return screen(checkpoint, tmp_path, size=64, looks=2)["right lung"]

    nowhere, everywhere = np.zeros_like(inside), np.ones_like(inside)
    assert dice(nowhere) is None
    assert dice(inside) == pytest.approx(0.9, abs=0.1)
    assert dice(nowhere, lung) == dice(everywhere) == pytest.approx(0.3, abs=0.15)
