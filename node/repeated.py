"""A transaction that the database broke off for the sake of another is done again.

Some of them take a job first and then its deliveries, others the other way round; on PostgreSQL two that meet
wait for each other until the server breaks one off.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from node.errors import DatabaseUnavailableError

Given = ParamSpec("Given")
Returned = TypeVar("Returned")

TIMES = 4
"""So often it is tried in all. Each time the server takes a second (deadlock_timeout) to see the deadlock."""

BROKEN_OFF = frozenset({"40P01", "40001"})
"""SQLSTATE of deadlock_detected and serialization_failure (PostgreSQL 16, Appendix A, class 40)."""


def repeated(transaction: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Repeat a function that is one transaction and nothing beside it."""

    @wraps(transaction)
    def tried(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        for _ in range(TIMES - 1):
            try:
                return transaction(*args, **kwargs)
            except DatabaseUnavailableError as error:
                if not _is_broken_off(error):
                    raise
        return transaction(*args, **kwargs)

    return tried


def _is_broken_off(error: DatabaseUnavailableError) -> bool:
    origin = getattr(error.__cause__, "orig", None)
    return getattr(origin, "sqlstate", None) in BROKEN_OFF
