"""What is kept, and why: counts and bytes by state and age, what is not delivered, what goes when."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Engine, func, select

from config.network import RetentionSettings
from node.database import deliveries, jobs, reading, results
from node.housekeeping import Housekeeper, Tidied
from node.job_rows import utc_now
from node.jobs import DeliveryState
from node.keeping_store import has_undelivered_results
from node.spool import MEGABYTE, Spool
from node.states import LET_GO, State

AGES_DAYS = (1, 7, 30, 365)
"""Jobs are counted by when their state last changed: less than so many days ago, or more than the last."""


@dataclass(frozen=True)
class Kept:
    """Jobs in one state and of one age that have their files.

    Attributes:
        state: Theirs.
        younger_than_days: Their age; 0: older than every other class.
        jobs: How many.
        size: Bytes of their images, as received.
        why: What they wait for, in words.
    """

    state: str
    younger_than_days: int
    jobs: int
    size: int
    why: str


@dataclass(frozen=True)
class Undelivered:
    """What a destination does not have, or has not proven.

    Attributes:
        destination: Its name.
        state: Of the deliveries.
        count: How many.
        oldest: When the oldest was made, UTC, ISO 8601.
    """

    destination: str
    state: str
    count: int
    oldest: str


@dataclass(frozen=True)
class Report:
    """What is kept and why.

    Attributes:
        kept: By state and age.
        without_files: Jobs of which only rows are left.
        undelivered: By destination and state.
        only_copies: Jobs with results that were for no destination.
        now: What would be removed now.
        next_due: When the next files of a job that is done become due, UTC, ISO 8601; empty: none will.
        free: Bytes free on the disk.
    """

    kept: tuple[Kept, ...]
    without_files: int
    undelivered: tuple[Undelivered, ...]
    only_copies: int
    now: Tidied
    next_due: str
    free: int

    def as_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=2)

    def words(self) -> Iterator[str]:
        """Yield it in lines for a person."""
        yield f"free on the disk: {_mb(self.free)}"
        for each in self.kept:
            age = f"younger than {each.younger_than_days} days" if each.younger_than_days else "older"
            yield f"{each.state}, {age}: {each.jobs} jobs, {_mb(each.size)} of images; {each.why}"
        yield f"jobs of which only rows are left: {self.without_files}"
        for late in self.undelivered:
            words = f"{late.count} deliveries {late.state}, the oldest from {late.oldest}"
            yield f"destination {late.destination}: {words}"
        if self.only_copies:
            yield f"jobs with results for no destination: {self.only_copies}; kept, as their only copy"
        yield from tidied_words(self.now, "would be removed now")
        yield f"next files become due: {self.next_due or 'never, as [retention] says'}"


def tidied_words(done: Tidied, verb: str) -> Iterator[str]:
    """Yield what went, or would go, in lines for a person."""
    if done.kept_because:
        yield f"unknown files are kept: {done.kept_because}"
    unknown = f", {done.orphans} of them unknown to the database" if done.orphans else ""
    files = f"{done.files} files of {done.jobs} jobs, {_mb(done.size)}{unknown}"
    yield f"{verb}: {files}; rows of {done.rows} jobs"
    if done.unknown_images:
        yield f"images that the database does not know, kept: {len(done.unknown_images)}"
    if done.missing:
        yield f"files that jobs need and that are not there: {done.missing}"


def report(
    engine: Engine,
    spool: Spool,
    keeper: Housekeeper,
    rules: RetentionSettings,
    clock: Callable[[], datetime] = utc_now,
) -> Report:
    """Return what is kept now; nothing is changed."""
    return Report(
        kept=tuple(_kept(engine, rules, clock())),
        without_files=_count(engine, jobs.c.files_removed_at.is_not(None)),
        undelivered=tuple(_undelivered(engine)),
        only_copies=_count(engine, jobs.c.files_removed_at.is_(None) & has_undelivered_results()),
        now=keeper.would_tidy(),
        next_due=_next_due(engine, rules, clock()),
        free=spool.free_bytes(),
    )


def _count(engine: Engine, wanted: object) -> int:
    query = select(func.count()).select_from(jobs).where(wanted)  # type: ignore[arg-type]
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def _kept(engine: Engine, rules: RetentionSettings, now: datetime) -> Iterator[Kept]:
    bounds = [*((days, now - timedelta(days=days)) for days in AGES_DAYS), (0, None)]
    until: datetime | None = None
    found: list[Kept] = []
    with reading(engine) as connection:
        for days, since in bounds:
            query = select(jobs.c.state, func.count(), func.sum(jobs.c.size)).group_by(jobs.c.state)
            query = query.where(jobs.c.files_removed_at.is_(None))
            query = query if since is None else query.where(jobs.c.updated_at > since)
            query = query if until is None else query.where(jobs.c.updated_at <= until)
            for state, count, size in connection.execute(query):
                found.append(Kept(state, days, count, int(size), _why(State(state), rules)))
            until = since
    order = list(State)
    by_state = sorted(found, key=lambda each: order.index(State(each.state)))
    for _, group in groupby(by_state, key=lambda each: each.state):
        yield from group


def _why(state: State, rules: RetentionSettings) -> str:
    if state is State.DONE:
        return _for_days(rules.files_days, "files_days")
    if state in LET_GO:
        return _for_days(rules.refused_days, "refused_days")
    return "waits for a decision: never removed" if state is State.UNMATCHED else "not done: never removed"


def _for_days(days: int, key: str) -> str:
    return f"kept for {days} days ({key})" if days else f"kept for ever ({key} = 0)"


def _undelivered(engine: Engine) -> Sequence[Undelivered]:
    columns = deliveries.c.destination, deliveries.c.state
    joined = deliveries.join(results, deliveries.c.result_id == results.c.id)
    query = select(*columns, func.count(), func.min(results.c.created_at)).select_from(joined)
    query = query.where(deliveries.c.state != DeliveryState.DELIVERED).group_by(*columns).order_by(*columns)
    with reading(engine) as connection:
        rows = connection.execute(query)
        return [Undelivered(row[0], row[1], row[2], row[3].isoformat(timespec="seconds")) for row in rows]


def _next_due(engine: Engine, rules: RetentionSettings, now: datetime) -> str:
    if not rules.files_days:
        return ""
    query = select(func.min(jobs.c.updated_at)).where(
        jobs.c.state == State.DONE, jobs.c.files_removed_at.is_(None), ~has_undelivered_results()
    )
    with reading(engine) as connection:
        oldest: datetime | None = connection.execute(query).scalar_one()
    if oldest is None:
        return ""
    return max(oldest + timedelta(days=rules.files_days), now).isoformat(timespec="seconds")


def _mb(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB"
