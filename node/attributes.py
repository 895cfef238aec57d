"""Values of a data set that came from outside, read so that a malformed one counts as absent."""

import re
import struct
from collections.abc import Iterable

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import VR

CONVERSION_ERRORS = (
    ValueError,  # OverflowError's and UnicodeError's base too
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    EOFError,
    OSError,  # of items that end too early
    RecursionError,
    BytesLengthException,
    struct.error,
)
"""What pydicom raises on bytes that do not fit their value representation."""

_COUNTED_RAW = {None, *map(str, VR)} - {"SQ"}
"""Value representations of elements that need not be decoded to be counted; None: the dictionary tells it."""

_CODE_STRING = re.compile(r"[A-Za-z0-9_. /:^-]{1,32}")


def values(dataset: Dataset, keyword: str) -> tuple[object, ...]:
    """Return the values of an attribute; an empty tuple if it is absent, empty, malformed or a sequence."""
    try:
        value = dataset.get(keyword)
    except CONVERSION_ERRORS:
        return ()
    if value is None or value == "" or isinstance(value, Sequence):
        return ()
    return tuple(value) if isinstance(value, MultiValue | list | tuple) else (value,)


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values as upper-case text without blanks around."""
    return tuple(str(value).strip().upper() for value in values(dataset, keyword))


def text(dataset: Dataset, keyword: str) -> str:
    """Return the first value as upper-case text; "" if there is none."""
    return next(iter(texts(dataset, keyword)), "")


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the values as finite numbers; an empty tuple if any of them is none."""
    try:
        found = tuple(float(str(value)) for value in values(dataset, keyword))
    except ValueError:
        return ()
    return found if all(abs(number) < float("inf") for number in found) else ()


def number(dataset: Dataset, keyword: str, default: float) -> float:
    """Return the first value as a number, or the default."""
    return next(iter(numbers(dataset, keyword)), default)


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence; an empty tuple if it is absent, empty or malformed."""
    try:
        sequence = dataset.get(keyword) or ()
        return tuple(item for item in sequence if isinstance(item, Dataset))
    except CONVERSION_ERRORS:
        return ()


def extent(sequence: Iterable[Dataset]) -> tuple[int, int]:
    """Return how many elements a sequence holds at any depth, items included, and the bytes of their values.

    Values that are decoded already count as their text. Depth was bounded when the data set was read. A value
    representation that is not known raises one of `CONVERSION_ERRORS`: nobody could write it again.
    """
    elements = size = 0
    for item in sequence:
        elements += 1
        for tag in list(item.keys()):
            found: object = item.get_item(tag)
            if isinstance(found, RawDataElement) and found.VR in _COUNTED_RAW:
                more = (1, len(found.value or b""))
            else:
                element = item[tag]
                more = extent(element.value) if element.VR == "SQ" else (1, len(str(element.value)))
            elements, size = elements + more[0], size + more[1]
    return elements, size


def codes(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the Code Values of a code sequence's items."""
    return tuple(text(item, "CodeValue") for item in items(dataset, keyword))


def shown(value: str) -> str:
    """Return a value as it may stand in a reason: quoted, unless it could be something else than a code.

    >>> shown("CT"), shown("a sentence (of words)")
    ("'CT'", 'a value that is no code string')
    """
    return repr(value) if _CODE_STRING.fullmatch(value) else "a value that is no code string"
