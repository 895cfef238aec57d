"""`paxnode jobs`: looking at the queue, and running again what was put aside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydicom.uid import UID
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import load_settings
from node.database import engine_for, upgrade
from node.errors import TransitionError
from node.job_store import JobStore
from node.jobs import Delivery, Job, JobEvent
from node.states import State

jobs = typer.Typer(help="What came, what became of it, and running it again.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file of the node.")]
JobArgument = Annotated[
    int, typer.Argument(metavar="JOB", help="Number of the job, from `paxnode jobs list`.")
]
MOMENT = "%Y-%m-%d %H:%M:%S"


@jobs.command("list")
def list_jobs(
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    config: ConfigOption = None,
) -> None:
    """List jobs, the newest first."""
    table = Table("job", "received", "state", "from", "SOP Instance UID", "reason")
    for job in _store(config).jobs(state=state, limit=limit):
        moment = job.created_at.strftime(MOMENT)
        table.add_row(
            str(job.id), moment, job.state, job.calling_ae_title, job.sop_instance_uid, Text(job.reason)
        )
    Console().print(table)


@jobs.command("show")
def show_job(job: JobArgument, config: ConfigOption = None) -> None:
    """Show one job: what it is, its history, its results and their deliveries."""
    store, console = _store(config), Console()
    found = store.job(job)
    if found is None:
        raise TransitionError(f"there is no job {job}; `paxnode jobs list` lists them")
    console.print(_facts(found))
    console.print(_history(store.history(job)))
    deliveries = store.deliveries(job_id=job)
    for result in store.results(job):
        console.print(
            f"{result.kind}  {result.sop_instance_uid}  {result.path}", highlight=False, soft_wrap=True
        )
    if deliveries:
        console.print(_deliveries(deliveries))


@jobs.command("retry")
def retry_job(job: JobArgument, config: ConfigOption = None) -> None:
    """Run a job again that was refused, quarantined or failed, or send its parked results again."""
    state = _store(config).retry(job).state
    Console().print(f"job {job} is {state} now; a running node takes it from there")


def _store(config: Path | None) -> JobStore:
    settings = load_settings(config)
    engine = engine_for(settings.database.url.get_secret_value(), settings.node.data_dir)
    upgrade(engine)
    return JobStore(engine, settings.worker.max_attempts)


def _facts(job: Job) -> Table:
    table = Table(show_header=False, box=None)
    facts = {
        "job": str(job.id),
        "state": job.state.value,
        "reason": job.reason,
        "from": job.calling_ae_title,
        "SOP Class": UID(job.sop_class_uid).name,
        "SOP Instance UID": job.sop_instance_uid,
        "Study Instance UID": job.study_instance_uid,
        "file": job.path,
        "attempts": str(job.attempts),
    }
    for name, value in facts.items():
        if value:
            table.add_row(name, Text(value))
    return table


def _history(events: Sequence[JobEvent]) -> Table:
    table = Table("when (UTC)", "event", "state", "reason", title="history", title_justify="left")
    for event in events:
        moment = event.at.strftime(MOMENT)
        table.add_row(moment, event.event, event.to_state, Text(event.reason))
    return table


def _deliveries(deliveries: Sequence[Delivery]) -> Table:
    table = Table("destination", "object", "state", "attempts", "status", "reason", title="deliveries")
    for each in deliveries:
        status = "" if each.status is None else f"0x{each.status:04X}"
        kind, attempts = each.result.kind, str(each.attempts)
        table.add_row(each.destination, kind, each.state.value, attempts, status, Text(each.reason))
    return table
