"""So many objects in a minute, and not one more."""

import pytest

from node.rate import Rate


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _sent(per_minute: int, seconds: float, at_a_time: int = 16) -> list[float]:
    """Send as fast as is allowed for so long; return when each object went."""
    clock, times = Seconds(), list[float]()
    rate = Rate(per_minute, clock)
    while clock.now < 1000.0 + seconds:
        count = min(at_a_time, rate.allowed)
        times += [clock.now] * count
        rate.spend(count)
        clock.now += max(rate.wait_s, 0.01)
    return times


@pytest.mark.parametrize("per_minute", [1, 7, 60, 119, 120, 600, 6000])
def test_no_minute_has_more_than_was_set(per_minute: int) -> None:
    times = _sent(per_minute, 150.0)
    most = max(sum(start <= t < start + 59.999 for t in times) for start in times[:: max(1, per_minute // 9)])
    assert most <= per_minute
    assert len(times) >= 0.9 * per_minute * 2.5 - 1


def test_a_pause_saves_up_for_no_more_than_a_second() -> None:
    clock = Seconds()
    rate = Rate(600, clock)
    clock.now += 3600
    assert rate.allowed == 10
    rate.spend(10)
    assert rate.allowed == 0
    assert 0 < rate.wait_s < 0.2
    clock.now += rate.wait_s
    assert rate.allowed == 1


def test_without_a_limit_nothing_waits() -> None:
    rate = Rate(0, Seconds())
    rate.spend(10_000)
    assert rate.allowed > 10_000
    assert rate.wait_s == 0
