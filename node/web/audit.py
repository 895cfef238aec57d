"""Who did what, with the way to what it was about."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from node.web.deeds import Deed
from node.web.desk import Desk

AT_ONCE = 100
"""Deeds on a page."""

MOST = 2**31 - 1
"""The highest number that the databases know."""

_JOB = re.compile(r"(?:job )?(\d{1,9})")
_VERSION = re.compile(r"version (\d{1,9})")
_UID = re.compile(r"[0-9.]{5,64}")


@dataclass(frozen=True)
class Line:
    """One deed, and where what it was about is shown; empty: nowhere."""

    deed: Deed
    link: str


@dataclass(frozen=True)
class Audited:
    """A part of what was done.

    Attributes:
        lines: The newest first.
        older_than: To ask for more, those before this number; 0: there are no more.
    """

    lines: tuple[Line, ...]
    older_than: int


def audited(desk: Desk, limit: int, before: int = 0, who: str = "") -> Audited:
    """Return the latest deeds.

    Args:
        desk: The node's.
        limit: At most so many.
        before: Only those with a lower number; 0: all.
        who: Only this account's; empty: everybody's.
    """
    found = desk.deeds.latest(limit + 1, before, who.replace("\0", ""))
    lines = tuple(Line(deed, link_of(deed.about)) for deed in found[:limit])
    return Audited(lines, lines[-1].deed.id if len(found) > limit else 0)


def link_of(about: str) -> str:
    """Return the page of what a deed was about; empty where it has none.

    >>> link_of("job 12"), link_of("2.25.1234"), link_of("version 3"), link_of("pacs")
    ('/jobs/12', '/jobs?q=2.25.1234', '/settings/versions/3', '')
    """
    if found := _JOB.fullmatch(about):
        return f"/jobs/{found[1]}"
    if found := _VERSION.fullmatch(about):
        return f"/settings/versions/{found[1]}"
    return f"/jobs?{urlencode({'q': about})}" if _UID.fullmatch(about) else ""
