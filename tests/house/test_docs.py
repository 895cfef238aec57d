"""The documentation is complete, and its commands and code work."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, SecretStr

import ai
from ai.anatomy import Group
from ai.labels import LABELS, Code
from ai.measure import measure
from ai.radiograph import PixelSpacing, Radiograph
from ai.stand_in import StandInSegmenter
from config.attributes import DERIVED
from config.conditions import Operator
from config.profiles import FIRST, Profile, shipped_profiles
from config.rules import Rule
from config.settings import Destination, Peer, Settings, WebDestination
from config.terms import MEASUREMENTS
from node import codes, commitment_statuses, statuses
from node.formats import Format
from node.gate import RULES
from node.measurements_table import COLUMNS
from node.states import State

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
TABLES: dict[str, type[BaseModel]] = {
    "destination": Destination,
    "web_destination": WebDestination,
    "peer": Peer,
    "profile": Profile,
    "rule": Rule,
}
"""Sections that may stand in the settings several times."""

COMMAND = re.compile(r"\bmake ([a-z]+)")


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    """Return the text below each second-level heading."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows_of_section(name: str) -> str:
    found = [body for heading, body in sections(text("configuration.md")).items() if f"[{name}]" in heading]
    assert found, f"docs/configuration.md has no section [{name}]"
    return found[0]


def settings_of_the_packaged_file() -> Iterator[tuple[str, str]]:
    content: dict[str, Any] = tomllib.loads((ROOT / "config" / "node.toml").read_text(encoding="utf-8"))
    yield from ((section, key) for section, table in content.items() for key in table)


def settings_with_defaults() -> Iterator[tuple[str, str, str]]:
    """Yield section, key and default, the latter as the documentation writes it.

    What a profile leaves out is that of the one that it is like, and of its own class only the name.
    """
    begun = shipped_profiles()[FIRST]
    sections: dict[str, type[BaseModel]] = {
        name: TABLES[name] if name in TABLES else type(field.default)
        for name, field in Settings.model_fields.items()
    }
    for section, model in sections.items():
        for key, field in model.model_fields.items():
            default = field.default if model is not Profile else getattr(begun, key)
            yield section, key, "required" if field.is_required() else f"`{_as_toml(default)}`"


def _as_toml(value: object) -> str:
    if isinstance(value, SecretStr):
        return json.dumps(value.get_secret_value())
    return json.dumps(str(value) if isinstance(value, Path) else value)


