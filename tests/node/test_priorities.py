import pytest

from node.jobs import Priority
from node.priorities import priority_of
from node.store_command import StoreRequest


def _request(asked: int) -> StoreRequest:
    return StoreRequest(1, 1, "1.2.840.10008.5.1.4.1.1.1", "2.25.1", asked, has_data_set=True)


@pytest.mark.parametrize(
    ("asked", "priority"),
    [(0x0000, Priority.ROUTINE), (0x0001, Priority.URGENT), (0x0002, Priority.ROUTINE)],
)
def test_priority_is_what_the_request_says(asked: int, priority: Priority) -> None:
    assert priority_of(_request(asked), "CR1", ()) is priority


def test_urgent_sender_is_urgent_whatever_it_asks_for() -> None:
    request = _request(0x0002)

    assert priority_of(request, "ER     ", ("ER",)) is Priority.URGENT
    assert priority_of(request, "CR1", ("ER",)) is Priority.ROUTINE
