"""C-STORE commands are read and written as pynetdicom does it; what is no command is nonsense."""

import struct
from io import BytesIO
from typing import Any

import pytest
from pynetdicom.dimse_messages import C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE

from node.store_command import (
    COMMAND_FIELD,
    DATA_SET_TYPE,
    MEDIUM,
    MESSAGE_ID,
    NO_DATA_SET,
    PRIORITY,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    Answer,
    StoreRequest,
    elements,
    number,
    response,
    store_request,
)

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"


def _encoded(message: C_STORE_RQ | C_STORE_RSP, primitive: C_STORE) -> bytes:
    """Return the command set that pynetdicom makes."""
    message.primitive_to_message(primitive)
    command, *_data_set = message.encode_msg(1, 0)
    return bytes(command.presentation_data_value_list[0][1][1:])


def _request(instance: str, **parameters: Any) -> bytes:
    request = C_STORE()
    request.MessageID, request.Priority = 65_535, 1
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = SOP_CLASS, instance
    request.DataSet = BytesIO(b"....")
    for name, value in parameters.items():
        setattr(request, name, value)
    return _encoded(C_STORE_RQ(), request)


@pytest.mark.parametrize("instance", ["2.25.1", "2.25.12", "2.25." + "1" * 59])
def test_request_is_read(instance: str) -> None:
    values = elements(_request(instance, MoveOriginatorApplicationEntityTitle="MOVER"))
    assert store_request(5, values) == StoreRequest(5, 65_535, SOP_CLASS, instance, 1, has_data_set=True)


@pytest.mark.parametrize("instance", ["2.25.1", "2.25.12"])
@pytest.mark.parametrize("answer", [Answer(0x0000), Answer(0xA700, "disk is full"), Answer(0xC000, "?")])
def test_response_is_the_one_of_pynetdicom(instance: str, answer: Answer) -> None:
    wanted = C_STORE()
    wanted.MessageID = wanted.MessageIDBeingRespondedTo = 7
    wanted.AffectedSOPClassUID, wanted.AffectedSOPInstanceUID = SOP_CLASS, instance
    wanted.Status, wanted.ErrorComment = answer.status, answer.comment or None  # type: ignore[assignment]
    request = StoreRequest(1, 7, SOP_CLASS, instance, 0, has_data_set=True)
    assert response(request, answer) == _encoded(C_STORE_RSP(), wanted)


def test_comment_is_cut_to_what_the_element_may_hold() -> None:
    request = StoreRequest(1, 7, SOP_CLASS, "2.25.1", 0, has_data_set=True)
    assert b"x" * 64 in response(request, Answer(0xA700, "x" * 80))
    assert b"x" * 65 not in response(request, Answer(0xA700, "x" * 80))


def _without(element: int, value: bytes | None = None) -> dict[int, bytes]:
    values = elements(_request("2.25.1"))
    del values[element]
    return values if value is None else values | {element: value}


@pytest.mark.parametrize(
    "values",
    [
        _without(MESSAGE_ID),
        _without(MESSAGE_ID, b"\7"),
        _without(DATA_SET_TYPE),
        _without(PRIORITY, b""),
        _without(PRIORITY, b"\3\0"),
        _without(SOP_INSTANCE_UID, b"\0"),
        _without(SOP_INSTANCE_UID, b"\\2.25.1"),
        _without(SOP_INSTANCE_UID, b"1" * 65),
    ],
)
def test_request_that_lacks_a_parameter_is_none(values: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match=r"lacks|none"):
        store_request(1, values)


@pytest.mark.parametrize(
    ("values", "name", "wanted"),
    [
        (_without(PRIORITY), "priority", MEDIUM),
        (_without(PRIORITY, b"\1\0\2\0"), "priority", 1),
        (_without(MESSAGE_ID, b"\7\0\1\0"), "message_id", 7),
        (_without(DATA_SET_TYPE, b""), "has_data_set", True),
        (_without(DATA_SET_TYPE, b"\1\1\0\0"), "has_data_set", False),
        (_without(SOP_INSTANCE_UID, b"\0" + b"2.25\0.12 \0"), "sop_instance_uid", "2.25.12"),
        (_without(SOP_INSTANCE_UID, b"2.25.12\n"), "sop_instance_uid", "2.25.12"),
        (_without(SOP_CLASS_UID, b"1.2.3\\1.2.4"), "sop_class_uid", "1.2.3"),
    ],
)
def test_request_that_is_a_little_odd_is_taken(values: dict[int, bytes], name: str, wanted: object) -> None:
    assert getattr(store_request(1, values), name) == wanted


@pytest.mark.parametrize(
    "rest",
    [
        b"\0",
        b"\0" * 7,
        b"\0" * 8,
        struct.pack("<HHL", 0, 0x1030, 16) + b"AB",
        struct.pack("<HHLH", 9, 2, 2, 5),
    ],
    ids=["a byte", "seven bytes", "an empty element", "a value cut short", "another group"],
)
def test_rest_of_a_command_set_is_passed_over(rest: bytes) -> None:
    command_set = _request("2.25.12")
    assert store_request(1, elements(command_set + rest)) == store_request(1, elements(command_set))


def test_command_set_of_another_group_is_none() -> None:
    values = elements(struct.pack("<HHLH", 8, COMMAND_FIELD, 2, NO_DATA_SET))
    with pytest.raises(ValueError, match="lacks a number"):
        number(values, COMMAND_FIELD)
