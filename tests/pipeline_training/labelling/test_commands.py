"""The two commands as a user meets them: a phantom teaches, a CT is labelled, a second run finds it done."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline_training.case_writer import write_case
from pipeline_training.commands.label import label
from pipeline_training.commands.train_labeller import train_labeller
from pipeline_training.errors import LabellerError
from pipeline_training.phantom import PhantomParameters, make_phantom

application = typer.Typer()
application.command()(label)
application.command("train-labeller")(train_labeller)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coarse phantom as a case folder."""
    folder = tmp_path_factory.mktemp("cases") / "body"
    write_case(folder, make_phantom(PhantomParameters(), 6.0, "body"))
    return folder


def run(*arguments: object) -> str:
    done = CliRunner().invoke(application, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_trained_labeller_labels_a_ct_once(case: Path, tmp_path: Path) -> None:
    assert "trained for" in run("train-labeller", case, "--out", tmp_path / "own", "--steps", 1)
    command = ("label", case, "--out", tmp_path / "out", "--own", tmp_path / "own" / "labeller.pt")
    assert "body: rejected" in run(*command)  # one step teaches nothing, and the judgement says so
    report = json.loads((tmp_path / "out" / "body" / "report.json").read_text())
    assert report["reasons"]
    assert run(*command) == "body: done before\n"


def test_without_a_labeller_nothing_is_done(case: Path, tmp_path: Path) -> None:
    with pytest.raises(LabellerError, match="name at least one labeller"):
        run("label", case, "--out", tmp_path)


def test_ct_that_cannot_be_read_is_told_by_name(case: Path, tmp_path: Path) -> None:
    run("train-labeller", case, "--out", tmp_path, "--steps", 1)
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    with pytest.raises(LabellerError, match="no case could be labelled"):
        run("label", tmp_path / "broken.nii.gz", "--out", tmp_path / "out", "--own", tmp_path / "labeller.pt")
