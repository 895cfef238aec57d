"""`paxnode config`: trying a settings file, putting it into effect, looking at what was, and going back."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from config.activation import Activation, ActiveFile
from config.differences import changes, masked
from config.errors import SettingsError
from config.home import user
from config.settings import environment, load_settings, settings_of
from config.source import Source
from config.versions import Version
from node.check import run_checks
from node.check_peers import CheckResult
from node.cli_jobs import MOMENT, print_rows
from node.unmatched import unmatched_warning
from node.uptake import last_good
from node.usable import check_file, usable

configuration = typer.Typer(
    help="Versions of the settings: try, activate, compare, go back.", no_args_is_help=True
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A settings file.")]
ActiveOption = Annotated[
    Path, typer.Option("--config", "-c", help="The node's own settings file, whose versions are meant.")
]
WhyOption = Annotated[str, typer.Option("--why", help="A reason, for the list of versions.")]


@configuration.command("check")
def check_one(file: FileArgument) -> None:
    """Say whether a node would take up a settings file, and what it would do; nothing is called or changed.

    Exit status: 0 it can be used, 1 it cannot.
    """
    raise typer.Exit(1 if print_checks(check_file(file)) else 0)


@configuration.command("activate")
def activate(file: FileArgument, config: ActiveOption, why: WhyOption = "") -> None:
    """Let a settings file be the active one, if it can be used; a running node takes it up within seconds."""
    done = ActiveFile(config, usable).activate(file, user(), why)
    _say(f"{config} is version {done.version.number} now")
    _say_what_became(config, done)


@configuration.command("list")
def list_versions(config: ActiveOption) -> None:
    """List the versions, the newest first; the one that the settings file holds is marked."""
    active = ActiveFile(config, usable)
    known, current = active.versions.all(), active.current()
    rows = [_row(version, current) for version in reversed(known)]
    print_rows(("", "version", "kept (UTC)", "by", "why", "sha256"), rows)
    if current is None and active.path.exists():
        _say(f"{config} as it is now is no version: it was changed and no node has taken it up", err=True)


@configuration.command("show")
def show(number: Annotated[int, typer.Argument(metavar="N")], config: ActiveOption) -> None:
    """Print the text of a version, its secrets as stars."""
    versions = ActiveFile(config, usable).versions
    typer.echo(masked(versions.text(versions.numbered(number))), nl=False)


@configuration.command("diff")
def diff(
    config: ActiveOption,
    before: Annotated[str, typer.Argument(metavar="[A]", help="Number of a version, or a file.")] = "",
    after: Annotated[str, typer.Argument(metavar="[B]", help="The same.")] = "",
) -> None:
    """Show which settings differ between A and B, secrets as stars.

    Without B: between version A and the settings file; for a file A, what would change if it were activated.
    Without both: what the last change was, or, where the settings file is no version, what it changes.
    """
    found = changes(*_compared(ActiveFile(config, usable), before, after))
    rows = [(each.place, each.before, each.after) for each in found]
    print_rows(("setting", "before", "after"), rows)
    if not rows:
        _say("no setting differs", err=True)


@configuration.command("rollback")
def roll_back(
    config: ActiveOption,
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="Which; the one before if left out.")
    ] = None,
    why: WhyOption = "",
) -> None:
    """Let a version be the active one again; each time without N goes one further back."""
    done = ActiveFile(config, usable).roll_back(user(), number, why)
    version = done.version
    same = f", the same as version {version.origin}" if version.origin not in {0, version.number} else ""
    _say(f"{config} is version {version.number} now{same}")
    _say_what_became(config, done)


def checks_of(config: Path | None) -> Iterator[CheckResult]:
    """Yield what `paxnode check` says; with a file that cannot be used, of what a start would use instead."""
    if config is None:
        yield from run_checks(load_settings())
        return
    try:
        settings = usable(Source.read(config, environment()))
    except SettingsError as error:
        found = last_good(config, usable)
        if found is None or found.version is None:
            yield from run_checks(load_settings(config))  # which raises, or tells what cannot be used
            return
        version = found.version
        kept = f"version {version.number}, kept {version.at.strftime(MOMENT)} UTC by {version.who}"
        yield CheckResult(
            "settings", False, f"{error}; a start uses the last good ones, {kept}, checked here:"
        )
        settings = found.settings
    yield from run_checks(settings)


def print_checks(results: Iterable[CheckResult]) -> int:
    """Print what was found; return how many checks failed."""
    console, failed = Console(), 0
    for result in results:
        good = "[yellow]warning[/]" if result.is_warning else "[green]ok[/]"
        mark = good if result.passed else "[bold red]failed[/]"
        console.print(f"{mark:>14}  [bold]{result.name}[/]: ", end="")
        console.print(result.words, markup=False, highlight=False, soft_wrap=True)
        failed += not result.passed
    return failed


def _say_what_became(config: Path, done: Activation) -> None:
    """Say where a text went that could not be used, and what the new one leaves undone."""
    if done.set_aside:
        _say(f"what it held cannot be used, and lies in {done.set_aside}")
    if warning := unmatched_warning(settings_of(Source.read(config, environment()))):
        _say(f"warning: {warning}", err=True)


def _compared(active: ActiveFile, before: str, after: str) -> tuple[Source, Source]:
    if before and after:
        return _side(active, before), _side(active, after)
    if before:
        sides = _side(active, before), Source.read(active.path, environment())
        return sides if before.isdecimal() else (sides[1], sides[0])
    known, current = active.versions.all(), active.current()
    if not known:
        raise SettingsError(f"{active.path}: has no version yet to compare with")
    number = known[-1].number if current is None else max(current.number - 1, 1)
    return _side(active, str(number)), Source.read(active.path, environment())


def _side(active: ActiveFile, which: str) -> Source:
    if not which.isdecimal():
        return Source.read(Path(which), environment())
    versions = active.versions
    version = versions.numbered(int(which))
    return Source.parsed(str(versions.path(version)), versions.text(version), environment())


def _row(version: Version, current: Version | None) -> tuple[str, ...]:
    mark = "active" if version == current else ""
    moment = version.at.strftime(MOMENT)
    return mark, str(version.number), moment, version.who, version.why, version.sha256[:12]


def _say(words: str, *, err: bool = False) -> None:
    Console(stderr=err).print(words, markup=False, highlight=False, soft_wrap=True)
