"""`paxnode housekeeping`: removing what is due, or telling what is kept and why."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from config.settings import load_settings
from node.auditor import audit_trail
from node.clock import clock_for
from node.database import check_current, existing_engine, shown_url, upgrade
from node.errors import StorageError
from node.housekeeping import Housekeeper
from node.housekeeping_report import report, tidied_words
from node.keeping_store import KeepingStore
from node.ownership import settle_ownership
from node.spool import Spool


def housekeeping(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    report_: Annotated[bool, typer.Option("--report", help="Tell what is kept, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings file of the node.")] = None,
) -> None:
    """Remove what the retention settings say is due, now; a running node does so by itself.

    Images and results go only when every result is proven at every destination.
    """
    settings = load_settings(config)
    url, data_dir = settings.database.url.get_secret_value(), settings.node.data_dir
    engine = existing_engine(url, data_dir)
    if engine is None:
        raise StorageError(f"there is no queue in {shown_url(url, data_dir)}")
    if dry_run or report_:
        check_current(engine)
    else:
        upgrade(engine)
    spool, clock = Spool(data_dir), clock_for(engine)
    store = KeepingStore(engine, clock)
    if not (dry_run or report_):
        settle_ownership(spool, store)
    audit = audit_trail(settings)
    keeper = Housekeeper(settings.retention, spool, store, audit.deleted(spool))
    try:
        if report_:
            found = report(engine, spool, keeper, settings.retention, clock)
            _say([found.as_json()] if as_json else list(found.words()))
        else:
            _tidy(keeper, dry_run=dry_run, as_json=as_json)
    finally:
        audit.close()
        engine.dispose()


def _tidy(keeper: Housekeeper, *, dry_run: bool, as_json: bool) -> None:
    done = keeper.would_tidy() if dry_run else keeper.tidy()
    verb = "would be removed" if dry_run else "removed"
    _say([json.dumps(asdict(done))] if as_json else list(tidied_words(done, verb)))


def _say(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)
