"""`paxnode proof`: what each destination has said of each result of a study."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import typer
from rich.console import Console

from config.settings import Settings
from node.cli_jobs import MOMENT, print_rows, store_of
from node.errors import TransitionError
from node.job_store import JobStore
from node.jobs import Delivery, DeliveryState, Job
from node.proofs import Proof, said
from node.states import State

IN_WORK = frozenset({State.RECEIVED, State.QUEUED, State.SEGMENTING})
"""Jobs in these states may yet have results that are to be delivered."""

HEADS = ("job", "kind", "SOP Instance UID", "destination", "state", "stored", "committed", "found", "reason")


@dataclass(frozen=True)
class ProofLine:
    """What one destination has said of one result; moments are ISO 8601 in UTC, empty where there is none.

    Attributes:
        job: The job's number.
        kind: What the result is, such as "SEG"; empty for a job without results.
        sop_instance_uid: The result, or the image of a job without results.
        destination: Who was sent it.
        state: Of the delivery, or of a job without results.
        stored_at: When it last answered that it stored it.
        status: What it then answered, such as "0x0000".
        committed_at: When it committed itself to it.
        found_at: When it was found there.
        proven: Whether nothing is awaited any more.
        reason: What is awaited, or what failed and why.
    """

    job: int
    kind: str
    sop_instance_uid: str
    destination: str
    state: str
    stored_at: str
    status: str
    committed_at: str
    found_at: str
    proven: bool
    reason: str


def print_proof(settings: Settings, study: str, job: int | None, *, as_json: bool) -> bool:
    """Print a line for each delivery; return whether every one is proven.

    Args:
        settings: Those of the node.
        study: A Study Instance UID; empty: the job is meant.
        job: The number of a job.
        as_json: Print a JSON array instead of a table.

    Raises:
        TransitionError: There is no such study or job.
    """
    store = store_of(settings)
    which = f"study {study}" if job is None else f"job {job}"
    numbers = [] if store is None else store.jobs_of_study(study) if job is None else [job]
    found = [each for number in numbers if store is not None and (each := store.job(number)) is not None]
    if store is None or not found:
        raise TransitionError(f"nothing of {which} has come to this node")
    lines = [line for each in found for line in _lines_of(store, each)]
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        print_rows(HEADS, [_row(line) for line in lines])
        open_ = sum(not line.proven for line in lines)
        told = f"{len(lines) - open_} of {len(lines)} have every proof that is asked for"
        Console(stderr=True).print(told, markup=False, highlight=False, soft_wrap=True)
    return all(line.proven for line in lines)


def _lines_of(store: JobStore, job: Job) -> Iterator[ProofLine]:
    deliveries, proofs = store.deliveries(job_id=job.id), store.proofs(job.id)
    for delivery in deliveries:
        yield _line(delivery, proofs)
    if not deliveries or job.state in IN_WORK:
        proven = job.state not in IN_WORK
        yield ProofLine(
            job.id, "", job.sop_instance_uid, "", job.state.value, "", "", "", "", proven, job.reason
        )


def _line(delivery: Delivery, proofs: Sequence[Proof]) -> ProofLine:
    heard = said(delivery, proofs)
    return ProofLine(
        job=delivery.job_id,
        kind=delivery.result.kind,
        sop_instance_uid=delivery.result.sop_instance_uid,
        destination=delivery.destination,
        state=delivery.state.value,
        stored_at=_moment(heard.stored),
        status=heard.stored.reason if heard.stored is not None else "",
        committed_at=_moment(heard.committed),
        found_at=_moment(heard.found),
        proven=delivery.state is DeliveryState.DELIVERED,
        reason=delivery.reason,
    )


def _moment(proof: Proof | None) -> str:
    return "" if proof is None else proof.at.isoformat(timespec="seconds")


def _row(line: ProofLine) -> tuple[str, ...]:
    def short(moment: str) -> str:
        return datetime.fromisoformat(moment).strftime(MOMENT) if moment else "-"

    stored = f"{short(line.stored_at)} {line.status}".strip()
    uids = (str(line.job), line.kind or "-", line.sop_instance_uid, line.destination or "-", line.state)
    return (*uids, stored, short(line.committed_at), short(line.found_at), line.reason)
