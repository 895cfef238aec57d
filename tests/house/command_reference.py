"""Writes docs/commands.md anew from the programs themselves: `make commands`."""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer.main

from node.cli import application
from pipeline_training.cli import app as training_app
from tests.house.pages import DOCS

PAGE = DOCS / "commands.md"
PROGRAMS = {
    "paxnode": (application(), "the node, and everything that is done around it"),
    "paxnode-train": (training_app, "from labelled volumes to a model bundle ([training.md](training.md))"),
}
Command = Any
"""A command or a parameter of one, as Typer makes them: of click or of its own copy of that."""

TAKEN = {bool: "", str: "text", int: "number", float: "number", Path: "path"}

HEAD = """# Commands

Two programs; both are in `.venv/bin`. `--help` says the same as this page, which is written from the programs
themselves by `make commands`, so that it lacks none of their commands and options. `--version` tells
which they are.

A known error is one sentence on standard error, and exit status 1; wrong usage and wrong settings give 2.
Where a command says otherwise, that stands with it. `--config` names the settings file; a command that finds
the queue by its settings needs the same file, and the same [environment](environment.md), as the node.
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for name, (_, words) in PROGRAMS.items():
        parts.append(f"## {name}\n\n`{name}`: {words}.\n")
        parts += [_section(path, command) for path, command in commands_of(name)]
    return "\n".join(parts)


def commands_of(program: str) -> Iterator[tuple[str, Command]]:
    """Yield every command of a program that does something, with all the words that call it."""
    yield from _below(program, typer.main.get_command(PROGRAMS[program][0]))


def _below(path: str, command: Command) -> Iterator[tuple[str, Command]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, each in below.items():
        yield from _below(f"{path} {name}", each)


def _section(path: str, command: Command) -> str:
    words = re.sub(r"(?<!\n)\n(?!\n)", " ", (command.help or "").strip())
    stated = inspect.signature(inspect.unwrap(command.callback), eval_str=True).parameters
    rows = [_row(each, stated[each.name]) for each in command.params if each.name in stated]
    table = ["| argument or option | takes | default | |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"### {path}", "", words, "", *table])


def _row(parameter: Command, stated: inspect.Parameter) -> str:
    cells = (_names(parameter), _takes(stated.annotation), _default(parameter, stated), parameter.help or "")
    escaped = (cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _names(parameter: Command) -> str:
    if parameter.param_type_name == "argument":
        return f"`{re.sub(r'[^A-Z]', '', (parameter.metavar or parameter.name).upper())}`"
    return " ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _takes(annotation: Any) -> str:
    """Return what a parameter of this type takes, in words; nothing for a switch."""
    inner = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is list:
        return f"{_takes(inner[0])}, several"
    if inner:  # Annotated, or "or None"
        return _takes(inner[0])
    if issubclass(annotation, Enum):
        return ", ".join(f"`{choice.value}`" for choice in annotation)
    return TAKEN[annotation]


def _default(parameter: Command, stated: inspect.Parameter) -> str:
    if parameter.required:
        return "required"
    value = stated.default
    if value is None or value is False or value == "":
        return ""
    return f"`{value.name if isinstance(value, Path) else value}`"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
