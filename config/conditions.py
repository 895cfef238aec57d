"""`when = [...]` in a rule: each condition names an attribute, one operator and what is wanted."""

import datetime
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import model_validator

from config.attributes import VIEWS, Attribute, Kind, as_date, attribute_named
from config.patterns import check_pattern
from config.section import Section
from config.source import nearest


class Operator(StrEnum):
    """How what is found is compared with what is wanted; docs/rules.md describes each."""

    IS = "is"
    IS_NOT = "is_not"
    ONE_OF = "one_of"
    NONE_OF = "none_of"
    CONTAINS = "contains"
    BEGINS_WITH = "begins_with"
    MATCHES = "matches"
    BELOW = "below"
    AT_LEAST = "at_least"
    EXISTS = "exists"


EQUALITY = frozenset({Operator.IS, Operator.IS_NOT, Operator.ONE_OF, Operator.NONE_OF})
ORDER = frozenset({Operator.BELOW, Operator.AT_LEAST})
OF_TEXT = frozenset({Operator.CONTAINS, Operator.BEGINS_WITH, Operator.MATCHES})
LISTS = frozenset({Operator.ONE_OF, Operator.NONE_OF})
NEGATIVE = frozenset({Operator.IS_NOT, Operator.NONE_OF})
"""They hold where the other one does not: also where there is no value at all."""

POSSIBLE = {
    Kind.TEXT: EQUALITY | OF_TEXT,
    Kind.EXACT: EQUALITY | OF_TEXT,
    Kind.NUMBER: EQUALITY | ORDER,
    Kind.DATE: EQUALITY | ORDER,
    Kind.PRESENCE: frozenset[Operator](),
}
"""What a kind of value can be asked, besides whether it is there."""

Wanted = str | float | bool


class Condition(Section):
    """One condition; written as `{ attribute = "BodyPartExamined", is = "CHEST" }`.

    Attributes:
        attribute: A DICOM keyword, a path of them, or one of `config.attributes.DERIVED`.
        operator: How it is compared.
        wanted: With what: one value, or those of a list; dates as YYYYMMDD.
    """

    attribute: str
    operator: Operator
    wanted: tuple[Wanted, ...]

    @property
    def subject(self) -> Attribute:
        """What it looks at."""
        return attribute_named(self.attribute)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or "operator" in value:
            return value
        return _parsed(value)


def _parsed(table: Mapping[str, Any]) -> dict[str, Any]:
    name = table.get("attribute")
    if not isinstance(name, str):
        raise ValueError(
            'needs an \'attribute\' in each condition, such as { attribute = "Modality", is = "DX" }'
        )
    given = [key for key in table if key != "attribute"]
    known = [str(operator) for operator in Operator]
    for key in given:
        if key not in known:
            raise ValueError(f"knows no operator {key!r}{nearest(key, known)}")
    if len(given) != 1:
        raise ValueError(f"needs exactly one operator for {name!r}, found {', '.join(given) or 'none'}")
    operator, subject = Operator(given[0]), attribute_named(name)
    _check_possible(name, subject.kind, operator)
    return {"attribute": name, "operator": operator, "wanted": _wanted(subject, operator, table[given[0]])}


def _check_possible(name: str, kind: Kind, operator: Operator) -> None:
    possible = POSSIBLE[kind] | {Operator.EXISTS}
    if operator not in possible:
        words = ", ".join(each for each in Operator if each in possible)
        raise ValueError(
            f"cannot compare {name!r} by {str(operator)!r}: it holds {kind}; possible are {words}"
        )


def _wanted(subject: Attribute, operator: Operator, value: Any) -> tuple[Wanted, ...]:
    """Return what is wanted as it is compared; ValueError where it is of another kind than what is found."""
    if operator is Operator.EXISTS:
        if not isinstance(value, bool):
            raise ValueError(f"'exists' must be true or false, found {value!r}")
        return (value,)
    if operator in LISTS and not (isinstance(value, list | tuple) and value):
        raise ValueError(f"{str(operator)!r} must be a list with at least one value, found {value!r}")
    values = value if operator in LISTS else [value]
    return tuple(_one(subject, operator, each) for each in values)


def _one(subject: Attribute, operator: Operator, value: Any) -> str | float:
    if subject.kind is Kind.NUMBER:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{str(operator)!r} must be a number here, found {value!r}")
        return float(value)
    if subject.kind is Kind.DATE:
        return _date(operator, value)
    if not isinstance(value, str):
        raise ValueError(f"{str(operator)!r} must be text in quotation marks here, found {value!r}")
    if not value.strip():
        raise ValueError(f"{str(operator)!r} must not be empty: exists = false asks for no value")
    if operator is Operator.MATCHES:
        check_pattern(value)
        return value
    if operator in EQUALITY:
        _check_term(subject, value)
    return value.strip()


def _date(operator: Operator, value: Any) -> str:
    text = value.isoformat() if type(value) is datetime.date else value
    found = as_date(text) if isinstance(text, str) else ""
    if not found:
        raise ValueError(f'{str(operator)!r} must be a date here, such as "2025-01-31", found {value!r}')
    return found


def _check_term(subject: Attribute, value: str) -> None:
    """Refuse a view or an SOP class that no image can have."""
    name = subject.path[0]
    if name == "view" and value.upper() not in VIEWS:
        raise ValueError(f"'view' must be one of {', '.join(VIEWS)}, found {value!r}")
    if name == "sop_class" and value.strip("0123456789.") and value not in (known := _sop_classes()):
        rule = "'sop_class' must be a UID, or a name or keyword of PS3.6"
        raise ValueError(f"{rule}, found {value!r}{nearest(value, known)}")


def _sop_classes() -> tuple[str, ...]:
    """Return names and keywords of SOP classes (PS3.6 Annex A)."""
    from pydicom._uid_dict import UID_dictionary  # settings without rules need none of it

    entries = [entry for entry in UID_dictionary.values() if entry[1] == "SOP Class"]
    return tuple(word for entry in entries for word in (entry[0], entry[4]))
