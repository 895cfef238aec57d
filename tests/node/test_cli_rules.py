"""`paxnode rules test`: what the rules do with files, as a table and in words."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from node.cli_rules import rules

SETTINGS = """
[node]
data_dir = "{folder}/data"
[[peer]]
ae_title = "ER"
host = "h"
port = 1
[[destination]]
name = "pacs"
ae_title = "PACS"
host = "h"
port = 1
[[rule]]
name = "children"
when = [{{ attribute = "age_years", below = 16 }}]
ignore = "no children"
[[rule]]
name = "emergency"
when = [{{ attribute = "calling_ae_title", is = "ER" }}, {{ attribute = "PatientID", exists = true }}]
destinations = ["pacs", "sender"]
priority = "urgent"
measurements = ["heart width"]
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(SETTINGS.format(folder=tmp_path))
    return path


def run(settings_file: Path, *words: str) -> Result:
    return CliRunner().invoke(rules, ["test", *words, "--config", str(settings_file)])


def test_each_condition_is_shown_with_what_was_found_and_what_would_be_done(
    settings_file: Path, dx_file: Path, tmp_path: Path
) -> None:
    done = run(settings_file, str(dx_file), "--from", "ER")

    assert done.exit_code == 0
    for words in ("age_years below 16", "65", "calling_ae_title is ER", "SYNTHETIC-1", "decides"):
        assert words in done.output
    assert "rule: emergency\n" in done.output
    assert (
        "to pacs, peer:ER: masks of up to 161 structures (SEG), report of 1 measurement (SR)" in done.output
    )
    assert "priority: urgent" in done.output
    assert not (tmp_path / "data").exists()


def test_an_image_without_a_rule_is_said_to_be_unmatched(settings_file: Path, dx_file: Path) -> None:
    assert "unmatched: no rule holds for it" in run(settings_file, str(dx_file)).output


def test_what_the_node_would_refuse_is_told(settings_file: Path, tmp_path: Path, make_dx: object) -> None:
    path = tmp_path / "foot.dcm"
    make_dx(BodyPartExamined="FOOT").save_as(path, enforce_file_format=True)  # type: ignore[operator]

    assert "refused: Body Part Examined 'FOOT'" in run(settings_file, str(path), "--from", "ER").output


def test_a_value_cannot_command_the_terminal(settings_file: Path, tmp_path: Path, make_dx: object) -> None:
    path = tmp_path / "odd.dcm"
    make_dx(PatientID="a\x1b]0;b").save_as(path, enforce_file_format=True)  # type: ignore[operator]
    output = run(settings_file, str(path), "--from", "ER").output

    assert "\x1b" not in output
    assert "a?]0;b" in output


def test_a_file_that_cannot_be_read_is_told_and_the_others_go_on(settings_file: Path, dx_file: Path) -> None:
    done = run(settings_file, str(settings_file), str(dx_file), str(dx_file.parent / "none.dcm"))

    assert done.exit_code == 1
    assert "rule: none" in done.output
    assert "none.dcm cannot be read" in done.output
