"""What a sender has in hand stays its own while it is sent, and what it knows at a stop is not lost."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import AnyDestination
from node.backoff import Backoff
from node.jobs import Delivery, DeliveryState
from node.outcome import Outcome, judge
from node.sender import BATCH, DeliveryRules
from node.transport import Outgoing, PlainTransport
from tests.node.test_sender import NOWHERE, Bench, _until


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data")
    yield made
    made.engine.dispose()


def test_lease_is_renewed_as_long_as_an_object_takes(bench: Bench) -> None:
    bench.add_job(results=2)
    lease_s = 0.6
    begun = time.monotonic()
    taken: list[Delivery] = []

    def slow(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        if not taken:
            assert _until(lambda: time.monotonic() > begun + 3 * lease_s)
            taken.extend(bench.store.claim_deliveries("archive", "another", lease_s, BATCH))
            assert taken == []
        return judge(outgoing.sop_instance_uid, 0x0000)

    rules = DeliveryRules(Backoff(0.02, 0.1), breaker_failures=2, lease_s=lease_s)
    bench.sender(NOWHERE, PlainTransport(slow), rules).step()
    assert [d.state for d in bench.deliveries()] == [DeliveryState.DELIVERED] * 2


def test_outcomes_that_are_known_at_a_stop_are_recorded(bench: Bench) -> None:
    bench.add_job(results=3)

    def together(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        sender.loop.ask_to_stop()
        found = judge(outgoing.sop_instance_uid, 0x0000)
        return replace(found, next_is_known=len(transport.sent) < 2)

    transport = PlainTransport(together)
    sender = bench.sender(NOWHERE, transport)
    sender.step()
    states = [delivery.state for delivery in bench.deliveries()]
    assert states == [DeliveryState.DELIVERED, DeliveryState.DELIVERED, DeliveryState.WAITING]
