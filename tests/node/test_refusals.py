"""Refusals are all counted, and told seldom enough, each of them under its own name."""

import io
import json
from typing import Any

from node.refusals import EVERY_S, MAX_REMEMBERED, MOST_TITLES, Refusals

EVENT, REASON = "association rejected", "a reason"


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _told(lines: io.StringIO) -> list[tuple[str, str, int]]:
    """Return address, AE title and count of every line."""
    found: list[dict[str, Any]] = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [(line.get("address", ""), line.get("calling_ae_title", ""), line["count"]) for line in found]


def test_same_of_one_address_is_told_once_a_minute_with_how_often_it_was(lines: io.StringIO) -> None:
    clock = _Clock()
    refusals = Refusals(clock=clock)
    for _ in range(5):
        refusals.note("connection refused", "it does not speak", "192.0.2.1")
    refusals.note("connection refused", "it does not speak", "192.0.2.2")
    clock.now = EVERY_S
    refusals.note("connection refused", "it does not speak", "192.0.2.1")
    clock.now = 2 * EVERY_S
    refusals.tell_due()

    assert _told(lines) == [
        ("192.0.2.1", "", 1),
        ("192.0.2.2", "", 1),
        ("192.0.2.1", "", 4),
        ("192.0.2.1", "", 1),
    ]
    assert refusals.counts == {"it does not speak": 7}


def test_what_was_held_back_is_told_of_each_title_though_nobody_comes_any_more(lines: io.StringIO) -> None:
    clock = _Clock()
    refusals = Refusals(clock=clock)
    for title in ("CR1", "CT2", "CR1", "CR1", "CT2"):
        refusals.note(EVENT, REASON, "192.0.2.1", title)
    assert _told(lines) == [("192.0.2.1", "CR1", 1), ("192.0.2.1", "CT2", 1)]
    assert refusals.due_in_s == EVERY_S

    clock.now = EVERY_S
    refusals.tell_due()
    assert _told(lines)[2:] == [("192.0.2.1", "CR1", 2), ("192.0.2.1", "CT2", 1)]
    clock.now = 2 * EVERY_S
    refusals.tell_due()
    assert len(_told(lines)) == 4
    assert refusals._told == {}


def test_what_was_held_back_is_told_at_the_end(lines: io.StringIO) -> None:
    refusals = Refusals(clock=_Clock())
    for _ in range(3):
        refusals.note(EVENT, REASON, "192.0.2.1", "CR1")
    refusals.tell_all()

    assert _told(lines) == [("192.0.2.1", "CR1", 1), ("192.0.2.1", "CR1", 2)]


def test_flood_of_titles_fills_neither_memory_nor_log(lines: io.StringIO) -> None:
    clock, alarms = _Clock(), list[tuple[str, str, str]]()
    refusals = Refusals(lambda *told: alarms.append(told), clock)
    for number in range(10_000):
        refusals.note(EVENT, REASON, "192.0.2.1", f"SCAN{number}", is_alarming=True)
    assert [title for _, title, _ in _told(lines)] == [
        *(f"SCAN{number}" for number in range(MOST_TITLES)),
        "",
    ]
    assert (len(refusals._told), len(alarms)) == (MOST_TITLES + 1, MOST_TITLES + 1)

    clock.now = EVERY_S
    refusals.tell_due()
    assert _told(lines)[MOST_TITLES + 1 :] == [("192.0.2.1", "", 10_000 - MOST_TITLES - 1)]
    clock.now = 2 * EVERY_S
    refusals.tell_due()
    refusals.note(EVENT, REASON, "192.0.2.1", "LATER")
    assert _told(lines)[-1] == ("192.0.2.1", "LATER", 1)
    assert len(refusals._titles) == 1


def test_scan_from_many_addresses_fills_neither_memory_nor_log(lines: io.StringIO) -> None:
    refusals = Refusals(clock=_Clock())
    for number in range(MAX_REMEMBERED + 10):
        refusals.note("connection refused", REASON, f"192.0.2.{number}")
    refusals.tell_all()

    assert len(_told(lines)) == MAX_REMEMBERED + 2
    assert _told(lines)[-2:] == [("", "", 1), ("", "", 9)]
    assert refusals.counts == {REASON: MAX_REMEMBERED + 10}