def error_classes() -> Iterator[tuple[str, str]]:
    for package in ("node", "ai", "config", "pipeline_training"):
        for path in sorted((ROOT / package).glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = (n.name for n in tree.body if isinstance(n, ast.ClassDef) and n.name.endswith("Error"))
            yield from ((package, name) for name in names if not name.startswith("_"))


def python_blocks() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            yield page.name, block


@pytest.mark.parametrize(("section", "key"), sorted(set(settings_of_the_packaged_file())))
def test_setting_has_a_row_in_its_section(section: str, key: str) -> None:
    assert f"| `{key}` |" in rows_of_section(section)


@pytest.mark.parametrize(("section", "key", "default"), list(settings_with_defaults()))
def test_setting_is_documented_with_its_default(section: str, key: str, default: str) -> None:
    rows = rows_of_section(section)

    assert f"| `{key}` | {default} |" in rows


def test_measurement_has_a_heading() -> None:
    pixels = np.linspace(0, 1, 256 * 256, dtype=np.float32).reshape(256, 256)
    radiograph = Radiograph(pixels, PixelSpacing(1.0, 1.0, "Pixel Spacing", calibrated=True))
    measured = measure(radiograph, StandInSegmenter().segment([radiograph])[0])

    assert [result.name for result in measured] == list(MEASUREMENTS)
    assert [result.name for result in measured] == [
        name for name in sections(text("measurements.md")) if name[0].islower()
    ]


@pytest.mark.parametrize("state", list(State))
def test_job_state_has_a_row(state: State) -> None:
    assert f"| `{state.value}` |" in text("operations.md")


@pytest.mark.parametrize("name", [name for name in vars(statuses) if name.isupper()])
def test_dimse_status_has_a_row(name: str) -> None:
    value = getattr(statuses, name)

    if isinstance(value, int):
        assert f"| `0x{value:04X}` |" in text("operations.md"), f"{name} is not in docs/operations.md"


@pytest.mark.parametrize("name", [name for name in vars(commitment_statuses) if name.isupper()])
def test_status_of_storage_commitment_is_told(name: str) -> None:
    value = getattr(commitment_statuses, name)

    if isinstance(value, int) and value > commitment_statuses.SOME_FAILED:  # beside them are types of action
        assert f"0x{value:04X}" in text("operations.md") + text("proof.md"), f"{name} is told nowhere"


@pytest.mark.parametrize(("package", "name"), sorted(set(error_classes())))
def test_error_class_is_listed(package: str, name: str) -> None:
    assert f"| `{name}` |" in text("errors.md"), f"{package}'s {name} is not in docs/errors.md"


@pytest.mark.parametrize("wanted", list(Format))
def test_format_has_a_heading(wanted: Format) -> None:
    assert f"### {wanted}\n" in text("formats.md")


@pytest.mark.parametrize("column", COLUMNS)
def test_column_of_the_table_has_a_row(column: str) -> None:
    rows = re.findall(r"^\| ([^|]*) \|", text("formats.md").split("### csv")[1], re.MULTILINE)

    assert f"`{column}`" in ", ".join(rows).split(", ")


@pytest.mark.parametrize("name", ai.__all__)
def test_name_for_python_has_a_row(name: str) -> None:
    assert re.search(rf"^\| `{name}\b", text("python.md"), re.MULTILINE), f"{name} is not in docs/python.md"


def test_label_table_is_counted_right() -> None:
    assert f"{len(LABELS)} structures" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_private_codes_are_all_in_their_table_and_no_others() -> None:
    named = [*vars(codes).values(), *codes.BY_UNIT.values(), *codes.FINDINGS.values()]
    own = {
        (code.value, code.meaning)
        for code in named
        if isinstance(code, Code) and code.scheme == codes.PRIVATE_SCHEME
    }
    table = text("dicom.md").split("### Private codes")[1]

    assert own == set(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", table.split("\n## ")[0], re.MULTILINE))


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


@pytest.mark.parametrize(("code", "rule"), list(RULES.items()))
def test_rule_of_the_gate_has_its_row(code: str, rule: str) -> None:
    assert f"| `{code}` | {rule} |" in text("conformance.md")


@pytest.mark.parametrize("profile", shipped_profiles().values(), ids=lambda profile: profile.name)
def test_shipped_profile_is_described_as_it_is(profile: Profile) -> None:
    reports = {"comprehensive-3d": "Comprehensive 3D", "comprehensive": "Comprehensive"}[profile.report]
    reports += ", structures" if profile.structure_report else ""
    seg = {"one": "one", "anatomy": "by anatomy"}[profile.grouping] if profile.seg != "none" else "none"
    yes = {True: "yes", False: "no"}
    syntaxes = ", ".join(profile.transfer_syntaxes).replace("rle", "RLE")
    cells = (seg, yes[profile.orientation_shim], reports, yes[profile.presentation_state])
    row = " | ".join((*cells, yes[profile.secondary_capture], syntaxes))
    (line,) = re.findall(rf"^\| `{profile.name}` \| .*", text("profiles.md"), re.MULTILINE)
    assert line.endswith(f"| {row} |")


@pytest.mark.parametrize("group", list(Group))
def test_group_of_structures_is_named(group: Group) -> None:
    assert f"`{group}`" in " ".join(text("profiles.md").split())


@pytest.mark.parametrize("word", [*Operator, *DERIVED])
def test_word_of_the_rules_has_a_row(word: str) -> None:
    assert re.search(rf"^\| `{word}` \|", text("rules.md"), re.MULTILINE)
