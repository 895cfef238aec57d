"""Waits grow, are bounded and jittered; the breaker opens, probes and closes."""

from datetime import UTC, datetime, timedelta

import pytest

from node.backoff import ANSWERED, NO_FAILURES, Backoff, Breaker, BreakerState, Failures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _longest(failures: int) -> float:
    return Backoff(5, 600).delay_s(failures, draw=lambda: 1.0)


def test_wait_doubles_with_each_failure_until_the_longest() -> None:
    assert [_longest(n) for n in (1, 2, 3, 7, 8, 9)] == [5, 10, 20, 320, 600, 600]


def test_wait_stays_bounded_after_a_million_failures() -> None:
    assert _longest(1_000_000) == 600


def test_jitter_never_shortens_a_wait_below_its_half() -> None:
    waits = [Backoff(8, 600).delay_s(1) for _ in range(200)]
    assert min(waits) >= 4
    assert max(waits) <= 8
    assert len(set(waits)) > 100


@pytest.mark.parametrize(("first_s", "longest_s"), [(0, 1), (-1, 1), (2, 1)])
def test_backoff_refuses_impossible_waits(first_s: float, longest_s: float) -> None:
    with pytest.raises(ValueError, match="first_s"):
        Backoff(first_s, longest_s)


def test_breaker_opens_after_its_threshold_probes_after_the_wait_and_closes_on_an_answer() -> None:
    clock = Clock()
    breaker = Breaker(2, Backoff(10, 60), clock, draw=lambda: 1.0)
    states = [breaker.state]
    waits = []
    for _ in range(3):
        waits.append(breaker.failed())
        states.append(breaker.state)
        clock.now += waits[-1]
        states.append(breaker.state)
    breaker.answered()
    states.append(breaker.state)
    assert waits == [10, 20, 40]
    assert [str(state) for state in states] == [
        "closed",  # at first
        *("closed", "closed"),  # one failure is below the threshold
        *("open", "half-open"),
        *("open", "half-open"),
        "closed",  # answered
    ]
    assert breaker.wait_s == 0


def test_breaker_refuses_a_threshold_below_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Breaker(0, Backoff(1, 2))


def test_a_wait_that_is_asked_for_is_kept_up_to_the_longest() -> None:
    breaker = Breaker(2, Backoff(5, 600), clock=lambda: 0.0, draw=lambda: 0.0)
    assert breaker.failed(90.0) == 90.0
    assert breaker.failed(9000.0) == 600.0
    assert breaker.failed() == 10.0


def test_failures_are_told_from_the_first_one_until_an_answer() -> None:
    begun, clock = datetime(2026, 3, 1, 7, 12, tzinfo=UTC), Clock()
    breaker = Breaker(5, Backoff(8, 600), clock, draw=lambda: 1.0, moment=lambda: begun + _since(clock))
    assert breaker.failures == NO_FAILURES

    breaker.failed()
    clock.now += 60
    breaker.failed()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.failures == Failures(2, begun, begun + timedelta(seconds=60 + 16))

    breaker.answered()
    assert breaker.failures == ANSWERED


def _since(clock: Clock) -> timedelta:
    return timedelta(seconds=clock.now - Clock().now)
