"""Who is logged in: sessions of browsers, which end by themselves, and tokens of programs."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from node.database import reading, writing
from node.web.account_tables import accounts, sessions
from node.web.errors import AccountError
from node.web.roles import Role

SEEN_EVERY = timedelta(seconds=30)
"""That somebody is there is written down no more often than this."""

TOKEN_ID_DIGITS = 12
"""Of the digest of a token."""


@dataclass(frozen=True)
class Visitor:
    """Who asks.

    Attributes:
        name: Of the account.
        role: What they may do.
        csrf: What a form of theirs must hold; empty for a program with a token, which needs none.
        is_program: Whether a token was shown.
    """

    name: str
    role: Role
    csrf: str = field(default="", repr=False)
    is_program: bool = False


@dataclass(frozen=True)
class Lifetimes:
    """How long sessions last.

    Attributes:
        idle: Without any request.
        whole: At most.
    """

    idle: timedelta
    whole: timedelta


@dataclass(frozen=True)
class Token:
    """What is told of a token; never the token itself.

    Attributes:
        id: Names it: the first digits of its digest, from which it cannot be found.
        account: As whom a program with it acts.
        role: What it may do.
        made_at: UTC.
        used_at: When it was last shown, to the half minute; None: never.
        ends_at: When it is over.
    """

    id: str
    account: str
    role: Role
    made_at: datetime
    used_at: datetime | None
    ends_at: datetime


class SessionStore:
    """The sessions in the database; all processes of a node see the same.

    Args:
        engine: From `node.database.engine_for`, upgraded.
        clock: Tells the time, UTC.
        lifetimes: Gives how long sessions last now.
    """

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime], lifetimes: Callable[[], Lifetimes]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._lifetimes = lifetimes

    def begin(self, account: str) -> str:
        """Begin a session of a browser; return its secret. Sessions that are over are removed on the way."""
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.ends_at < self._clock()))
        return self._begin(account, self._lifetimes().whole, is_token=False)

    def make_token(self, account: str, lifetime: timedelta) -> str:
        """Return a token for a program that acts as an account."""
        return self._begin(account, lifetime, is_token=True)

    def visitor(self, secret: str, *, is_seen: bool = True) -> Visitor | None:
        """Return whose session it is; None where it is none, or is over.

        Args:
            secret: What the browser shows.
            is_seen: Whether somebody is there: pages that ask again by themselves keep no session alive.
        """
        now, row = self._clock(), self._row(secret, is_token=False)
        if row is None or now - row.seen_at > self._lifetimes().idle:
            return None
        if is_seen:
            self._see(row)
        return Visitor(row.account, Role(row.role), row.csrf)

    def owner_of_token(self, secret: str) -> Visitor | None:
        """Return as whom a program with a token acts; None where it is none, or is over."""
        row = self._row(secret, is_token=True)
        if row is None:
            return None
        self._see(row)
        return Visitor(row.account, Role(row.role), is_program=True)

    def tokens(self) -> tuple[Token, ...]:
        """Return every token that is valid now, by account, the oldest first."""
        query = select(sessions, accounts.c.role).join(accounts, accounts.c.name == sessions.c.account)
        query = query.where(sessions.c.is_token, sessions.c.ends_at > self._clock())
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(sessions.c.account, sessions.c.begun_at)).all()
        return tuple(
            Token(
                id=row.digest[:TOKEN_ID_DIGITS],
                account=row.account,
                role=Role(row.role),
                made_at=row.begun_at,
                used_at=row.seen_at if row.seen_at > row.begun_at else None,
                ends_at=row.ends_at,
            )
            for row in rows
        )

    def revoke(self, token_id: str) -> Token:
        """End a token at once, and return what it was.

        Raises:
            AccountError: No valid token has that name.
        """
        found = next((each for each in self.tokens() if each.id == token_id), None)
        if found is None:
            raise AccountError(f"there is no token {token_id!r}: paxnode users tokens lists them")
        with writing(self._engine) as connection:
            is_it = sessions.c.digest.startswith(token_id, autoescape=True)
            connection.execute(delete(sessions).where(is_it, sessions.c.is_token))
        return found

    def end(self, secret: str) -> None:
        """End a session."""
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == _digest(secret)))

    def _see(self, row: Row[Any]) -> None:
        """Write down that somebody is there, if that is not written already."""
        now = self._clock()
        is_first = row.is_token and row.seen_at == row.begun_at
        if is_first or now - row.seen_at > SEEN_EVERY:
            with writing(self._engine, durable=False) as connection:
                mine = sessions.c.digest == row.digest
                connection.execute(update(sessions).where(mine).values(seen_at=now))

    def _row(self, secret: str, *, is_token: bool) -> Row[Any] | None:
        query = select(sessions, accounts.c.role).join(accounts, accounts.c.name == sessions.c.account)
        query = query.where(sessions.c.digest == _digest(secret), sessions.c.is_token == is_token)
        with reading(self._engine) as connection:
            return connection.execute(query.where(sessions.c.ends_at > self._clock())).one_or_none()

    def _begin(self, account: str, lifetime: timedelta, *, is_token: bool) -> str:
        secret, now = secrets.token_urlsafe(32), self._clock()
        values = {"digest": _digest(secret), "account": account, "csrf": secrets.token_urlsafe(32)}
        moments = {"begun_at": now, "seen_at": now, "ends_at": now + lifetime}
        with writing(self._engine) as connection:
            connection.execute(insert(sessions).values(**values, **moments, is_token=is_token))
        return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
