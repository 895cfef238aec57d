"""What differs between two settings files, setting by setting; values that are secret never show."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from config.errors import SettingsError
from config.settings import DEFAULT_FILE
from config.source import SECRET_WORDS, Source, is_secret

HIDDEN = "***"
"""Shown in the place of a secret."""

NAMES = ("name", "ae_title")
"""What a table that may be repeated is known by: the first of these keys that it has."""

_KEY = rf"""\b(?=\w*{SECRET_WORDS})\w++["']?[ \t]*(?:[=:]|is\b)"""
_USER = rf"""://[^\s:/@]*:(?=[^\s/@]*@|[ ]"{re.escape(HIDDEN)}"$)"""
COMMENTED = re.compile(rf"(\#.*?(?:{_KEY}|{_USER})).*$|\#.*$", re.MULTILINE | re.IGNORECASE)
"""A comment; its first group is there if a secret may follow it: after a key, or in the userinfo of a URL."""

_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """One setting that differs.

    Attributes:
        place: Such as "[node] port", or "[[destination]] pacs: port"; a whole table without a key.
        before: Its value as TOML; in words where it is not set, with the default.
        after: The same.
    """

    place: str
    before: str
    after: str


def changes(before: Source, after: Source) -> tuple[Change, ...]:
    """Return every setting that the files give other values, in the order of the files.

    What the environment overrides is not looked at. Tables that may be repeated are known by their names. A
    change of their order is told by itself, since it may matter.
    """
    sections = dict.fromkeys((*before.content, *after.content))
    return tuple(
        change
        for section in sections
        for change in _section(section, before.content.get(section), after.content.get(section))
    )


def masked(text: str) -> str:
    """Return a settings file's text with stars for what is secret, also in comments.

    Raises:
        SettingsError: It is no TOML, or such that secrets cannot be told from it for sure.
    """
    try:
        document = tomlkit.parse(text)
        _mask(document)
    except (TOMLKitError, RecursionError) as error:  # it is stricter than tomllib here and there
        raise SettingsError(f"cannot be shown without its secrets: {error}") from error
    return COMMENTED.sub(
        lambda found: found[0] if found[1] is None else f'{found[1]} "{HIDDEN}"', tomlkit.dumps(document)
    )


def _section(section: str, before: Any, after: Any) -> Iterator[Change]:
    if is_secret(section):
        if before != after:
            yield Change(f"[{section}]", *(_whole(each, section) for each in (before, after)))
    elif isinstance(before, list) or isinstance(after, list):
        yield from _tables(section, named(before), named(after))
    else:
        was, now = _as_table(before), _as_table(after)
        defaults = _as_table(_defaults().get(section))
        yield from _keys(f"[{section}] ", was, now, defaults)


def _tables(section: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        place, was, now = f"[[{section}]] {name}", before.get(name), after.get(name)
        if was is None or now is None:
            yield Change(place, _whole(was), _whole(now))
        else:
            yield from _keys(f"{place}: ", _as_table(was), _as_table(now), {})
    orders = [[name for name in each if name in before and name in after] for each in (before, after)]
    if orders[0] != orders[1]:
        yield Change(f"[[{section}]] order", ", ".join(orders[0]), ", ".join(orders[1]))


def _keys(
    place: str, before: Mapping[str, Any], after: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[Change]:
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if was != now or type(was) is not type(now):
            shown = [_shown(key, value, defaults.get(key, _ABSENT)) for value in (was, now)]
            yield Change(f"{place}{key}", *shown)


def _shown(key: str, value: object, default: object) -> str:
    if value is _ABSENT:
        return "not set" if default is _ABSENT else f"not set ({_toml(key, default)})"
    return _toml(key, value)


def _toml(key: str, value: object) -> str:
    """Return a value in one line, as TOML would have it; what is secret as stars, unless it is empty."""
    if is_secret(key) and value != "":
        return HIDDEN
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {_toml(name, each)}' for name, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml('', each) for each in value)}]"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _whole(table: Any, key: str = "") -> str:
    return "not there" if table is None else _toml(key, table)


def named(tables: Any) -> dict[str, Any]:
    """Return tables that may be repeated by what they are known by: a name, or their number."""
    found: dict[str, Any] = {}
    for number, table in enumerate(tables if isinstance(tables, list) else (), start=1):
        known = (str(table[key]) for key in NAMES if key in table) if isinstance(table, dict) else iter(())
        name = next(known, str(number))
        found[name if name not in found else f"{name} ({number})"] = table
    return found


def _as_table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {} if value is None else {"": value}


@cache
def _defaults() -> Mapping[str, Any]:
    return tomllib.loads(DEFAULT_FILE.read_text(encoding="utf-8"))


def _mask(container: Any, within_secret: bool = False) -> None:
    """Put stars in the place of what is secret in a table or list; all that lies in a secret one is."""
    values = container.items() if isinstance(container, Mapping) else enumerate(container)
    for key, value in list(values):
        hides = within_secret or is_secret(str(key))
        if isinstance(value, Mapping | list):
            _mask(value, hides)
        elif hides and value != "":
            container[key] = HIDDEN
