"""The command `paxnode`: settings are read here, once, and passed in."""

import os
import sys
from copy import copy
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from ai.errors import AiError
from config.settings import SettingsError, load_settings
from node.errors import NodeError
from node.logs import configure_logs
from node.part import ALL_PARTS, Part

EXIT_FAILED = 1
EXIT_USAGE = 2

PRIVATE = 0o077
"""What the node writes holds images of patients: for its own user only."""

app = typer.Typer(
    help="Chest radiograph in, DICOM Segmentation and Structured Report out. For research only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
VERSION = "--version"
ELSEWHERE = {
    "jobs": ("node.cli_jobs", "jobs"),
    "rules": ("node.cli_rules", "rules"),
    "config": ("node.cli_config", "configuration"),
    "users": ("node.cli_users", "users"),
    "housekeeping": ("node.cli_housekeeping", "housekeeping"),
    "doctor": ("node.cli_doctor", "doctor"),
    "dry-run": ("node.cli_dry_run", "dry_run_of"),
}
"""Commands with a module of their own, imported when they are called: together they take seconds."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file; the packaged one if left out.")
]

FormatOption = Annotated[
    list[str] | None,
    typer.Option("--format", help="Write npz, png, coco or csv as well; several times, or with commas."),
]
SpacingOption = Annotated[
    str | None,
    typer.Option("--spacing", metavar="MM|ROW,COLUMN", help="Pixel spacing of pictures that are not DICOM."),
]


def application(called: str = "") -> typer.Typer:
    """Return the command line, with the one command that is called, or all where that is none.

    Args:
        called: The first word after `paxnode`.
    """
    line = copy(app)
    line.registered_commands, line.registered_groups = [], []
    here = {VERSION, *(getattr(each.callback, "__name__", "") for each in app.registered_commands)}
    for name in () if called in here else [called] if called in ELSEWHERE else ELSEWHERE:
        module, attribute = ELSEWHERE[name]
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            line.add_typer(found, name=name)
        else:
            line.command(name)(found)
    line.registered_commands += app.registered_commands
    return line


def main() -> None:
    """Run the command line; every known error ends it with one sentence on standard error."""
    try:
        application(sys.argv[1] if len(sys.argv) > 1 else "")()
    except SettingsError as error:
        _end(error, EXIT_USAGE)
    except (AiError, NodeError) as error:
        _end(error, EXIT_FAILED)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"paxnode {version('paxnode')}")
        raise typer.Exit


@app.callback()
def _commands(
    _version: Annotated[
        bool, typer.Option(VERSION, callback=_tell_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Take what stands before a command."""


@app.command()
def serve(
    only: Annotated[
        list[Part] | None,
        typer.Option(help="Do only this, for one of several processes; several times for several parts."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run the node until SIGTERM or Ctrl-C. Changes of the settings file are taken up, at once on SIGHUP."""
    from node.assembly import build_node
    from node.uptake import Uptake, beginning
    from node.usable import usable

    parts = frozenset(only or ALL_PARTS)
    os.umask(PRIVATE)
    if config is None:
        settings = load_settings()
        configure_logs(settings.logging.level, settings.logging.format)
        build_node(settings, parts=parts).run_until_signal()
        return
    examine = partial(usable, with_model=Part.WORK in parts)
    begun = beginning(config, examine)
    configure_logs(begun.settings.logging.level, begun.settings.logging.format)
    node = build_node(begun.settings, parts=parts, settings_file=config)
    node.run_until_signal(Uptake(config, node, begun, examine))


@app.command()
def proof(
    study: Annotated[str, typer.Argument(metavar="[STUDY]", help="Study Instance UID.")] = "",
    job: Annotated[int | None, typer.Option("--job", help="Number of a job, instead of a study.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show what each destination has said of each result of a study: stored, committed, found, or why not.

    Exit status: 0 every delivery is proven, 1 something is not, 2 wrong usage.
    """
    from node.cli_proof import print_proof

    if bool(study) == (job is not None):
        raise typer.BadParameter("give the UID of a study, or --job with a number")
    is_proven = print_proof(load_settings(config), study, job, as_json=as_json)
    raise typer.Exit(0 if is_proven else EXIT_FAILED)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Try out settings, model, data folder, database, port and destinations, and say what is wrong."""
    from node.cli_config import checks_of, print_checks

    raise typer.Exit(EXIT_FAILED if print_checks(checks_of(config)) else 0)


@app.command()
def segment(  # noqa: PLR0913 - one for each option of the command
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files, or folders of any depth.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, one folder in it for each input.")],
    profile: Annotated[
        str,
        typer.Option(
            help="Destination profile: which objects, in which form. Default: that of the settings."
        ),
    ] = "",
    times: Annotated[
        bool, typer.Option("--times", help="Print the time of each stage and the memory.")
    ] = False,
    bundle: Annotated[str | None, typer.Option(help="Model bundle to use, a folder or .zip.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace results that stand there already.")] = False,
    formats: FormatOption = None,
    spacing: SpacingOption = None,
    config: ConfigOption = None,
) -> None:
    """Segment and measure radiographs from files, DICOM, PNG, JPEG or TIFF, without any network.

    Exit status: 0 all went well, 1 some inputs were refused or failed, 2 wrong usage or results in the way.
    """
    from node.cli_segment import file_options, segment_and_report
    from node.model import load_segmenter
    from node.options import options_of

    settings = load_settings(config)
    configure_logs("ERROR", "console")
    model = settings.model if bundle is None else settings.model.model_copy(update={"bundle": bundle})
    failed = segment_and_report(
        paths,
        out,
        lambda observe: load_segmenter(model, observe),
        options_of(settings.profile_named(profile), settings.results),
        appearance=settings.appearance,
        with_times=times,
        files=file_options(force, formats or (), spacing),
    )
    raise typer.Exit(EXIT_FAILED if failed else 0)


@app.command()
def demo(
    radiograph: Annotated[
        Path | None,
        typer.Argument(metavar="[DICOM]", exists=True, dir_okay=False, help="Your own radiograph."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder for everything the demonstration writes.")] = Path(
        "demo"
    ),
    bundle: Annotated[str, typer.Option(help="Model bundle to use, a folder or .zip.")] = "",
) -> None:
    """Send a radiograph through a node on this machine and show what comes back."""
    from node.demo import run_demo

    raise typer.Exit(0 if run_demo(radiograph, folder, bundle) else EXIT_FAILED)


def _end(error: Exception, status: int) -> NoReturn:
    console = Console(stderr=True)
    console.print("[bold red]paxnode:[/] ", end="")
    console.print(str(error), markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
