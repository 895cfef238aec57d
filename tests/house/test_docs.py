"""The documentation is complete, and its commands and code work."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ai.labels import LABELS
from ai.measure import measure
from ai.radiograph import PixelSpacing, Radiograph
from ai.stand_in import StandInSegmenter
from node import statuses
from node.states import State

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
COMMAND = re.compile(r"\bmake ([a-z]+)")


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    """Return the text below each second-level heading."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def settings_of_the_packaged_file() -> Iterator[tuple[str, str]]:
    content: dict[str, Any] = tomllib.loads((ROOT / "config" / "node.toml").read_text(encoding="utf-8"))
    for section, keys in content.items():
        table = keys[0] if isinstance(keys, list) else keys
        yield from ((section, key) for key in table)


def error_classes() -> Iterator[tuple[str, str]]:
    for package in ("node", "ai", "config", "pipeline_training"):
        for path in sorted((ROOT / package).glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = (n.name for n in tree.body if isinstance(n, ast.ClassDef) and n.name.endswith("Error"))
            yield from ((package, name) for name in names)


def python_blocks() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            yield page.name, block


@pytest.mark.parametrize(("section", "key"), sorted(set(settings_of_the_packaged_file())))
def test_setting_has_a_row_in_its_section(section: str, key: str) -> None:
    rows = next(
        body for heading, body in sections(text("configuration.md")).items() if f"[{section}]" in heading
    )

    assert f"| `{key}` |" in rows


def test_measurement_has_a_heading() -> None:
    pixels = np.linspace(0, 1, 256 * 256, dtype=np.float32).reshape(256, 256)
    radiograph = Radiograph(pixels, PixelSpacing(1.0, 1.0, "Pixel Spacing", calibrated=True))
    measured = measure(radiograph, StandInSegmenter().segment([radiograph])[0])

    assert [result.name for result in measured] == [
        name for name in sections(text("measurements.md")) if name[0].islower() and not name.endswith(".json")
    ]


@pytest.mark.parametrize("state", list(State))
def test_job_state_has_a_row(state: State) -> None:
    assert f"| `{state.value}` |" in text("operations.md")


@pytest.mark.parametrize("name", [name for name in vars(statuses) if name.isupper()])
def test_dimse_status_has_a_row(name: str) -> None:
    value = getattr(statuses, name)

    if isinstance(value, int):
        assert f"| `0x{value:04X}` |" in text("operations.md"), f"{name} is not in docs/operations.md"


@pytest.mark.parametrize(("package", "name"), sorted(set(error_classes())))
def test_error_class_is_listed(package: str, name: str) -> None:
    assert f"| `{name}` |" in text("errors.md"), f"{package}'s {name} is not in docs/errors.md"


def test_label_table_is_counted_right() -> None:
    assert f"{len(LABELS)} structures" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_commands_in_the_docs_are_targets(page: Path) -> None:
    code = re.findall(r"```.*?```|`[^`]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert {command for piece in code for command in COMMAND.findall(piece)} <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\((?!https?:)([^)]+)\)", content)]
    named = re.findall(r"\bdocs/[a-z]+\.md\b", content)

    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [name for name in named if not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize(("page", "block"), list(python_blocks()))
def test_python_in_the_docs_runs(page: str, block: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{page}: {done.stderr}"
