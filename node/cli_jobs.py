"""`paxnode jobs`: looking at the queue, and running again what was put aside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydicom.uid import UID
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import Settings, load_settings
from node.clock import clock_for
from node.database import check_current, existing_engine, shown_url
from node.errors import TransitionError
from node.identities import JobSearch
from node.job_store import JobStore
from node.jobs import Delivery, DeliveryState, Job, JobEvent
from node.states import State

jobs = typer.Typer(help="What came, what became of it, and running it again.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file of the node.")]
JobArgument = Annotated[
    int, typer.Argument(metavar="JOB", help="Number of the job, from `paxnode jobs list`.")
]
MOMENT = "%Y-%m-%d %H:%M:%S"

AWAITED = frozenset({DeliveryState.WAITING, DeliveryState.SENT})
"""Deliveries in these states are gone on with by themselves."""

PIPED_WIDTH = 1000
"""Characters in a line where nobody has a window: no value is wrapped or cut."""


@jobs.command("list")
def list_jobs(
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    accession: Annotated[str, typer.Option(help="Only images with this Accession Number.")] = "",
    patient: Annotated[str, typer.Option(help="Only images with this Patient ID.")] = "",
    study: Annotated[str, typer.Option(help="Only images with this Study Instance UID.")] = "",
    sender: Annotated[str, typer.Option(help="Only images from this AE title.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    config: ConfigOption = None,
) -> None:
    """List jobs, the newest first: all, or those that fit everything that is asked for."""
    store = _store(config)
    search = JobSearch(state, accession, patient, study, sender)
    found = [] if store is None else store.find(search, limit)
    rows = [
        (str(j.id), j.created_at.strftime(MOMENT), j.state, j.calling_ae_title, j.sop_instance_uid, j.reason)
        for j in found
    ]
    print_rows(("job", "received (UTC)", "state", "from", "SOP Instance UID", "reason"), rows)
    if not rows:
        which = "no queue" if store is None else _none_of(search)
        console = Console(stderr=True)
        console.print(f"{which} in {_place(config)}", markup=False, highlight=False, soft_wrap=True)


@jobs.command("show")
def show_job(job: JobArgument, config: ConfigOption = None) -> None:
    """Show one job: what it is, its history, its results and their deliveries."""
    store, console = _store(config), Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    found = None if store is None else store.job(job)
    if store is None or found is None:
        raise TransitionError(f"there is no job {job} in {_place(config)}; `paxnode jobs list` lists them")
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
    """Run a job again that was put aside, unless other content came under its UID, or send parked results."""
    state = _existing(config, job).retry(job).state
    Console().print(f"job {job} is {state} now; a running node takes it from there")


@jobs.command("rerun")
def rerun_job(job: JobArgument, config: ConfigOption = None) -> None:
    """Run a job again that is done, with the model and the configuration of now.

    What comes out is new where the model or what is written has changed: in series of its own, and the report
    names the one that it supersedes. Where nothing has changed, nothing is sent.
    """
    _existing(config, job).rerun(job)
    Console().print(f"job {job} is queued; a running node takes it from there")


@jobs.command("resend")
def resend_job(
    job: JobArgument,
    to: Annotated[str, typer.Option("--to", help="Only to this destination.")] = "",
    config: ConfigOption = None,
) -> None:
    """Send the results of a job again, also what was delivered: the same objects under the same UIDs.

    Destinations that the settings do not have any more are left out.
    """
    known = [destination.name for destination in load_settings(config).every_destination]
    state = _existing(config, job).resend(job, to, known).state
    Console().print(f"the results of job {job} are sent again; it is {state} now")


@jobs.command("cancel")
def cancel_job(
    job: JobArgument,
    why: Annotated[str, typer.Option("--why", help="A reason, for whoever looks at it later.")] = "",
    config: ConfigOption = None,
) -> None:
    """Let a job go that waits for a worker; `paxnode jobs retry` brings it back."""
    _existing(config, job).cancel(job, why)
    Console().print(f"job {job} is cancelled; `paxnode jobs retry {job}` brings it back")


def print_rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on a terminal; into a pipe or file, whole values between tabs and no head."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(" ".join(value.split()) for value in row))
        return
    table = Table(*heads)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def store_of(settings: Settings) -> JobStore | None:
    """Return the queue that settings name; None where there is none: looking makes none.

    Raises:
        StorageError: Its tables are those of an older version: a node that runs on them is left alone.
    """
    engine = existing_engine(settings.database.url.get_secret_value(), settings.node.data_dir)
    if engine is None:
        return None
    check_current(engine)
    return JobStore(engine, settings.worker.max_attempts, clock_for(engine))


def _store(config: Path | None) -> JobStore | None:
    return store_of(load_settings(config))


def _existing(config: Path | None, job: int) -> JobStore:
    """Return the queue; TransitionError where there is none, and so no such job."""
    store = _store(config)
    if store is None:
        raise TransitionError(f"there is no job {job}: there is no queue in {_place(config)}")
    return store


def _place(config: Path | None) -> str:
    settings = load_settings(config)
    return shown_url(settings.database.url.get_secret_value(), settings.node.data_dir)


def _none_of(search: JobSearch) -> str:
    is_narrow = search != JobSearch(search.state)
    kind = "no jobs" if search.state is None else f"no {search.state} jobs"
    return f"{kind} of those that were asked for" if is_narrow else kind


def _facts(job: Job) -> Table:
    table = Table(show_header=False, box=None)
    facts = {
        "job": str(job.id),
        "state": job.state.value,
        "reason": job.reason,
        "rule": job.rule,
        "from": job.calling_ae_title,
        "called": job.called_ae_title,
        "SOP Class": UID(job.sop_class_uid).name,
        "SOP Instance UID": job.sop_instance_uid,
        "Study Instance UID": job.study_instance_uid,
        "file": job.path,
        "files removed": job.files_removed_at.strftime(MOMENT) if job.files_removed_at else "",
        "attempts": str(job.attempts),
        "priority": job.priority.name.lower(),
        "trace": job.trace,
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
    heads = ("destination", "object", "state", "failed tries", "next try (UTC)", "status", "reason")
    table = Table(*heads, title="deliveries")
    for each in deliveries:
        status = "" if each.status is None else f"0x{each.status:04X}"
        kind, failed = each.result.kind, str(each.attempts)
        due = each.due_at.strftime(MOMENT) if each.state in AWAITED else ""
        table.add_row(each.destination, kind, each.state.value, failed, due, status, Text(each.reason))
    return table
