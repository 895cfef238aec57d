"""Whether the node lives, and whether it is ready to take images: for `/livez`, `/readyz` and consoles."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from sqlalchemy import select

from node.database import is_current, reading
from node.errors import NodeError
from node.loop import Loop
from node.porch import Porch
from node.watched import Watched

LONGEST_STEP_S = 3600.0
"""No step takes so long: an image is worked through in minutes, and an object of 180 MB travels in an hour at
the least speed that `node.transport` waits for. A node killed for less would never end its longest step."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one part.

    Attributes:
        part: Such as "database".
        reason: In words. Nothing about patients.
    """

    part: str
    reason: str


@dataclass(frozen=True)
class Health:
    """What is wrong; nothing, where all is well."""

    problems: tuple[Problem, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def as_json(self) -> str:
        """Return it as JSON."""
        return json.dumps({"ok": self.is_good, "problems": [asdict(each) for each in self.problems]})


PARTS = ("database", "disk", "listener", "model")
"""What readiness looks at."""


def alive(watched: Watched) -> Health:
    """Return whether the process turns: each of its loops has made a step lately."""
    return Health(tuple(_stuck(watched)))


def ready(watched: Watched) -> Health:
    """Return whether images are taken, worked on, and kept."""
    found = (_database(watched), _disk(watched), _listener(watched), _model(watched))
    return Health(tuple(Problem(part, why) for part, why in zip(PARTS, found, strict=True) if why))


def _stuck(watched: Watched) -> Iterator[Problem]:
    parts = watched.parts()
    porch = parts.listener.porch if parts.listener is not None else None
    turning: list[tuple[str, Loop | Porch]] = list(parts.loops())
    turning += [("porch", porch)] if porch is not None else []
    for name, each in turning:
        if not each.is_turning:
            yield Problem(name, "its thread has ended")
        elif each.age_s > LONGEST_STEP_S:
            yield Problem(name, f"it has made no step for {each.age_s:.0f} s")


def _database(watched: Watched) -> str:
    try:
        with reading(watched.engine) as connection:
            connection.execute(select(1)).scalar_one()
        return "" if is_current(watched.engine) else "its tables are not those of this version"
    except NodeError as error:
        return str(error)


def _disk(watched: Watched) -> str:
    try:
        watched.spool.check_there()
        watched.spool.with_reserve(watched.settings().node.disk_reserve_mb).check_space()
    except NodeError as error:
        return str(error)
    return ""


def _listener(watched: Watched) -> str:
    listener = watched.parts().listener
    if listener is None:  # this process does not listen
        return ""
    if listener.porch is None or not listener.porch.is_turning:
        return "it does not listen"
    return ""


def _model(watched: Watched) -> str:
    """A node does not start without its model; its workers may have ended."""
    parts = watched.parts()
    workers = [loop for name, loop in parts.loops() if name.startswith("worker-")]
    if parts.model is not None and not any(worker.is_turning for worker in workers):
        return "nobody works with it"
    return ""
