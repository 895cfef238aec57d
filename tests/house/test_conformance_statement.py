"""docs/conformance_statement.md is what the code does: it was written by it, and nothing is left out."""

import re
from collections.abc import Callable, Iterator
from difflib import unified_diff
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset

from ai.labels import LABELS
from config.profiles import Profile, shipped_profiles
from config.settings import ResultSettings
from node import statuses
from node.conformance import CHECKS
from node.contexts import STORAGE_CLASSES, transfer_syntaxes
from node.options import options_of
from node.outcome import STATUS_RULES, StatusRule
from node.pipeline import understand, write
from node.transcode import SYNTAXES
from tests.house.conformance_statement import PAGE, TEMPLATE, statement
from tests.house.statement.network import KINDS
from tests.house.statement.notes import NOTES
from tests.house.statement.subjects import FewStructures, Written, written
from tests.house.statement.walk import Node, Origin, merged

MakeDx = Callable[..., Dataset]
FORMS = (
    *(shipped_profiles()[name] for name in ("standard", "legacy")),
    Profile(name="maps", seg="labelmap", grouping="anatomy", report="none"),
    Profile(name="bytes", seg="fractional", orientation_shim=True, report="none"),
)
"""Together they have every kind of object."""

TEXT = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"})
"""Value representations of text (PS3.5 6.2); the sources' own is ASCII."""


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def objects() -> list[Written]:
    return list(written())


@pytest.fixture(scope="module")
def results(make_dx: MakeDx) -> list[Dataset]:
    """What profiles make of an image of its own, apart from those that the page was written with."""
    content = BytesIO()
    make_dx().save_as(content, enforce_file_format=True)
    content.seek(0)
    found = understand(content, FewStructures(), lambda _stage, _seconds: None)
    forms = (options_of(profile, ResultSettings()) for profile in FORMS)
    return [result.dataset for options in forms for result in write(found, options)]


def _section(page: str, heading: str) -> str:
    """Return the text below a heading, up to the next one of any level."""
    (found,) = re.findall(rf"^#+ [\d.]+ {re.escape(heading)}\n(.*?)(?=^#)", page, re.MULTILINE | re.DOTALL)
    return str(found)


def _rows(page: str, kind: str) -> Iterator[str]:
    yield from _section(page, "Attributes of every object").splitlines()
    yield from _section(page, kind).splitlines()


def test_the_page_is_what_the_code_gives(page: str, objects: list[Written]) -> None:
    lines = page.splitlines()
    changed = list(unified_diff(lines, statement(objects).splitlines(), lineterm="", n=0))[2:]

    assert changed == [], "the code has changed: write the page anew with `make statement`"


def test_no_uid_of_a_run_is_in_the_page(page: str, objects: list[Written]) -> None:
    uids = {
        str(getattr(each.dataset, f"{name}InstanceUID")) for each in objects for name in ("SOP", "Series")
    }
    uids |= {str(each.source.SOPInstanceUID) for each in objects}

    assert [uid for uid in uids if uid in page] == []


def test_every_place_of_the_template_is_filled(page: str) -> None:
    assert "{{" in TEMPLATE.read_text(encoding="utf-8")
    assert "{{" not in page


@pytest.mark.parametrize("uid", [*STORAGE_CLASSES, *CHECKS], ids=str)
def test_sop_class_that_the_node_takes_or_makes_is_in_it(page: str, uid: str) -> None:
    overview = _section(page, "Conformance statement overview")
    is_taken, is_made = uid in STORAGE_CLASSES, uid in CHECKS
    (name,) = set(re.findall(rf"^\| ([^|]+) \| {re.escape(uid)} \|", page, re.MULTILINE))

    yes = {True: "Yes", False: "No"}
    assert f"| {name} | {yes[is_made]} | {yes[is_taken]} |" in overview


@pytest.mark.parametrize("syntax", [*transfer_syntaxes(), *SYNTAXES.values()], ids=str)
def test_transfer_syntax_is_in_it(page: str, syntax: str) -> None:
    assert f" {syntax} |" in page or f"({syntax})" in page


@pytest.mark.parametrize("name", [name for name in vars(statuses) if name.isupper()])
def test_status_that_the_node_answers_is_in_it(page: str, name: str) -> None:
    value = getattr(statuses, name)

    assert f"| `0x{value:04X}` |" in _section(page, "Activity: receive an object")


