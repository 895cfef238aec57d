"""`[[rule]]` and `[routing]`: what becomes of an image, decided by what stands in it and who sent it."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from config.conditions import Condition
from config.network import Destination
from config.profiles import NAME
from config.section import Section
from config.source import nearest
from config.terms import GROUPS, MEASUREMENTS, STRUCTURES

SENDER = "sender"
"""In `destinations`: back to the AE title that sent the image, where a `[[peer]]` says that is reached."""

RETURN_PREFIX = "peer:"
"""What the names of such destinations begin with; no name of an admin's holds a colon."""


class Rule(Section):
    """`[[rule]]`: conditions, and what becomes of an image that fulfils them all."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=NAME)]
    when: tuple[Condition, ...] = ()
    ignore: str = ""
    destinations: tuple[str, ...] = ()
    profile: str = ""
    structures: tuple[str, ...] = ()
    measurements: tuple[str, ...] = ()
    priority: Literal["", "urgent", "routine", "low"] = ""
    model: str = ""

    @field_validator("structures", "measurements")
    @classmethod
    def _are_known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.field_name == "structures":
            known: tuple[str, ...] = ("all", *GROUPS, *STRUCTURES)
            words = "must name structures or groups of them"
        else:
            known, words = MEASUREMENTS, "must name measurements"
        for name in value:
            if name not in known:
                raise ValueError(f"{words}, found {name!r}{nearest(name, known)}")
        return value

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Rule":
        said = self.model_dump(include={"destinations", "profile", "structures", "measurements", "model"})
        others = [name for name, value in said.items() if value]
        if self.ignore and others:
            raise ValueError(f"an image that is ignored has no results, and no {' and no '.join(others)}")
        return self


class RoutingSettings(Section):
    """`[routing]`: how several rules go together."""

    match: Literal["first", "all"] = "first"


class ReturnDestination(Destination):
    """A `[[peer]]` as the destination of what it sent; its name is that of no other destination."""

    name: str = ""


def names_differ(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the rules; ValueError where two have the same name."""
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"must each have a name of their own, found twice: {', '.join(twice)}")
    return rules
