"""What an image waits for, told of each destination."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from node.backoff import NO_FAILURES, Failures
from node.jobs import Delivery, DeliveryState, StoredResult
from node.web.waits import waits_of

NOW = datetime(2026, 3, 1, 7, 20, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=30)
FAILING = Failures(3, NOW - timedelta(minutes=8), NOW + timedelta(minutes=1))
NEW = Delivery(
    id=1,
    job_id=1,
    destination="pacs",
    state=DeliveryState.WAITING,
    attempts=0,
    due_at=NOW,
    status=None,
    reason="",
    updated_at=NOW,
    result=StoredResult("SEG", "", "2.25.1", "", ""),
)
TRIED = replace(NEW, attempts=2, reason="no connection", due_at=SOON)
SENT = replace(NEW, state=DeliveryState.SENT, reason="stored there; its commitment is awaited", due_at=SOON)
PARKED = replace(TRIED, state=DeliveryState.PARKED, attempts=1, reason="0x0110: refused", due_at=NOW)


@pytest.mark.parametrize(
    ("delivery", "failures", "text"),
    [
        (NEW, NO_FAILURES, "waits for pacs"),
        (
            NEW,
            FAILING,
            "waits for pacs: it does not answer; 3 failures since 07:12; next try at 07:21:00",
        ),
        (TRIED, NO_FAILURES, "waits for pacs: no connection; 2 tries failed; next try at 07:20:30"),
        (
            TRIED,
            FAILING,
            "waits for pacs: no connection; 3 failures since 07:12; next try at 07:21:00",
        ),
        (
            SENT,
            NO_FAILURES,
            "waits for pacs: stored there; its commitment is awaited; asked again at 07:20:30",
        ),
        (
            PARKED,
            NO_FAILURES,
            "waits for pacs: 0x0110: refused; 1 try failed; parked: it waits for a person",
        ),
    ],
)
def test_text_says_what_is_waited_for_and_until_when(
    delivery: Delivery, failures: Failures, text: str
) -> None:
    [wait] = waits_of([delivery], {"pacs": failures}, NOW)
    assert wait.text == text
    assert wait.is_trouble == (delivery in (TRIED, PARKED) or failures is FAILING)


def test_each_destination_is_told_once_by_its_worst_result() -> None:
    done = replace(NEW, destination="viewer", state=DeliveryState.DELIVERED)
    other = replace(TRIED, destination="cloud", attempts=7)
    pacs, cloud = waits_of([done, NEW, TRIED, PARKED, other], {}, NOW)

    assert (pacs.destination, pacs.results, pacs.parked, pacs.tries) == ("pacs", 3, 1, 2)
    assert (pacs.reason, pacs.next_at) == ("0x0110: refused", NOW)
    assert (cloud.destination, cloud.results, cloud.parked, cloud.tries) == ("cloud", 1, 0, 7)
    assert waits_of([PARKED], {}, NOW)[0].next_at is None
    assert waits_of([done], {}, NOW) == ()
