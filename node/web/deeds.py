"""Who did what in the console, and who looked at which study: written before it is done, kept for ever."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Engine, insert, select

from node.database import reading, writing
from node.web.account_tables import deeds


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


class DeedStore:
    """The deeds in the database.

    Args:
        engine: From `node.database.engine_for`, upgraded.
        clock: Tells the time, UTC.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def write(self, who: str, address: str, act: Act, about: str = "", detail: str = "") -> None:
        """Write a deed down."""
        values = {
            "who": who[:64],
            "address": address,
            "what": act,
            "about": about[:200],
            "detail": detail[:1000],
        }
        printable = {name: value.replace("\0", "") for name, value in values.items()}
        with writing(self._engine) as connection:
            connection.execute(insert(deeds).values(**printable, at=self._clock()))

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
