"""`paxnode doctor`: what the doctor finds, for a person or a program."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from config.settings import load_settings
from node.doctor_steps import Examination, StepState
from node.logs import configure_logs

STYLES = {
    StepState.PASSED: "green",
    StepState.FAILED: "bold red",
    StepState.NOT_ASKED: "dim",
    StepState.SKIPPED: "yellow",
}

EXIT_FAILED = 1


def doctor(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Destinations, AE titles of peers, or 'node'; all if left out."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings file of the node.")] = None,
) -> None:
    """Try this node and everybody it reaches step by step, and say what to do where something fails.

    Nothing is stored or changed. Exit status: 0 nothing failed, 1 a step failed, 2 wrong usage or settings.
    """
    from node.doctor import Diagnosis, examinations
    from node.doctor_node import Told

    settings = load_settings(config)
    configure_logs("ERROR", "console")
    found = examinations(settings, names or (), Told(config))
    console = Console()
    if as_json:
        told = Diagnosis(tuple(found))
        typer.echo(told.as_json())
    else:
        told = Diagnosis(tuple(_printed(console, found)))
    raise typer.Exit(0 if told.passed else EXIT_FAILED)


def _printed(console: Console, found: Iterable[Examination]) -> Iterator[Examination]:
    """Print each as soon as it is there."""
    for each in found:
        for line in lines_of(each):
            console.print(line, soft_wrap=True)
        yield each


def lines_of(found: Examination) -> Iterator[Text]:
    """Yield an examination in lines for a person."""
    yield Text.assemble((f"{found.subject.value} {found.name}", "bold"), f" ({found.place})")
    for step in found.steps:
        state = step.state.value
        yield (
            Text.assemble(f"  {state:<10}", style=STYLES[step.state])
            .append(f"{step.name}: ", "bold")
            .append(step.words, "default")
        )
        if step.advice:
            yield Text(f"{'':<12}→ {step.advice}")
