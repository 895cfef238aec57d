"""Where settings come from, and saying in plain words what is wrong with them, and where."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.errors import SettingsError

Location = tuple[int | str, ...]
"""Where a value stands: section, key; in a list also its index. ("destination", 1, "port")"""

MAX_NAMED = 40
"""More names than this are no help to anybody who has to read them."""

SECRET_KEYS = {"url", "password", "token"}
"""Values of these keys are never shown."""

SECRET_WORDS = r"(?:pas+w|pass|pwd|token|secret|credential|ur[li])"
"""A key whose name holds this is not shown, either: it may be a mistyped one."""

_SECRET = re.compile(SECRET_WORDS, re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """What was read, before it was checked.

    Attributes:
        name: The file's name as it was given.
        text: The file's text.
        content: The same, parsed.
        environment: The environment variables that override it.
    """

    name: str
    text: str
    content: Mapping[str, Any]
    environment: Mapping[str, str]

    @classmethod
    def read(cls, path: Path, environment: Mapping[str, str]) -> "Source":
        """Read a TOML file; SettingsError when it cannot be read or is no TOML."""
        return cls.parsed(str(path), text_of(path), environment)

    @classmethod
    def parsed(cls, name: str, text: str, environment: Mapping[str, str]) -> "Source":
        """Return a text with what stands in it; SettingsError when it is no TOML."""
        try:
            return cls(name, text, tomllib.loads(text), environment)
        except (ValueError, RecursionError) as error:  # numbers of many digits, lists of many lists
            raise SettingsError(f"{name}: is not TOML: {error}") from error

    def check_keys(self, known: Mapping[str, Iterable[str]]) -> None:
        """Raise SettingsError for the first section, key or environment variable that is not known."""
        for variable in self.environment:
            section, key = _parts(variable)
            if not key and section != "destination":
                rule = "must be PAXNODE_<SECTION>__<KEY>, such as PAXNODE_NODE__PORT"
                raise SettingsError(f"environment variable {variable}: {rule}")
            location: Location = (section, key) if key else (section,)
            if unknown := _unknown(location, known):
                raise SettingsError(f"environment variable {variable}: {unknown}")
        for location in _locations(self.content):
            if unknown := _unknown(location, known):
                raise SettingsError(f"{self.name}, line {self.line(location)}: {unknown}")

    def place(self, location: Location) -> str:
        """Return where the value at a location was given."""
        variable = self._variable(location)
        if variable:
            return f"environment variable {variable}"
        line = self.line(location)
        return f"{self.name}, line {line}" if line else self.name

    def line(self, location: Location) -> int:
        r"""Return the line, from 1, where the statement begins that first gives a location a value, or 0.

        >>> Source("", "[node]\nport = 1", {}, {}).line(("node", "port"))
        2
        """
        lines = self.text.splitlines()
        end, content = _complete(lines, len(lines))
        if not end or not _holds(content, location):
            return self.line(location[:-1]) if len(location) > 1 else 0
        begin = floor = 0  # where statements end; none that gives the value ends up to there
        while floor < end - 1:
            middle = (floor + end) // 2
            found, content = _complete(lines, middle)
            if _holds(content, location):
                end = found
            else:
                begin, floor = found, middle
        return begin + 1

    def _variable(self, location: Location) -> str | None:
        keys = [str(key) for key in location if isinstance(key, str)][:2]
        parts = {variable: [part for part in _parts(variable) if part] for variable in self.environment}
        return next((name for name, found in parts.items() if found == keys[: len(found)]), None)


def _unknown(location: Location, known: Mapping[str, Iterable[str]]) -> str:
    """Return what is not known of a location, as the rest of a sentence; empty: all is."""
    section, key = str(location[0]), location[-1]
    if section not in known:
        return f"unknown section [{section}]{nearest(section, known)}"
    if len(location) > 1 and isinstance(key, str) and key not in known[section]:
        return f"unknown key {key!r} in [{section}]{nearest(key, known[section])}"
    return ""


def is_secret(key: str) -> bool:
    """Return whether the value of a key is never shown.

    >>> is_secret("url"), is_secret("Password"), is_secret("tokn"), is_secret("user"), is_secret("structures")
    (True, True, True, False, False)
    """
    return bool(_SECRET.search(key) or get_close_matches(key.lower(), SECRET_KEYS, n=1, cutoff=0.75))


def text_of(path: Path) -> str:
    """Return a file's text, its line ends as they are; SettingsError when it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not text in UTF-8") from error


def _parts(variable: str) -> tuple[str, str]:
    section, _, key = variable.lower().removeprefix("paxnode_").partition("__")
    return section, key


def _locations(content: Mapping[str, Any]) -> Iterable[Location]:
    for section, value in content.items():
        yield (section,)
        tables = enumerate(value) if isinstance(value, list) else ((None, value),)
        for index, table in tables:
            stem: Location = (section,) if index is None else (section, index)
            yield from ((*stem, key) for key in (table if isinstance(table, dict) else ()))


def _complete(lines: list[str], most: int) -> tuple[int, Mapping[str, Any]]:
    """Return how many of the first lines, at most so many, hold whole statements, and what they say."""
    for end in range(most, 0, -1):
        try:
            return end, tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:  # in the middle of a statement of several lines
            continue
    return 0, {}


def _holds(content: Any, location: Location) -> bool:
    for key in location:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the rest of a sentence about a name that is not known: the nearest, or all if they are few."""
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(names)}" if 0 < len(names) <= MAX_NAMED else ""


def first_problem(error: ValidationError, source: Source) -> str:
    """Return the first of pydantic's findings in one plain sentence, with its place."""
    details = error.errors(include_url=False)[0]
    location = details["loc"]
    names = [str(part) for part in location if isinstance(part, str)]
    key = f"{names[-1]!r} in [{names[0]}]" if len(names) > 1 else f"[{names[0]}]" if names else "the settings"
    return f"{source.place(location)}: {key} {_rule(details)}"


_WORDS = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text in quotation marks",
    "path_type": "must be text in quotation marks",
    "tuple_type": 'must be a list, such as ["A", "B"]; tables that may be repeated stand in [[two brackets]]',
    "model_type": "must be a table",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must consist of letters, digits, - and _",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""Pydantic's kinds of error in words for a person who edits a file."""


WHOLE = {"model_type", "tuple_type"}
"""Errors that find something else where a table or a list must stand: text in its place may be a secret."""


def _rule(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error":  # a rule of ours, which says what it found
        return str(context["error"])
    words = _WORDS.get(kind, details["msg"]).format(**context)
    found = details["input"]
    may_hold_secrets = isinstance(found, dict | list) or (isinstance(found, str) and kind in WHOLE)
    hidden = kind == "missing" or may_hold_secrets or any(is_secret(str(part)) for part in details["loc"])
    return words if hidden else f"{words}, found {found!r}"
