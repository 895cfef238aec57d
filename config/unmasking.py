"""Putting secrets back where `config.differences.masked` put stars, in what somebody made of its text."""

import re
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from copy import deepcopy
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from config.differences import COMMENTED, HIDDEN, named
from config.errors import SettingsError
from config.source import Location, Source, is_secret

Path = tuple[str, ...]
"""Where a value stands, with the names of tables that may be repeated: ("web_destination", "pacs", "url")."""

WITH_URL = ("password", "token")
"""What is shown to whatever answers at the `url` beside it."""


def unmasked(candidate: str, active: str, name: str) -> str:
    """Return a candidate's text, each secret that it shows as stars as the active text has it at that place.

    A place is a section and a key, and in tables that may be repeated the table's name. Lines end as they do
    in the active text, since a browser changes them.

    Args:
        candidate: What somebody made of `masked(active)`.
        active: What the stars stand for.
        name: What the candidate is called in messages.

    Raises:
        SettingsError: The candidate is no TOML, or stars stand where the active text has no secret, or a
            password would go to another url than until now. The message names the line.
    """
    written = Source.parsed(name, _with_plain_ends(candidate), {})
    known = _with_plain_ends(active)
    try:
        document = tomlkit.parse(_with_comments(written, known))
    except (TOMLKitError, RecursionError) as error:  # it is stricter here and there
        raise SettingsError(f"{name}: is not TOML: {error}") from error
    _unmask(document, dict(_secrets(tomlkit.parse(known), ())), _Place(written))
    text = tomlkit.dumps(document)
    _check(text, written, known)
    return text.replace("\n", "\r\n") if "\r\n" in active else text


def _check(text: str, written: Source, active: str) -> None:
    """Raise SettingsError for a text that is not what was written, with its secrets: tables may move."""
    wanted = deepcopy(dict(written.content))
    _unmask(wanted, dict(_secrets(tomllib.loads(active), ())), _Place(written))
    if tomllib.loads(text) != wanted:
        rule = "secrets cannot be put back into it: write them out, or let tables of one name stand together"
        raise SettingsError(f"{written.name}: {rule}")


class _Place:
    """Where in a candidate: by names for the other text, by numbers for the line."""

    def __init__(self, source: Source, path: Path = (), location: Location = ()) -> None:
        self.source, self.path, self.location = source, path, location

    def below(self, name: str, step: int | str) -> "_Place":
        return _Place(self.source, (*self.path, name), (*self.location, step))

    def refused(self, key: str, rule: str) -> SettingsError:
        line = self.source.line((*self.location, key))
        return SettingsError(f"{self.source.name}, line {line}: {key!r} {rule}")


def _unmask(table: MutableMapping[str, Any], secrets: Mapping[Path, Any], place: _Place) -> None:
    starred = [key for key, value in table.items() if is_secret(key) and value == HIDDEN]
    for key in starred:
        if (*place.path, key) not in secrets:
            where = " ".join(place.path)
            raise place.refused(key, f"is stars, and {where} has no such secret until now: write it out")
        if key in WITH_URL and "url" in table and "url" not in starred:
            raise place.refused(key, "must be written out where 'url' is: it would go to another place")
        table[key] = secrets[(*place.path, key)]
    for inner, below in _inner(table, place):
        _unmask(inner, secrets, below)


def _inner(table: Mapping[str, Any], place: _Place) -> Iterator[tuple[MutableMapping[str, Any], _Place]]:
    for key, value in table.items():
        if isinstance(value, MutableMapping):
            yield value, place.below(key, key)
        elif isinstance(value, list):
            for number, (name, each) in enumerate(named(value).items()):
                if isinstance(each, MutableMapping):
                    yield each, place.below(key, key).below(name, number)


def _secrets(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield every secret of a text with its place; the values are TOML's, with their quotation marks."""
    children = value.items() if isinstance(value, Mapping) else named(value).items()
    for key, each in children:
        if isinstance(each, Mapping | list):
            yield from _secrets(each, (*path, key))
        elif isinstance(value, Mapping) and is_secret(key) and each != "":
            yield (*path, key), each


def _with_comments(written: Source, active: str) -> str:
    """Return the candidate with the secrets of its comments, each by the words before it and their order."""
    known: dict[str, list[str]] = {}
    for found in COMMENTED.finditer(active):
        known.setdefault(found[1], []).append(found[0])
    shown = [each[1] for each in COMMENTED.finditer(written.text) if _is_starred(each)]

    def restored(found: re.Match[str]) -> str:
        if not _is_starred(found):
            return found[0]
        secrets = known.get(found[1], [])
        if not secrets or (len(set(secrets)) > 1 and len(secrets) != shown.count(found[1])):
            line = written.text.count("\n", 0, found.start()) + 1
            rule = "the stars in this comment cannot be told from others: write it out, or remove it"
            raise SettingsError(f"{written.name}, line {line}: {rule}")
        return secrets.pop(0) if len(secrets) > 1 else secrets[0]

    text = COMMENTED.sub(restored, written.text)
    if tomllib.loads(text) != written.content:
        raise SettingsError(f"{written.name}: the stars of a comment stand in a value: write it out")
    return text


def _is_starred(comment: re.Match[str]) -> bool:
    return comment[0] == f'{comment[1]} "{HIDDEN}"'


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n")
