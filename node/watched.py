"""A running node as it is seen by whoever watches it: what health and metrics look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Engine

from ai.segmentation import ModelIdentity
from config.settings import Settings
from node.backoff import BreakerState, Failures
from node.listener import Listener
from node.loop import Loop
from node.meters import Meters
from node.spool import Spool


class Turning(Protocol):
    """Something that runs in a loop of its own."""

    loop: Loop


class Sends(Turning, Protocol):
    """A sender, by its destination."""

    @property
    def breaker(self) -> BreakerState:
        """Whether the destination answers."""
        ...

    @property
    def failures(self) -> Failures:
        """How often it has not answered since it last did."""
        ...


@dataclass(frozen=True)
class Parts:
    """The parts of a node at one moment; none of those that this process does not do.

    Attributes:
        listener: Who takes images.
        turning: Everything that runs in a loop.
        senders: Destination names, with their senders.
        model: Which weights segment.
        provider: What they run on, such as "CPUExecutionProvider"; empty: no network runs.
    """

    listener: Listener | None = None
    turning: tuple[Turning, ...] = ()
    senders: tuple[tuple[str, Sends], ...] = ()
    model: ModelIdentity | None = None
    provider: str = ""

    def loops(self) -> Iterator[tuple[str, Loop]]:
        """Yield each loop with its role, such as "sender-peer:CR1": its name without the process's."""
        for each in self.turning:
            role, _, process = each.loop.name.rpartition(":")
            yield role or process, each.loop


@dataclass(frozen=True)
class Watched:
    """What is watched. Settings and parts are asked for each time: they may be others by then.

    Attributes:
        settings: Gives the settings that are active.
        parts: Gives the parts.
        engine: The database.
        spool: Where files lie.
        clock: Tells the time by which jobs are received, UTC.
        meters: What is measured while the node works.
        version: Gives the number of the active version of the settings; 0: versions are not kept.
    """

    settings: Callable[[], Settings]
    parts: Callable[[], Parts]
    engine: Engine
    spool: Spool
    clock: Callable[[], datetime]
    meters: Meters
    version: Callable[[], int] = lambda: 0
