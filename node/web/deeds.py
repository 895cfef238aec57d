"""Who did what in the console, and who looked at which study: written before it is done, kept for ever.

How an order ended is added afterwards; where nothing is added, the node went down meanwhile, or the database
did not take it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Engine, insert, select, update

from node.database import reading, writing
from node.errors import StorageError
from node.logs import get_logger
from node.web.account_tables import deeds

LONGEST_DETAIL, LONGEST_ENDING = 800, 200
"""Characters."""

log = get_logger()


class Act(StrEnum):
    """What people do."""

    LOG_IN = "log in"
    FAIL_TO_LOG_IN = "fail to log in"
    LOG_OUT = "log out"
    SEARCH = "search"
    LOOK = "look at a study"
    RETRY = "try again"
    RERUN = "run once more"
    RESEND = "send again"
    CANCEL = "cancel"
    TRY_RULES = "try rules on a file"
    ACTIVATE = "activate settings"
    ROLL_BACK = "roll settings back"
    EXAMINE = "examine peers"


@dataclass(frozen=True)
class Deed:
    """One line.

    Attributes:
        id: Its number, rising.
        at: When, UTC.
        who: The account; what was typed as its name where a login failed.
        address: From where: an IP address.
        what: One of `Act`.
        about: A job, a study, a version of the settings, or empty. Never a patient.
        detail: More, in words; how it ended.
    """

    id: int
    at: datetime
    who: str
    address: str
    what: str
    about: str
    detail: str


@dataclass
class Ending:
    """How a deed ends.

    Attributes:
        words: Empty while it is not known; nothing that somebody typed.
    """

    words: str = ""


class DeedStore:
    """The deeds in the database.

    Args:
        engine: From `node.database.engine_for`, upgraded.
        clock: Tells the time, UTC.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def write(self, who: str, address: str, act: Act, about: str = "", detail: str = "") -> int:
        """Write a deed down; return its number."""
        values = {
            "who": who[:64],
            "address": address,
            "what": act,
            "about": about[:200],
            "detail": detail[:LONGEST_DETAIL],
        }
        printable = {name: value.replace("\0", "") for name, value in values.items()}
        with writing(self._engine) as connection:
            adding = insert(deeds).values(**printable, at=self._clock()).returning(deeds.c.id)
            return int(connection.execute(adding).scalar_one())

    @contextmanager
    def around(self, who: str, address: str, act: Act, about: str = "", detail: str = "") -> Iterator[Ending]:
        """Write a deed down before it is done, and afterwards how it ended."""
        number, ending = self.write(who, address, act, about, detail), Ending()
        try:
            yield ending
            ending.words = ending.words or "done"
        except Exception as error:
            ending.words = ending.words or f"failed: {type(error).__name__}"
            raise
        finally:
            self._end(number, ending.words)

    def _end(self, number: int, words: str) -> None:
        """Add how a deed ended; it has ended so also where that cannot be written."""
        mine = deeds.c.id == number
        try:
            with writing(self._engine) as connection:
                before = connection.scalar(select(deeds.c.detail).where(mine)) or ""
                detail = "; ".join(part for part in (before, words[:LONGEST_ENDING]) if part)
                connection.execute(update(deeds).where(mine).values(detail=detail))
        except StorageError as error:
            log.error("how a deed ended was not written", error=type(error).__name__)

    def latest(self, limit: int, before: int = 0, who: str = "") -> tuple[Deed, ...]:
        """Return the latest, the newest first.

        Args:
            limit: At most so many.
            before: Only those with a lower number; 0: all.
            who: Only this account's; empty: everybody's.
        """
        columns = [deeds.c[name] for name in Deed.__dataclass_fields__]
        query = select(*columns).order_by(deeds.c.id.desc()).limit(limit)
        query = query.where(deeds.c.id < before) if before else query
        query = query.where(deeds.c.who == who) if who else query
        with reading(self._engine) as connection:
            return tuple(Deed(*row) for row in connection.execute(query))
