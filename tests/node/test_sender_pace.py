"""How long a sender leaves its destination alone, and how many objects it takes to it in a minute."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.settings import AnyDestination
from node.backoff import Backoff, BreakerState
from node.jobs import DeliveryState
from node.outcome import Outcome, Verdict
from node.proofs import ProofKind
from node.sender import DeliveryRules
from node.transport import Outgoing, PlainTransport
from tests.node.test_sender import NOWHERE, RULES, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data")
    yield made
    made.engine.dispose()


def test_peer_that_rejects_us_for_good_is_left_alone_longest_and_nothing_is_parked(bench: Bench) -> None:
    bench.add_job(results=2)
    rules = DeliveryRules(Backoff(0.01, 3600.0), breaker_failures=5, lease_s=30)

    def reject(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        return Outcome(outgoing.sop_instance_uid, Verdict.BARRED, None, "rejected")

    sender = bench.sender(NOWHERE, PlainTransport(reject), rules)
    assert sender.step() > 3590
    deliveries = bench.deliveries()
    assert [d.state for d in deliveries] == [DeliveryState.WAITING] * 2
    assert deliveries[0].reason == "rejected"


def test_peer_is_left_alone_as_long_as_it_asks_for_and_no_longer_than_the_longest_wait(bench: Bench) -> None:
    bench.add_job()

    def busy(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        return Outcome(outgoing.sop_instance_uid, Verdict.UNSENT, None, "busy", wait_s=90)

    rules = DeliveryRules(Backoff(0.01, 3600.0), breaker_failures=5, lease_s=30)
    assert 80 < bench.sender(NOWHERE, PlainTransport(busy), rules).step() <= 90
    assert bench.sender(NOWHERE, PlainTransport(busy), RULES).step() <= RULES.backoff.longest_s


def test_no_more_is_claimed_than_may_go_now(bench: Bench) -> None:
    bench.add_job(results=5)
    now = [0.0]
    rules = DeliveryRules(Backoff(0.02, 0.1), breaker_failures=2, lease_s=30, clock=lambda: now[0])
    transport = PlainTransport()
    sender = bench.sender(NOWHERE.model_copy(update={"objects_per_minute": 60}), transport, rules)
    for minute_part in range(3):
        assert sender.step() == pytest.approx(1.0)
        assert sender.step() == pytest.approx(1.0)
        assert len(transport.sent) == minute_part + 1
        now[0] += 1.0


def test_node_that_starts_again_does_not_wait_for_what_an_earlier_one_planned(bench: Bench) -> None:
    bench.add_job(results=2)
    refused, unanswered = bench.deliveries()
    later = datetime.now(UTC) + timedelta(hours=1)
    bench.store.delivery_failed(refused.id, "out of resources there", later, 0xA700)
    bench.store.delivery_failed(unanswered.id, "no connection", later)
    bench.sender(NOWHERE, PlainTransport()).step()
    assert [d.state for d in bench.deliveries()] == [DeliveryState.WAITING, DeliveryState.DELIVERED]


def test_unreadable_file_of_ours_says_nothing_about_a_dead_peer(bench: Bench) -> None:
    bench.add_job(results=3)
    verdicts = [
        Outcome("", Verdict.UNSENT, None, "no connection"),
        Outcome("", Verdict.UNSENT, None, "no connection"),
        Outcome("", Verdict.TRANSIENT, None, "the result's file cannot be read (EIO)", ours=True),
    ]

    def answer(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        return replace(verdicts.pop(0), sop_instance_uid=outgoing.sop_instance_uid)

    rules = DeliveryRules(Backoff(0.001, 0.002), breaker_failures=1, lease_s=30)
    sender = bench.sender(NOWHERE, PlainTransport(answer), rules)
    for _ in range(200):
        if not verdicts:
            break
        time.sleep(sender.step())
    assert not verdicts
    assert sender.breaker is not BreakerState.CLOSED


def test_what_another_sender_left_waiting_for_a_proof_that_nobody_asks_for_is_ended(bench: Bench) -> None:
    bench.add_job()
    sender = bench.sender(NOWHERE, PlainTransport())
    sender.step()
    bench.add_job()
    [left] = bench.store.claim_deliveries(NOWHERE.name, "the one before", 30, 1)
    bench.store.delivered(left.id, 0x0000, {ProofKind.COMMITMENT})  # it went by the settings of before
    assert DeliveryState.SENT in {delivery.state for delivery in bench.deliveries()}

    sender.step()

    assert {delivery.state for delivery in bench.deliveries()} == {DeliveryState.DELIVERED}
