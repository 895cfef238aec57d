"""Commands and settings in the documentation are ones that the programs take."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from config.settings import load_settings
from tests.house.command_reference import PAGE, PROGRAMS, page
from tests.house.pages import PAGES, Block, blocks, commands

WRONG_USAGE = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "UsageError")
"""What the parser raises: of click, or of Typer's own copy of it, by its version."""

SHELL = ("sh", "console")


def calls() -> Iterator[tuple[str, list[str]]]:
    for block in blocks(*SHELL):
        yield from ((block.page, words) for words in commands(block))


def understood(words: list[str]) -> list[str]:
    """Return the required parameters that a call leaves out; raise on a command or an option that is none."""
    command: Any = typer.main.get_command(PROGRAMS[words[0]][0])
    context = command.context_class(command, info_name=words[0])
    rest = words[1:]
    while below := getattr(command, "commands", None):
        assert rest, f"{words} names no command"
        assert rest[0] in below, f"{rest[0]!r} is no command of {context.info_name}"
        command, rest = below[rest[0]], rest[1:]
        context = command.context_class(command, info_name=command.name, parent=context)
    if "--help" in rest:
        return []
    given, left, _ = command.make_parser(context).parse_args(list(rest))
    assert left == [], f"{words} gives more than {command.name} takes"
    return [each.name for each in command.params if each.required and not given.get(each.name)]


@pytest.mark.parametrize(
    ("page_name", "words"),
    list(calls()),
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_command_in_the_docs_is_one_that_the_program_takes(page_name: str, words: list[str]) -> None:
    assert understood(words) == [], page_name


@pytest.mark.parametrize(
    "words",
    [
        ["paxnode", "sreve"],
        ["paxnode", "jobs", "show"],
        ["paxnode", "check", "--cfg", "x"],
        ["paxnode", "demo", "a", "b"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_is_found(words: list[str]) -> None:
    with pytest.raises((AssertionError, WRONG_USAGE)):
        assert understood(words) == []


def test_page_of_commands_is_what_the_programs_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write the page anew with `make commands`"


@pytest.mark.parametrize("block", list(blocks("toml")), ids=lambda block: block.page)
def test_settings_in_the_docs_can_be_used(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(block.text, encoding="utf-8")

    load_settings(file)


@pytest.mark.parametrize("page_name", [each.name for each in PAGES])
def test_every_block_says_what_language_it_is_in(page_name: str) -> None:
    assert [block.text for block in blocks() if block.page == page_name and not block.language] == []


@pytest.mark.parametrize("block", list(blocks("python", "py")), ids=lambda block: block.page)
def test_python_in_the_docs_can_be_read(block: Block) -> None:
    ast.parse(block.text)
