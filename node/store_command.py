"""The command sets of C-STORE, read and written here: pynetdicom's ways to do so cost as much as a row.

PS3.7 6.3.1 (command sets: Implicit VR Little Endian), 9.3.1 (C-STORE), Annex E (elements).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

REQUEST, RESPONSE = 0x0001, 0x8001
"""Command Field (0000,0100) of C-STORE (PS3.7 Tables 9.3-1 and 9.3-2)."""

NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800) of a message without a data set (PS3.7 9.3)."""

GROUP_LENGTH, SOP_CLASS_UID, COMMAND_FIELD, MESSAGE_ID = 0x0000, 0x0002, 0x0100, 0x0110
MESSAGE_ID_BEING_RESPONDED_TO, PRIORITY, DATA_SET_TYPE = 0x0120, 0x0700, 0x0800
STATUS, ERROR_COMMENT, SOP_INSTANCE_UID = 0x0900, 0x0902, 0x1000
"""Elements of group 0000 (PS3.7 E.1)."""

PRIORITIES, MEDIUM = range(3), 0
"""Medium, high, low (PS3.7 Table 9.3-1). Who leaves it out asks for nothing: medium."""

MAX_UID, MAX_COMMENT = 64, 64
"""Characters (PS3.5 6.2: UI and LO)."""

_HEADER = struct.Struct("<HHL")
_NUMBER = struct.Struct("<H")


@dataclass(frozen=True)
class StoreRequest:
    """A C-STORE request.

    Attributes:
        context_id: The presentation context in which it came.
        message_id: Message ID (0000,0110).
        sop_class_uid: Affected SOP Class UID (0000,0002).
        sop_instance_uid: Affected SOP Instance UID (0000,1000).
        priority: Priority (0000,0700); medium where it is left out.
        has_data_set: Whether a data set follows.
    """

    context_id: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    priority: int
    has_data_set: bool


@dataclass(frozen=True)
class Answer:
    """A status, and why, for the sender's log: Error Comment (0000,0902), at most 64 characters."""

    status: int
    comment: str = ""


def elements(command_set: bytes) -> dict[int, bytes]:
    """Return the values of a command set by their element numbers.

    As tolerant as pynetdicom: other groups are passed over, as is a rest too short for an element, and the
    last value is as short as it is. What a command needs is looked for by who needs it.
    """
    found, position = {}, 0
    while position + _HEADER.size <= len(command_set):
        group, number, length = _HEADER.unpack_from(command_set, position)
        position += _HEADER.size
        if not group:
            found[number] = command_set[position : position + length]
        position += length
    return found


def number(values: Mapping[int, bytes], element: int) -> int:
    """Return the number in a command set, the first of several; ValueError: there is none."""
    value = values.get(element, b"")
    if len(value) < _NUMBER.size:
        raise ValueError("the command set lacks a number")
    return int(_NUMBER.unpack_from(value)[0])


def store_request(context_id: int, values: Mapping[int, bytes]) -> StoreRequest:
    """Return the request in a command set; ValueError: it lacks a parameter."""
    priority = number(values, PRIORITY) if PRIORITY in values else MEDIUM
    if priority not in PRIORITIES:
        raise ValueError("a priority that is none")
    if DATA_SET_TYPE not in values:
        raise ValueError("the C-STORE request lacks its data set type")
    return StoreRequest(
        context_id,
        number(values, MESSAGE_ID),
        _uid(values, SOP_CLASS_UID),
        _uid(values, SOP_INSTANCE_UID),
        priority,
        values[DATA_SET_TYPE][: _NUMBER.size] != _NUMBER.pack(NO_DATA_SET),
    )


def _uid(values: Mapping[int, bytes], element: int) -> str:
    first, *_others = values.get(element, b"").replace(b"\0", b"").split(b"\\")
    found = first.strip().decode("latin-1")
    if not 0 < len(found) <= MAX_UID:
        raise ValueError("the C-STORE request lacks a UID")
    return found


def response(request: StoreRequest, answer: Answer) -> bytes:
    """Return the command set of a C-STORE response."""
    values = {
        SOP_CLASS_UID: _padded(request.sop_class_uid, b"\0"),
        COMMAND_FIELD: _NUMBER.pack(RESPONSE),
        MESSAGE_ID_BEING_RESPONDED_TO: _NUMBER.pack(request.message_id),
        DATA_SET_TYPE: _NUMBER.pack(NO_DATA_SET),
        STATUS: _NUMBER.pack(answer.status),
        ERROR_COMMENT: _padded(answer.comment[:MAX_COMMENT], b" "),
        SOP_INSTANCE_UID: _padded(request.sop_instance_uid, b"\0"),
    }
    content = b"".join(_element(number, value) for number, value in values.items() if value)
    return _element(GROUP_LENGTH, len(content).to_bytes(4, "little")) + content


def _element(element: int, value: bytes) -> bytes:
    return _HEADER.pack(0, element, len(value)) + value


def _padded(text: str, padding: bytes) -> bytes:
    value = text.encode("latin-1", "replace")
    return value + padding * (len(value) % 2)