@pytest.mark.parametrize("rule", STATUS_RULES, ids=lambda rule: f"{rule.first:04X}-{rule.last:04X}")
def test_status_that_peers_answer_is_in_it(page: str, rule: StatusRule) -> None:
    last = "" if rule.first == rule.last else f" to `0x{rule.last:04X}`"

    assert f"| `0x{rule.first:04X}`{last} | {rule.reason} |" in _section(page, "Activity: send results")


def test_every_attribute_of_every_object_is_in_its_table(page: str, results: list[Dataset]) -> None:
    kinds = {str(uid): kind for kind, uids in KINDS.items() for uid in uids}
    missing = set()
    for result in results:
        rows = list(_rows(page, kinds[str(result.SOPClassUID)]))
        tags = [f"({element.tag.group:04X},{element.tag.element:04X})" for element in result]
        missing |= {
            tag for tag in tags if not any(re.match(rf"\| [^>|]+ \| {re.escape(tag)} \|", r) for r in rows)
        }

    assert {str(result.SOPClassUID) for result in results} == set(kinds)
    assert missing == set(), "an attribute is new: write the page anew with `make statement`"


def test_a_value_that_is_stated_as_fixed_is_the_one_that_is_written(
    page: str, results: list[Dataset]
) -> None:
    kinds = {str(uid): kind for kind, uids in KINDS.items() for uid in uids}
    for result in results:
        fixed = dict(
            re.findall(
                r"^\| [^>|]+ \| \(([^)]+)\) \| (?:CS|LO|SH) \| ALWAYS \| FIXED \| ([^|\"]+) \|",
                "\n".join(_rows(page, kinds[str(result.SOPClassUID)])),
                re.MULTILINE,
            )
        )
        assert fixed
        for tag, value in fixed.items():
            written_value = result[tag.replace(",", "")].value
            shown = written_value if isinstance(written_value, str) else "\\".join(written_value)
            assert shown == value


@pytest.fixture(scope="module")
def nodes(objects: list[Written]) -> dict[str, Node]:
    """Every attribute that was written, by path, and by kind and path."""
    found = {row.path: row.node for row in merged(objects, "file_meta")}
    for kind, uids in KINDS.items():
        for row in merged(each for each in objects if each.dataset.SOPClassUID in uids):
            found[row.path] = found[f"{kind}/{row.path}"] = row.node
    return found


def test_every_note_is_on_an_attribute_that_is_written(nodes: dict[str, Node]) -> None:
    assert [path for path in NOTES if path not in nodes] == [], (
        "take it out of tests/house/statement/notes.py"
    )


def test_what_a_note_calls_fixed_has_one_value(nodes: dict[str, Node]) -> None:
    fixed = [path for path, (origin, _) in NOTES.items() if origin is Origin.FIXED]

    assert fixed
    assert [path for path in fixed if len(nodes[path].terms) > 1] == []


def test_template_that_a_report_names_is_told_as_used(page: str, results: list[Dataset]) -> None:
    used, not_used = _section(page, "Templates").split("TID 1411", 1)
    named = {str(item.TemplateIdentifier) for result in results for item in _templates(result)}

    assert named
    for template in named:
        assert f"| TID {template} |" in used
        assert template not in not_used


def _templates(item: Dataset) -> Iterator[Dataset]:
    yield from item.get("ContentTemplateSequence", [])
    for child in item.get("ContentSequence", []):
        yield from _templates(child)


def test_every_type_of_structure_is_in_it(page: str) -> None:
    rows = _section(page, "Structures")

    assert [item.name for item in LABELS if f"| {item.type.value} | {item.type.scheme} |" not in rows] == []


def test_what_is_not_supported_is_named(page: str) -> None:
    overview = _section(page, "Conformance statement overview")

    for service in (
        "Storage Commitment",
        "Query/Retrieve",
        "Modality Worklist",
        "STOW-RS",
    ):
        assert service in overview
    assert "| none | No | No |" in overview


def test_the_page_is_linked_from_the_page_on_dicom() -> None:
    assert "(conformance_statement.md)" in (Path(PAGE).parent / "dicom.md").read_text(encoding="utf-8")


def test_text_that_the_node_adds_is_ascii_as_the_page_says(page: str, objects: list[Written]) -> None:
    assert "| text that paxnode adds | ASCII" in _section(page, "Support of character sets")
    for each in objects:
        texts = [str(element.value) for element in each.dataset.iterall() if element.VR in TEXT]
        assert texts
        assert [text for text in texts if not text.isascii()] == []
