"""Pages from templates: everything that is put in is escaped."""

from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from node.web.roles import Role
from node.web.sessions import Visitor
from node.web.words import clock_time, failures_in_words

TEMPLATES = Path(__file__).with_name("templates")
STATIC = Path(__file__).with_name("static")

MOMENT = "%Y-%m-%d %H:%M:%S"


def page(
    request: Request, template: str, visitor: Visitor | None = None, status: int = 200, **values: object
) -> HTMLResponse:
    """Return a page.

    Args:
        request: What it answers.
        template: A file in `TEMPLATES`.
        visitor: Who is logged in; None: nobody.
        status: Of the answer.
        values: What the template is given.
    """
    common = {"visitor": visitor, "path": request.url.path, "version": version("paxnode")}
    return HTMLResponse(_environment().get_template(template).render(**common, **values), status)


def moment(value: datetime | None) -> str:
    """Return a moment as the console shows it: UTC, to the second; empty for none."""
    return "" if value is None else value.strftime(MOMENT)


def duration(seconds: float) -> str:
    """Return how long something took or waits, in at most two units.

    >>> duration(0.4), duration(75), duration(7260), duration(200000)
    ('0.4 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = int(seconds)
    for size, name, below, lower in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // below} {lower}"
    raise AssertionError("unreachable: a minute or more")


def size(count: float) -> str:
    """Return bytes for people, in decimal units.

    >>> size(999), size(6_300_000)
    ('999 B', '6.3 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": moment, "duration": duration, "size": size, "query": urlencode}
    environment.filters |= {"clock_time": clock_time, "failures_in_words": failures_in_words}
    environment.globals |= {"Role": Role}
    return environment
