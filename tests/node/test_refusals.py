"""Refusals are all counted, and told seldom enough."""

import io
import json

from node.refusals import EVERY_S, MAX_REMEMBERED, Refusals


def test_same_of_one_address_is_told_once_a_minute_with_how_often_it_was(lines: io.StringIO) -> None:
    now = [0.0]
    refusals = Refusals(clock=lambda: now[0])
    for _ in range(5):
        refusals.note("connection refused", "it does not speak", "192.0.2.1")
    refusals.note("connection refused", "it does not speak", "192.0.2.2")
    now[0] = EVERY_S
    refusals.note("connection refused", "it does not speak", "192.0.2.1")

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["address"], line["count"]) for line in told] == [
        ("192.0.2.1", 1),
        ("192.0.2.2", 1),
        ("192.0.2.1", 5),
    ]
    assert refusals.counts == {"it does not speak": 7}


def test_scan_from_many_addresses_takes_no_memory_for_ever() -> None:
    refusals = Refusals(clock=lambda: 0.0)
    for number in range(MAX_REMEMBERED + 10):
        refusals.note("connection refused", "a reason", f"192.0.2.{number}")

    assert len(refusals._told) == MAX_REMEMBERED
    assert refusals.counts == {"a reason": MAX_REMEMBERED + 10}
