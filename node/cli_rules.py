"""`paxnode rules`: what the rules of a settings file do with images, before they do it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import load_settings
from node.cli_jobs import PIPED_WIDTH
from node.errors import NodeError
from node.logs import configure_logs
from node.rule_facts import Titles
from node.rule_trial import Trial, try_rules
from node.rule_words import found_words, wanted_words
from node.rules import RuleRead

rules = typer.Typer(help="What the rules do with images.", no_args_is_help=True)

EXIT_FAILED = 1


@rules.callback()
def rules_command() -> None:
    """Keep `test` a command of its own while it is the only one."""


@rules.command("test")
def try_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DICOM files.")],
    calling: Annotated[str, typer.Option("--from", help="AE title that would send them.")] = "",
    called: Annotated[
        str, typer.Option("--to", help="AE title that it would call; the node's if left out.")
    ] = "",
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings file of the node.")] = None,
) -> None:
    """Show which rule each image meets, why, and what the node would do. Nothing is sent, stored or logged.

    Values of the images are shown, those of patients too. Exit status: 0, or 1 where a file cannot be read.
    """
    settings = load_settings(config)
    configure_logs("ERROR", "console")
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    failed = 0
    for path in files:
        try:
            trial = try_rules(settings, path, Titles(calling, called or settings.node.ae_title))
        except NodeError as error:
            console.print(f"{path}: {error}", markup=False, highlight=False, soft_wrap=True)
            failed += 1
            continue
        _print(console, trial)
    raise typer.Exit(EXIT_FAILED if failed else 0)


def _print(console: Console, trial: Trial) -> None:
    console.print(Text(str(trial.path), style="bold"), soft_wrap=True)
    if trial.explanation.rules:
        console.print(_table(trial.explanation.rules))
    decided = ", ".join(trial.explanation.decision.rules) or "none"
    for line in (f"rule: {decided}", *trial.steps):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _table(read: Sequence[RuleRead]) -> Table:
    table = Table("rule", "", "wanted", "found", "holds")
    for rule in read:
        mark = "decides" if rule.counts else "holds" if rule.holds else ""
        if not rule.conditions:
            table.add_row(rule.name, mark, "every image", "", "yes")
        for number, each in enumerate(rule.conditions):
            head = (rule.name, mark) if number == 0 else ("", "")
            holds = "yes" if each.holds else "no"
            table.add_row(*head, Text(wanted_words(each.condition)), Text(found_words(each.found)), holds)
    return table
