"""docs/log.md names every event and every key of the node's log, and no others."""

import re

import pytest

from node.logs import KEYS
from tests.house.log_events import log_events
from tests.house.pages import DOCS

PAGE = (DOCS / "log.md").read_text(encoding="utf-8")
WITHHELD = "withheld"
"""The one key that the filter itself adds."""


def rows(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_every_key_of_the_log_has_one_row_and_nothing_else_has() -> None:
    keys = PAGE.split("## Keys")[1].split("\n## ")[0]

    assert sorted(rows(keys)) == sorted([*KEYS, WITHHELD])


def test_every_event_of_the_log_has_one_row_and_nothing_else_has() -> None:
    events = PAGE.split("\n## Starting")[1]

    assert sorted(rows(events)) == sorted(log_events())


@pytest.mark.parametrize(
    "event", ["node started", "delivery tried", "connection refused", "object not queued"]
)
def test_events_are_found_however_they_are_logged(event: str) -> None:
    assert event in log_events()
