"""What the console's pages are given: the node as it is watched, its queue, its accounts, its settings."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from fastapi import Request

from config.settings import Settings
from node.backoff import Failures
from node.job_store import JobStore
from node.spool import Spool
from node.watched import Watched
from node.web.accounts import AccountStore
from node.web.attempts import Attempts
from node.web.deeds import Act, DeedStore, Ending
from node.web.looks import Looks
from node.web.sessions import Lifetimes, SessionStore, Visitor


@dataclass(frozen=True)
class Desk:
    """The parts of the console.

    Attributes:
        watched: The running node.
        store: Its queue.
        settings_file: The file that it was started with; None: with the packaged settings.
        accounts: Who may log in.
        sessions: Who is logged in.
        deeds: Who did what.
        attempts: Who tries to log in.
        looks: Who looked at what lately.
    """

    watched: Watched
    store: JobStore
    settings_file: Path | None
    accounts: AccountStore
    sessions: SessionStore
    deeds: DeedStore
    attempts: Attempts
    looks: Looks

    @property
    def settings(self) -> Settings:
        """What the node goes by now."""
        return self.watched.settings()

    @property
    def spool(self) -> Spool:
        """Where files lie."""
        return self.watched.spool

    @property
    def destinations(self) -> frozenset[str]:
        """The names of the destinations that the node has now."""
        return frozenset(destination.name for destination in self.settings.every_destination)

    @property
    def failures(self) -> dict[str, Failures]:
        """How often each destination that this process serves has not answered since it last did."""
        return {name: sender.failures for name, sender in self.watched.parts().senders}

    def note(self, request: Request, visitor: Visitor, act: Act, about: str = "", detail: str = "") -> None:
        """Write down what a visitor does, before it is done."""
        self.deeds.write(visitor.name, address_of(request), act, about, detail)

    def noting(
        self, request: Request, visitor: Visitor, act: Act, about: str = "", detail: str = ""
    ) -> AbstractContextManager[Ending]:
        """Write down what a visitor does, before it is done, and afterwards how it ended."""
        return self.deeds.around(visitor.name, address_of(request), act, about, detail)


def desk_for(watched: Watched, store: JobStore, settings_file: Path | None) -> Desk:
    """Return the desk of a node."""

    def lifetimes() -> Lifetimes:
        console = watched.settings().console
        return Lifetimes(timedelta(minutes=console.idle_minutes), timedelta(hours=console.session_hours))

    return Desk(
        watched,
        store,
        settings_file,
        AccountStore(watched.engine, watched.clock),
        SessionStore(watched.engine, watched.clock, lifetimes),
        DeedStore(watched.engine, watched.clock),
        Attempts(watched.clock),
        Looks(),
    )


def desk_of(request: Request) -> Desk:
    """Return the desk of the node that a request came to; a dependency."""
    return cast(Desk, request.app.state.desk)


def address_of(request: Request) -> str:
    """Return the IP address that a request comes from; "unknown" where a proxy passes on what is none."""
    try:
        return str(ip_address(request.client.host if request.client else ""))
    except ValueError:
        return "unknown"
