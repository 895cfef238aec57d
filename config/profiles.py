"""Destination profiles: what a kind of archive or viewer is sent. `profiles.toml` holds those that ship."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from config.section import Section

SHIPPED_FILE = Path(__file__).with_name("profiles.toml")
"""The commented file with the profiles that come with the program."""

FIRST = "standard"
"""What a profile of the admin's begins with, unless it says otherwise."""

NAME = r"^[A-Za-z0-9_-]+$"
"""How a profile or a destination may be called."""

Syntax = Literal["explicit", "implicit", "deflated", "rle", "jpeg2000"]


class Profile(Section):
    """`[[profile]]`: which objects a destination gets, and in which form."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=NAME)]
    like: str = FIRST
    structures: tuple[str, ...] = ("all",)
    seg: Literal["binary", "labelmap", "fractional", "none"] = "binary"
    grouping: Literal["one", "anatomy"] = "one"
    orientation_shim: bool = False
    report: Literal["comprehensive-3d", "comprehensive", "none"] = "comprehensive-3d"
    structure_report: bool = False
    presentation_state: bool = False
    secondary_capture: bool = False
    transfer_syntaxes: tuple[Syntax, ...] = ("explicit", "implicit")

    @field_validator("structures")
    @classmethod
    def _names_something(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError('must name at least one structure or group, such as "all"')
        return value

    @field_validator("structure_report")
    @classmethod
    def _has_segments_to_refer_to(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("seg") == "none":
            raise ValueError('refers to segments, and seg = "none" writes none: say structure_report = false')
        if value and info.data.get("seg") == "labelmap":
            raise ValueError(
                "refers to segments, and readers of today know none of a label map: "
                "say structure_report = false"
            )
        return value

    @field_validator("secondary_capture")
    @classmethod
    def _writes_something(cls, value: bool, info: ValidationInfo) -> bool:
        nothing = info.data.get("seg") == info.data.get("report") == "none"
        if nothing and not (value or info.data.get("presentation_state")):
            raise ValueError("a profile must write at least one object, this one writes none")
        return value


@cache
def shipped_profiles() -> Mapping[str, Profile]:
    """Return the profiles that come with the program, by name."""
    tables = tomllib.loads(SHIPPED_FILE.read_text(encoding="utf-8"))["profile"]
    return {table["name"]: Profile(**table) for table in tables}


def completed(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return an admin's tables with the keys that they leave to the profile named by `like`.

    Raises:
        ValueError: `like` names no profile that comes with the program, or a name is taken.
    """
    shipped = shipped_profiles()
    taken = set(shipped)
    whole = []
    for table in tables:
        name, like = table.get("name"), table.get("like", FIRST)
        if name in taken:
            raise ValueError(f"must each have a name of their own; {name!r} is taken")
        if like not in shipped:
            raise ValueError(f"'like' {unknown(str(like), shipped)}")
        taken.add(str(name))
        whole.append({**shipped[like].model_dump(exclude={"name"}), **table})
    return whole


def unknown(name: str, known: Iterable[str]) -> str:
    """Return the rest of a sentence about a name that no profile has."""
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"
    return f"must name a profile, found {name!r}{hint}"
