"""Local accounts: names, roles, and passwords hashed by argon2id (RFC 9106)."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from node.database import reading, writing
from node.web.account_tables import accounts, sessions
from node.web.errors import AccountError
from node.web.roles import Role

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 256
"""Characters."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""Passes, KiB and lanes of argon2id: what OWASP's Password Storage Cheat Sheet asks for at least."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASHING_AT_ONCE = threading.Semaphore(2)


@dataclass(frozen=True)
class Account:
    """Somebody who may log in."""

    name: str
    role: Role
    created_at: datetime


class AccountStore:
    """The accounts in the database.

    Args:
        engine: From `node.database.engine_for`, upgraded.
        clock: Tells the time, UTC.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._nobodys = self._hash("nobody's password")

    def all(self) -> tuple[Account, ...]:
        """Return every account, by name."""
        query = select(accounts.c.name, accounts.c.role, accounts.c.created_at).order_by(accounts.c.name)
        with reading(self._engine) as connection:
            return tuple(Account(name, Role(role), at) for name, role, at in connection.execute(query))

    def add(self, name: str, password: str, role: Role) -> None:
        """Make an account.

        Raises:
            AccountError: The name is taken or has characters that it may not have; the password is too short.
        """
        if not _NAME.fullmatch(name):
            raise AccountError("a name has 1 to 64 letters, digits, '.', '_', '@' and '-', no others first")
        values = {"name": name, "password_hash": self._made(password), "role": role}
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(accounts).values(**values, created_at=self._clock()))
        except IntegrityError:
            raise AccountError(f"there is an account {name!r} already") from None

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password, and end its sessions. Arguments and errors as in `add`."""
        hashed = self._made(password)
        self._change(name, {"password_hash": hashed})

    def set_role(self, name: str, role: Role) -> None:
        """Give an account another role, and end its sessions."""
        self._change(name, {"role": role})

    def remove(self, name: str) -> None:
        """Remove an account, its sessions and its tokens.

        Raises:
            AccountError: There is no such account.
        """
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.account == name))
            if not connection.execute(delete(accounts).where(accounts.c.name == name)).rowcount:
                raise AccountError(f"there is no account {name!r}")

    def verified(self, name: str, password: str) -> Account | None:
        """Return the account if the password is right; None for a wrong one and for a name that is not known.

        Both take the same time.
        """
        known = name if _NAME.fullmatch(name) else ""
        with reading(self._engine) as connection:
            row = connection.execute(select(accounts).where(accounts.c.name == known)).one_or_none()
        is_right = self._fits(self._nobodys if row is None else row.password_hash, password)
        return Account(row.name, Role(row.role), row.created_at) if row is not None and is_right else None

    def _change(self, name: str, values: dict[str, object]) -> None:
        with writing(self._engine) as connection:
            if not connection.execute(
                update(accounts).where(accounts.c.name == name).values(values)
            ).rowcount:
                raise AccountError(f"there is no account {name!r}")
            connection.execute(delete(sessions).where(sessions.c.account == name))

    def _made(self, password: str) -> str:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise AccountError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        return self._hash(password)

    def _hash(self, password: str) -> str:
        with _HASHING_AT_ONCE:
            return HASHER.hash(password)

    def _fits(self, hashed: str, password: str) -> bool:
        if len(password) > LONGEST_PASSWORD:
            return False
        with _HASHING_AT_ONCE:
            try:
                return HASHER.verify(hashed, password)
            except (VerificationError, InvalidHashError):
                return False
