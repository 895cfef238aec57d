"""What the node does now, for a person and for a program."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from node.backoff import NO_FAILURES, Failures
from node.health import alive, ready
from node.jobs import DeliveryState
from node.part import STAND_IN
from node.queue_figures import QueueFigures, queue_figures
from node.spool import MEGABYTE
from node.states import State
from node.watched import Sends, Watched


@dataclass(frozen=True)
class Stage:
    """How many jobs are in a state.

    Attributes:
        state: Which.
        count: How many; 100,000 means so many or more.
        oldest_s: For how many seconds the oldest has waited; 0 where nobody waits for it.
    """

    state: State
    count: int
    oldest_s: float


@dataclass(frozen=True)
class Lane:
    """The way to one destination.

    Attributes:
        destination: Its name.
        breaker: "closed": it answers. "open": it does not, and is waited for. "half-open": it is tried.
            Empty where this process does not deliver.
        failures: How often it has given no answer since it last did. A breaker opens only after some
            (`delivery.breaker_failures`).
        waiting: Deliveries that wait.
        sent: Those that wait for a proof.
        parked: Those that wait for a person.
        oldest_s: For how many seconds the oldest of those that wait has waited.
        last_delivered_at: When it last took something for good, UTC; None: never.
    """

    destination: str
    breaker: str
    failures: Failures
    waiting: int
    sent: int
    parked: int
    oldest_s: float
    last_delivered_at: datetime | None


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong with the node itself."""

    part: str
    reason: str


@dataclass(frozen=True)
class Status:
    """What the node does now.

    Attributes:
        ae_title: Of the node.
        port: On which it listens for DICOM without TLS; 0: it does not.
        version: Of the program.
        settings_version: Number of the active version of the settings; 0: they are not kept.
        model: Which weights segment, such as "paxnode-frontal 1"; empty in a process that does not work.
        provider: What they run on, such as "CPUExecutionProvider".
        is_stand_in: Whether shapes are drawn in the place of anatomy.
        disk_free_bytes: Of the data folder's disk.
        disk_reserve_bytes: Below this no images are taken.
        troubles: What is wrong; none: the node is ready.
        stages: The states of jobs but "done", in the order of the way.
        lanes: The destinations.
        at: When this was looked up, UTC.
    """

    ae_title: str
    port: int
    version: str
    settings_version: int
    model: str
    provider: str
    is_stand_in: bool
    disk_free_bytes: int
    disk_reserve_bytes: int
    troubles: tuple[Trouble, ...]
    stages: tuple[Stage, ...]
    lanes: tuple[Lane, ...]
    at: datetime


def status_of(watched: Watched) -> Status:
    """Return what a node does now.

    Raises:
        StorageError: The database or the data folder is away.
    """
    settings, parts = watched.settings(), watched.parts()
    names = [destination.name for destination in settings.every_destination]
    figures = queue_figures(watched.engine, names, watched.clock)
    senders = dict(parts.senders)
    problems = (*alive(watched).problems, *ready(watched).problems)
    return Status(
        ae_title=settings.node.ae_title,
        port=0 if parts.listener is None else parts.listener.port,
        version=version("paxnode"),
        settings_version=watched.version(),
        model="" if parts.model is None else f"{parts.model.id} {parts.model.version}",
        provider=parts.provider,
        is_stand_in=settings.model.bundle == STAND_IN,
        disk_free_bytes=watched.spool.free_bytes(),
        disk_reserve_bytes=settings.node.disk_reserve_mb * MEGABYTE,
        troubles=tuple(Trouble(each.part, each.reason) for each in problems),
        stages=tuple(Stage(s, each.count, each.oldest_s) for s, each in figures.jobs.items()),
        lanes=tuple(_lanes(names, figures, senders)),
        at=watched.clock(),
    )


def _lanes(names: list[str], figures: QueueFigures, senders: Mapping[str, Sends]) -> Iterator[Lane]:
    for name in names:
        waiting, sent, parked = (
            figures.deliveries[name, state]
            for state in (DeliveryState.WAITING, DeliveryState.SENT, DeliveryState.PARKED)
        )
        sender, last = senders.get(name), figures.last_delivered_at.get(name)
        breaker, failures = ("", NO_FAILURES) if sender is None else (sender.breaker.value, sender.failures)
        counts = waiting.count, sent.count, parked.count
        yield Lane(name, breaker, failures, *counts, waiting.oldest_s, last)
