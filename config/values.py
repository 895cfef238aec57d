"""The kinds of values that settings have: numbers within bounds, AE titles, addresses."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 6.2, AE: no backslash, no control character
_UID_ROOT = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")  # PS3.5 9.1


def _no_truth_value(value: object) -> object:
    """Refuse true and false where a number is asked for; Python would take them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, found true or false")
    return value


def _ae_title(value: str) -> str:
    if not _AE_TITLE.fullmatch(value) or not value.strip():
        rule = "must be an AE title: 1 to 16 characters of ASCII without a backslash"
        raise ValueError(f"{rule}, found {value!r}")
    return value.strip()


def _uid_root(value: str) -> str:
    if value and not (_UID_ROOT.fullmatch(value) and len(value) <= 24):
        raise ValueError(f"must be empty, or digits and dots of at most 24 characters, found {value!r}")
    return value


Whole = Annotated[int, BeforeValidator(_no_truth_value)]
Seconds = Annotated[float, BeforeValidator(_no_truth_value), Field(gt=0, le=86_400)]
Port = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1, le=65_535)]
AeTitle = Annotated[str, AfterValidator(_ae_title)]


def _addresses(value: str) -> str:
    """Return an address or a network, such as "192.0.2.10" or "192.0.2.0/24", as it is usually written."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        rule = 'must be an IP address or a network such as "192.0.2.0/24"'
        raise ValueError(f"{rule}, found {value!r}") from None


Addresses = Annotated[str, AfterValidator(_addresses)]
UidRoot = Annotated[str, AfterValidator(_uid_root)]
