"""What an answer to STOW-RS means: the HTTP status, and what the body says of each object (PS3.18 10.5.3)."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from node.outcome import StatusRule, Verdict

REFERENCED_SOP_SEQUENCE, FAILED_SOP_SEQUENCE = "00081199", "00081198"
OTHER_FAILURES_SEQUENCE = "0008119A"
REFERENCED_SOP_INSTANCE_UID = "00081155"
WARNING_REASON, FAILURE_REASON = "00081196", "00081197"

JSON_TYPE, XML_TYPE = "application/dicom+json", "application/dicom+xml"


@dataclass(frozen=True)
class HttpRule:
    """What the HTTP statuses first..last mean for the objects of a request.

    Attributes:
        first: The first one.
        last: The last one.
        verdict: What follows for each object; STORED: the body decides.
        reason: In words.
        apart: Whether one object may have spoiled it for the others, so that each is sent alone.
    """

    first: int
    last: int
    verdict: Verdict
    reason: str
    apart: bool = False


HTTP_RULES = (
    HttpRule(200, 202, Verdict.STORED, "the body decides"),
    HttpRule(409, 409, Verdict.PERMANENT, "refused, and the body does not say why", apart=True),
    HttpRule(300, 399, Verdict.BARRED, "it has moved, and no redirection is followed"),
    HttpRule(401, 401, Verdict.BARRED, "the credentials are missing or wrong"),
    HttpRule(403, 403, Verdict.BARRED, "the credentials do not allow to store"),
    HttpRule(404, 405, Verdict.BARRED, "there is no STOW-RS at this url"),
    HttpRule(406, 407, Verdict.BARRED, "it cannot answer as DICOM, or a proxy asks for credentials"),
    HttpRule(408, 408, Verdict.UNSENT, "the request took too long for it"),
    HttpRule(410, 410, Verdict.BARRED, "there is no STOW-RS at this url any more"),
    HttpRule(413, 413, Verdict.PERMANENT, "the object is larger than it takes", apart=True),
    HttpRule(415, 415, Verdict.PERMANENT, "it does not take this transfer syntax or type", apart=True),
    HttpRule(429, 429, Verdict.UNSENT, "too many requests for it"),
    HttpRule(400, 499, Verdict.PERMANENT, "it does not understand the request", apart=True),
    HttpRule(501, 501, Verdict.BARRED, "there is no STOW-RS at this url"),
    HttpRule(502, 504, Verdict.UNSENT, "it is out of service"),
    HttpRule(507, 507, Verdict.TRANSIENT, "out of room there"),
    HttpRule(500, 599, Verdict.TRANSIENT, "an error there", apart=True),
)
"""The first rule that holds a status decides (PS3.18 Table 10.5.3-1 and 8.5; RFC 9110 15)."""

NO_ANSWER = HttpRule(0, 0, Verdict.TRANSIENT, "a status that HTTP does not give")

WEB_REASON_RULES = (
    StatusRule(0x0111, 0x0111, Verdict.STORED, "the archive has it already (Duplicate SOP Instance)"),
    StatusRule(0xA700, 0xA7FF, Verdict.TRANSIENT, "out of resources there"),
    StatusRule(0x0110, 0x0110, Verdict.TRANSIENT, "Processing Failure there"),
    StatusRule(0x0213, 0x0213, Verdict.TRANSIENT, "out of resources there (Resource Limitation)"),
    StatusRule(0x0122, 0x0122, Verdict.PERMANENT, "refused: SOP Class Not Supported"),
    StatusRule(0x0124, 0x0124, Verdict.PERMANENT, "refused: Not Authorized"),
    StatusRule(0xC122, 0xC122, Verdict.PERMANENT, "refused: transfer syntax not supported"),
    StatusRule(0xA900, 0xA9FF, Verdict.PERMANENT, "refused: the data set does not match its SOP Class"),
    StatusRule(0xC000, 0xCFFF, Verdict.PERMANENT, "the peer cannot understand it"),
)
"""Failure Reason (0008,1197) of an object in the Failed SOP Sequence (PS3.18 Table I.2-2); else permanent."""

SYNTAX_NOT_SUPPORTED = 0xC122


@dataclass(frozen=True)
class StoreAnswer:
    """What the body of an answer says about each object.

    Attributes:
        stored: SOP Instance UIDs in the Referenced SOP Sequence, with their Warning Reason or None.
        failed: Those in the Failed SOP Sequence, with their Failure Reason or None.
        others: Failure Reasons of objects that the peer could not even name.
    """

    stored: Mapping[str, int | None] = field(default_factory=dict)
    failed: Mapping[str, int | None] = field(default_factory=dict)
    others: tuple[int, ...] = ()


def http_rule(status: int) -> HttpRule:
    """Return what an HTTP status means.

    >>> http_rule(503).verdict
    <Verdict.UNSENT: 'unsent'>
    """
    return next((rule for rule in HTTP_RULES if rule.first <= status <= rule.last), NO_ANSWER)


def failure_rule(reason: int) -> StatusRule:
    """Return what a Failure Reason means.

    >>> failure_rule(0xA702).verdict
    <Verdict.TRANSIENT: 'transient'>
    """
    unknown = StatusRule(reason, reason, Verdict.PERMANENT, "a reason that the Standard does not give")
    return next((rule for rule in WEB_REASON_RULES if rule.first <= reason <= rule.last), unknown)


def read_answer(content: bytes, media_type: str) -> StoreAnswer | None:
    """Return what a body says; None if it is no Store Instances Response (PS3.18 10.5.3.2, I.2).

    Args:
        content: The body.
        media_type: Its Content-Type; where that is none of DICOM's, the body itself shows what it is.
    """
    try:
        if "xml" in media_type.lower() or content.lstrip()[:1] == b"<":
            return _from_xml(content)
        return _from_json(content)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError, ET.ParseError):
        return None


def _from_json(content: bytes) -> StoreAnswer | None:
    """Read the DICOM JSON Model (PS3.18 F)."""
    found = json.loads(content)
    dataset = found[0] if isinstance(found, list) else found
    if not isinstance(dataset, dict):
        return None
    return _answer({tag: dataset[tag].get("Value", []) for tag in dataset})


def _from_xml(content: bytes) -> StoreAnswer | None:
    """Read the Native DICOM Model (PS3.19 A.1); a document with entities of its own is none."""
    if b"<!" in content.replace(b"<!--", b""):
        return None
    return _answer(_elements(ET.fromstring(content)))


def _elements(parent: ET.Element) -> dict[str, list[Any]]:
    """Return the elements below an XML node as the JSON model has them."""
    found: dict[str, list[Any]] = {}
    for child in _named(parent, "DicomAttribute"):
        items: list[Any] = [_json_item(item) for item in _named(child, "Item")]
        found[child.get("tag", "").upper()] = items or [v.text or "" for v in _named(child, "Value")]
    return found


def _json_item(item: ET.Element) -> dict[str, dict[str, list[Any]]]:
    return {tag: {"Value": values} for tag, values in _elements(item).items()}


def _named(parent: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in parent if child.tag.rpartition("}")[2] == name)


def _answer(elements: Mapping[str, list[Any]]) -> StoreAnswer | None:
    sequences = REFERENCED_SOP_SEQUENCE, FAILED_SOP_SEQUENCE, OTHER_FAILURES_SEQUENCE
    if not any(tag in elements for tag in sequences):
        return None
    stored, failed, others = (elements.get(tag, []) for tag in sequences)
    reasons = [_number(item, FAILURE_REASON) for item in others]
    return StoreAnswer(
        {_uid(item): _number(item, WARNING_REASON) for item in stored},
        {_uid(item): _number(item, FAILURE_REASON) for item in failed},
        tuple(reason for reason in reasons if reason is not None),
    )


def _uid(item: Mapping[str, Any]) -> str:
    return str(item[REFERENCED_SOP_INSTANCE_UID]["Value"][0]).strip(" \0")


def _number(item: Mapping[str, Any], tag: str) -> int | None:
    values = item.get(tag, {}).get("Value", [])
    number = int(values[0]) if values else None
    return number if number is not None and 0 <= number <= 0xFFFF else None
