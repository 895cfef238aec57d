"""What rules find in an image: the values of an attribute, or what is known of it and is no attribute.

docs/rules.md describes how values compare; what is said there is done here and nowhere else.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID

from config.attributes import MAX_VALUE, Attribute, Kind, as_date
from config.conditions import NEGATIVE, Condition, Operator, Wanted
from node.age import stated_age
from node.attributes import items, numbers, text, values
from node.errors import RefusedImageError
from node.view import stated_view

PRESENT = "(present)"
"""Stands for a value that is not shown, such as the items of a sequence."""

Found = tuple[str, ...] | tuple[float, ...]


@dataclass(frozen=True)
class Titles:
    """The AE titles of the association in which an image came.

    Attributes:
        calling: Who sent it.
        called: Whom the sender called: one of the node's titles.
    """

    calling: str
    called: str = ""


def found_in(header: Dataset, titles: Titles, attribute: Attribute) -> Found:
    """Return the values that a condition looks at; none where they are missing, empty or malformed.

    Of an attribute in a sequence, those in every item.
    """
    if attribute.is_derived:
        return _DERIVED[attribute.path[0]](header, titles)
    datasets = [header]
    for keyword in attribute.path[:-1]:
        datasets = [item for dataset in datasets for item in items(dataset, keyword)]
    keyword = attribute.path[-1]
    if attribute.kind is Kind.NUMBER:
        return tuple(number for dataset in datasets for number in numbers(dataset, keyword))
    if attribute.kind is Kind.PRESENCE:
        return tuple(PRESENT for dataset in datasets if _is_present(dataset, keyword))
    found = [value for dataset in datasets for value in _texts(dataset, keyword)]
    return tuple(filter(None, map(as_date, found) if attribute.kind is Kind.DATE else found))


def holds(condition: Condition, found: Found) -> bool:
    """Return whether a condition holds for what was found: for any of the values, or, negated, for none."""
    if condition.operator is Operator.EXISTS:
        return bool(found) == condition.wanted[0]
    kind = condition.subject.kind
    if condition.operator is Operator.MATCHES:
        return any(_matches(str(condition.wanted[0]), str(value), kind) for value in found)
    wanted = [_comparable(value, kind) for value in condition.wanted]
    fits = _FITS[condition.operator]
    is_any = any(fits(_comparable(value, kind), wanted) for value in found)
    return is_any != (condition.operator in NEGATIVE)


def _matches(pattern: str, value: str, kind: Kind) -> bool:
    flags = re.IGNORECASE if kind is Kind.TEXT else 0
    return len(value) <= MAX_VALUE and re.fullmatch(pattern, value, flags) is not None


def _comparable(value: Wanted, kind: Kind) -> Any:
    """Return a value as it is compared: text of most kinds without regard to upper and lower case."""
    return str(value).casefold() if kind is Kind.TEXT else value


_FITS: Mapping[Operator, Callable[[Any, Sequence[Any]], bool]] = {
    Operator.IS: lambda value, wanted: value in wanted,
    Operator.IS_NOT: lambda value, wanted: value in wanted,
    Operator.ONE_OF: lambda value, wanted: value in wanted,
    Operator.NONE_OF: lambda value, wanted: value in wanted,
    Operator.CONTAINS: lambda value, wanted: wanted[0] in value,
    Operator.BEGINS_WITH: lambda value, wanted: value.startswith(wanted[0]),
    Operator.BELOW: lambda value, wanted: value < wanted[0],
    Operator.AT_LEAST: lambda value, wanted: value >= wanted[0],
}
"""Whether one value fits what is wanted; negated operators as if they were not."""


def _texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values without blanks around, and without those that are empty then."""
    return tuple(filter(None, (str(value).strip(" \0") for value in values(dataset, keyword))))


def _is_present(dataset: Dataset, keyword: str) -> bool:
    return bool(items(dataset, keyword)) or any(value not in {"", b""} for value in values(dataset, keyword))


def _view(header: Dataset, _titles: Titles) -> Found:
    try:
        view = str(stated_view(header).view)
    except RefusedImageError:  # one that is not served: rules may still ask for it
        view = text(header, "ViewPosition")
    return (view,) if view else ()


def _body_part(header: Dataset, _titles: Titles) -> Found:
    """Return Body Part Examined; where there is none, the meanings of the codes of the anatomic region."""
    regions = items(header, "AnatomicRegionSequence")
    meanings = tuple(meaning for region in regions for meaning in _texts(region, "CodeMeaning"))
    return _texts(header, "BodyPartExamined") or meanings


def _age_years(header: Dataset, _titles: Titles) -> Found:
    age = stated_age(header)
    return () if age is None else (age,)


def _sop_class(header: Dataset, _titles: Titles) -> Found:
    uids = [UID(value) for value in _texts(header, "SOPClassUID")]
    return tuple(dict.fromkeys(word for uid in uids for word in (uid.name, uid.keyword, str(uid)) if word))


_DERIVED: Mapping[str, Callable[[Dataset, Titles], Found]] = {
    "calling_ae_title": lambda _header, titles: tuple(filter(None, (titles.calling.strip(),))),
    "called_ae_title": lambda _header, titles: tuple(filter(None, (titles.called.strip(),))),
    "view": _view,
    "body_part": _body_part,
    "age_years": _age_years,
    "station": lambda header, _titles: _texts(header, "StationName"),
    "sop_class": _sop_class,
}
"""One for each of `config.attributes.DERIVED`."""
