"""The gates stand where they are described: a gate that is quietly taken out fails here."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOOLS: dict[str, Any] = PYPROJECT["tool"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_pytest_turns_every_warning_into_an_error() -> None:
    assert TOOLS["pytest"]["ini_options"]["filterwarnings"][0] == "error"


def test_pytest_runs_the_doctests_of_every_package() -> None:
    options = TOOLS["pytest"]["ini_options"]

    assert "--doctest-modules" in options["addopts"]
    assert {"node", "ai", "config", "pipeline_training"} <= set(options["testpaths"])


def test_ruff_checks_prints_broad_excepts_docstrings_and_complexity() -> None:
    lint = TOOLS["ruff"]["lint"]

    assert {"T20", "BLE", "D", "C90", "PLR0913", "PLR0915", "TID251", "B", "PT"} <= set(lint["select"])
    assert lint["mccabe"]["max-complexity"] <= 8
    assert lint["pylint"] == {"max-args": 7, "max-statements": 30}
    assert {"os.environ", "os.getenv"} <= set(lint["flake8-tidy-imports"]["banned-api"])


def test_mypy_is_strict_on_every_package() -> None:
    assert TOOLS["mypy"]["strict"] is True
    assert {"node", "ai", "config", "pipeline_training", "tests"} <= set(TOOLS["mypy"]["files"])


@pytest.mark.parametrize("kind", ["layers", "forbidden"])
def test_import_directions_have_contracts(kind: str) -> None:
    assert TOOLS["importlinter"]["include_external_packages"] is True
    assert kind in {contract["type"] for contract in TOOLS["importlinter"]["contracts"]}


def test_the_node_can_be_installed_without_torch() -> None:
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in PYPROJECT["project"]["dependencies"]}

    assert not names & {"torch", "nibabel", "onnx"}
    assert "torch==2.13.0" in PYPROJECT["project"]["optional-dependencies"]["training"]


@pytest.mark.parametrize("tool", ["ruff check", "ruff format --check", "mypy", "lint-imports"])
def test_make_lint_runs_every_linter(tool: str) -> None:
    recipe = MAKEFILE.split("\nlint:")[1].split("\n\n")[0]

    assert f"$(BIN)/{tool}" in recipe


def test_ci_runs_the_commands_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"

    assert "lint test" in script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)


def test_broad_excepts_are_two_at_most() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for package in ("node", "ai", "config", "pipeline_training")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "noqa: BLE001" in line or re.search(r"\bexcept( BaseException)?:", line)
    ]

    assert len(found) <= 2, found
