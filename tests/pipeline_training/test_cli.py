"""The command line as a user meets it: arguments in, tables and files out, errors in one line."""

import dataclasses
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from pipeline_training.cli import export, main, project
from pipeline_training.export import ExportOptions
from pipeline_training.projections import ProjectOptions


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"paxnode-train {version('paxnode')}\n"


def test_evaluate_prints_a_table_and_writes_report_and_sheet(
    make_reader_set: Callable[..., Path],
    tiny_bundle: Callable[[], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_reader_set("jsrt", structures=("heart", "right_lung"))
    data = make_reader_set("not-chest", images=1, structures=()).parent
    report, sheet = tmp_path / "out" / "report.json", tmp_path / "out" / "sheet.png"
    status = run("evaluate", "--data", data, "--bundle", tiny_bundle(), "--json", report, "--sheet", sheet)
    shown = capsys.readouterr().out
    assert status == 0
    for word in (
        "squares 1",
        "right_lung",
        "visible lung right",
        "HD95 px",
        "not-chest: none of 1 images refused",
    ):
        assert word in shown
    written = json.loads(report.read_text())
    assert written["model"]["id"] == "squares"
    assert 0 < written["sets"][0]["structures"][0]["answered"]["dice"]["mean"] < 1
    with Image.open(sheet) as drawn:
        assert drawn.format == "PNG"


def test_evaluate_takes_named_sets_only(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    make_reader_set("jsrt")
    data = make_reader_set("own").parent
    assert run("evaluate", "--data", data, "--bundle", tiny_bundle(), "--set", "own", "--limit", 1) == 0
    shown = capsys.readouterr().out
    assert "own" in shown
    assert "jsrt" not in shown


def test_an_unknown_structure_is_one_line_and_status_1(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_reader_set("own")
    (folder / "masks" / "heart").rename(folder / "masks" / "pacemaker")
    assert run("evaluate", "--data", folder, "--bundle", tiny_bundle()) == 1
    assert "paxnode-train: mask folders ['pacemaker']" in capsys.readouterr().err


def test_a_bundle_that_is_not_there_is_one_line_and_status_1(
    make_reader_set: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", "--data", make_reader_set("jsrt"), "--bundle", tmp_path / "nothing") == 1
    assert "cannot read manifest.json of the model bundle" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_told_before_the_work(
    make_reader_set: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    data = make_reader_set("jsrt")
    assert run("evaluate", "--data", data, "--json", tmp_path / "file" / "report.json") == 1
    assert "cannot make the folder" in capsys.readouterr().err


def test_a_case_that_is_not_there_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("project", tmp_path / "case", "--out", tmp_path / "out") == 1
    assert "paxnode-train: case: there is no such file or folder" in capsys.readouterr().err


def test_an_empty_case_folder_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "case").mkdir()
    assert run("project", tmp_path / "case", "--out", tmp_path / "out") == 1
    assert "paxnode-train: case: no volume is here" in capsys.readouterr().err


def test_a_run_file_with_a_mistyped_key_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text("learning_rat = 0.1\n")
    paths = ("--projections", tmp_path, "--out", tmp_path / "out", "--run", tmp_path / "run.toml")
    assert run("train", *paths) == 1
    assert "unknown key 'learning_rat'; the nearest known one is 'learning_rate'" in capsys.readouterr().err


def test_training_without_projections_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", "--projections", tmp_path, "--out", tmp_path / "out") == 1
    assert "holds no projection" in capsys.readouterr().err


def test_exporting_what_is_no_checkpoint_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = (
        "--checkpoint",
        tmp_path / "checkpoint.pt",
        "--out",
        tmp_path / "out",
        "--card",
        tmp_path / "card.toml",
    )
    assert run("export", *paths, "--id", "x") == 1
    assert "is not a checkpoint of paxnode-train train" in capsys.readouterr().err


def test_options_of_the_command_line_default_to_those_of_the_functions() -> None:
    for command, options in ((project, ProjectOptions), (export, ExportOptions)):
        shown = {name: each.default for name, each in inspect.signature(command).parameters.items()}
        fields = [each for each in dataclasses.fields(options) if each.default is not dataclasses.MISSING]
        stated = {each.name: each.default for each in fields}
        assert {name: shown[name if name != "id" else "model_id"] for name in stated} == stated


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() != 0
    shown = capsys.readouterr()
    assert "evaluate" in shown.out + shown.err


def test_the_command_line_loads_neither_torch_nor_nibabel() -> None:
    program = "import sys, pipeline_training.cli; print({'torch', 'nibabel'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
