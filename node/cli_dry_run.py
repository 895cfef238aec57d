"""`paxnode dry-run`: what a settings file would do with the images that came last."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from config.settings import environment, load_settings
from config.source import Source
from node.cli_jobs import print_rows
from node.clock import clock_for
from node.database import check_current, existing_engine, shown_url
from node.dry_run import Candidates, Comparison, dry_run, in_words
from node.errors import StorageError
from node.job_store import JobStore
from node.spool import Spool
from node.usable import usable


def dry_run_of(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The settings file to try.")],
    config: Annotated[Path, typer.Option("--config", "-c", help="The node's own settings file.")],
    last: Annotated[int, typer.Option(min=1, max=10_000, help="So many images, the newest.")] = 20,
    only_changes: Annotated[bool, typer.Option("--changes", help="Only images with differences.")] = False,
) -> None:
    """Show what a settings file would do with the last images, beside what was done with them.

    Nothing is written and nobody is called. Whatever only the pixels decide is left out.
    """
    candidates = Candidates(load_settings(config), usable(Source.read(file, environment())))
    url, data_dir = candidates.present.database.url.get_secret_value(), candidates.present.node.data_dir
    engine = existing_engine(url, data_dir)
    if engine is None:
        raise StorageError(f"there is no queue in {shown_url(url, data_dir)}")
    try:
        check_current(engine)
        if not (data_dir / "objects").is_dir():
            raise StorageError(f"the data folder {data_dir} holds no images: is it mounted?")
        store = JobStore(engine, clock=clock_for(engine))
        found = dry_run(candidates, store, Spool(data_dir), last)
    finally:
        engine.dispose()
    shown = [each for each in found.images if each.differences or not only_changes]
    heads = ("job", "from", "was", "would be", "differences")
    print_rows(heads, [_row(each) for each in shown])
    for line in found.summary:
        Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def _row(each: Comparison) -> tuple[str, ...]:
    was = each.job.state.value if each.done is None else in_words(each.done)
    would = "its file is gone" if each.would is None else in_words(each.would)
    return str(each.job.id), each.job.calling_ae_title, was, would, "; ".join(each.differences)
