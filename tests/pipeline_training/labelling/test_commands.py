"""The two commands as a user meets them: a body teaches, a CT is labelled, a second run finds it done."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from pipeline_training.case_writer import write_case
from pipeline_training.commands.build import build
from pipeline_training.commands.label import label, repair
from pipeline_training.commands.train_labeller import train_labeller
from pipeline_training.errors import LabellerError, OutputError
from pipeline_training.intake.case import load_case
from pipeline_training.phantom import PhantomParameters, make_phantom
from pipeline_training.volumes import LabelMap

application = typer.Typer()
application.command()(label)
application.command("train-labeller")(train_labeller)
application.command()(repair)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of tissue around two of air, lungs by their size, and one of bone; voxels of 1.5 mm."""
    hu, labels = np.full((108, 64, 120), 40, np.int16), np.zeros((108, 64, 120), np.uint8)
    for number, columns in enumerate((slice(11, 48), slice(72, 109)), start=1):
        hu[11:96, 13:56, columns] = -850
        labels[11:96, 13:56, columns] = number
    hu[21:85, 5:8, 48:69] = 600
    folder = tmp_path_factory.mktemp("cases") / "body"
    names = {1: "lung_upper_lobe_right", 2: "lung_upper_lobe_left"}
    write_case(folder, LabelMap("body", labels, names, hu, 1.5, vocabulary=frozenset(names.values())))
    return folder


def run(*arguments: object) -> str:
    done = CliRunner().invoke(application, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_trained_labeller_labels_a_ct_once(case: Path, tmp_path: Path) -> None:
    assert "trained for" in run("train-labeller", case, "--out", tmp_path / "own", "--steps", 1)
    checkpoint = tmp_path / "own" / "labeller.pt"
    _silence(checkpoint)
    command = ("label", case, "--out", tmp_path / "out", "--labeller", f"own={checkpoint}")
    assert "body: rejected: no lungs were found" in run(*command)
    report = json.loads((tmp_path / "out" / "body" / "report.json").read_text())
    assert report["reasons"]
    assert run(*command) == "body: done before\n"


def _silence(checkpoint: Path) -> None:
    """Make a network find nothing, which takes no training and no time."""
    stored = torch.load(checkpoint)
    stored["network"]["head.bias"][0] = 100.0
    stored["scores"] = dict.fromkeys(stored["classes"], 1.0)
    torch.save(stored, checkpoint)


def test_without_a_labeller_nothing_is_done(case: Path, tmp_path: Path) -> None:
    with pytest.raises(LabellerError, match="name at least one labeller"):
        run("label", case, "--out", tmp_path)


def test_ct_that_cannot_be_read_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    with pytest.raises(LabellerError, match="no case could be labelled"):
        run("label", tmp_path / "broken.nii.gz", "--out", tmp_path / "out", "--labeller", "rules")


def test_label_map_without_a_ct_is_not_labelled(case: Path, tmp_path: Path) -> None:
    shutil.copytree(case, tmp_path / "bare")
    (tmp_path / "bare" / "ct.nii.gz").unlink()
    with pytest.raises(LabellerError, match="no case could be labelled"):
        run("label", tmp_path / "bare", "--out", tmp_path / "out", "--labeller", "rules")


def test_rules_label_a_ct_without_any_training(case: Path, tmp_path: Path) -> None:
    run("label", case, "--out", tmp_path, "--labeller", "rules")
    report = json.loads((tmp_path / "body" / "report.json").read_text())
    assert report["present"] == ["body", "lung_left", "lung_right"]


def test_second_volume_of_a_name_is_not_taken_for_done(case: Path, tmp_path: Path) -> None:
    files = [tmp_path / folder / "scan.nii.gz" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        shutil.copy(case / "ct.nii.gz", file)
    words = run("label", *files, "--out", tmp_path / "out", "--labeller", "rules")
    assert f"scan.nii.gz: another volume is called 'scan', too: {files[0]}" in words
    assert "done before" not in words


def test_folder_that_cannot_be_made_is_told_before_the_work(case: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        run("label", case, "--out", tmp_path / "out", "--labeller", "rules")
    with pytest.raises(OutputError, match="cannot make the folder"):
        build([case], tmp_path / "out")


def test_labels_that_are_there_are_repaired_and_judged_once(tmp_path: Path) -> None:
    """A stretch of a rib bears the next number, as in label maps of others, and a clavicle ends half-way."""
    body = make_phantom(PhantomParameters(), 3.0)
    labels = body.labels.copy()
    rib = body.mask("rib_left_8")
    rows = np.nonzero(rib)[1]
    middle = (np.arange(rib.shape[1]) > np.quantile(rows, 0.5)) & (
        np.arange(rib.shape[1]) < np.quantile(rows, 0.7)
    )
    labels[rib & middle[:, None]] = body.ids("rib_left_9")[0]
    clavicle = body.mask("clavicula_right")
    outer = np.arange(clavicle.shape[2]) < np.median(np.nonzero(clavicle)[2])
    labels[clavicle & outer] = 0
    write_case(tmp_path / "wrong", replace(body, labels=labels, hu=None))
    command = ("repair", tmp_path / "wrong", "--out", tmp_path / "out")
    assert "wrong: kept with its sound structures only: " in run(*command)
    report = json.loads((tmp_path / "out" / "wrong" / "report.json").read_text())
    assert any(change.startswith("rib_left_8: ") and "(9)" in change for change in report["changes"])
    assert report["dropped"]["clavicula_right"].startswith("too short for the bone")
    before, after = (load_case(tmp_path / folder) for folder in ("wrong", "out/wrong"))
    assert isinstance(before, LabelMap)
    assert isinstance(after, LabelMap)
    assert before.mask("rib_left_8").sum() < 0.9 * after.mask("rib_left_8").sum()
    assert "clavicula_right" not in after.vocabulary
    assert not (tmp_path / "out" / "wrong" / "confidence.nii.gz").exists()
    assert run(*command) == "wrong: done before\n"


def test_rejected_labels_leave_only_their_report(case: Path, tmp_path: Path) -> None:
    assert "body: rejected: lungs: volume out of range" in run("repair", case, "--out", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "body").iterdir()] == ["report.json"]


def test_what_has_no_labels_is_told_by_name(tmp_path: Path, case: Path) -> None:
    (tmp_path / "ct").mkdir()
    shutil.copy(case / "ct.nii.gz", tmp_path / "ct" / "ct.nii.gz")
    done = CliRunner().invoke(
        application, ["repair", str(tmp_path / "ct"), str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    )
    assert isinstance(done.exception, LabellerError)
    assert "ct: there are no labels, only a CT" in done.output
    assert "none: there is no such file or folder" in done.output
