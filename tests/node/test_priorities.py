import pytest
from pynetdicom.dimse_primitives import C_STORE

from node.jobs import Priority
from node.priorities import priority_of


@pytest.mark.parametrize(
    ("asked", "priority"),
    [(0x0000, Priority.ROUTINE), (0x0001, Priority.URGENT), (0x0002, Priority.ROUTINE)],
)
def test_priority_is_what_the_request_says(asked: int, priority: Priority) -> None:
    request = C_STORE()
    request.Priority = asked

    assert priority_of(request, "CR1", ()) is priority


def test_urgent_sender_is_urgent_whatever_it_asks_for() -> None:
    request = C_STORE()
    request.Priority = 0x0002

    assert priority_of(request, "ER     ", ("ER",)) is Priority.URGENT
    assert priority_of(request, "CR1", ("ER",)) is Priority.ROUTINE
