"""How long to wait before trying again, and when to stop asking a peer that does not answer."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial

# Doubling from 1 s passes any longest wait that an admin may set (a day) long before this many attempts.
_DOUBLINGS = 32


@dataclass(frozen=True)
class Backoff:
    """Exponential waiting with jitter, so that many senders do not come back in the same second.

    Attributes:
        first_s: The wait after the first failure in seconds, above 0, before jitter.
        longest_s: No wait is longer, in seconds; at least first_s.

    Source: "equal jitter" of M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog 2015: half of
    each wait is fixed and the other half drawn.
    """

    first_s: float
    longest_s: float

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.longest_s:
            raise ValueError(
                f"0 < first_s <= longest_s must hold, found {self.first_s:g} and {self.longest_s:g}"
            )

    def delay_s(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Return the wait in seconds after so many failures in a row (1 or more); `draw` gives [0, 1).

        >>> Backoff(5, 600).delay_s(3, draw=lambda: 0.5)
        15.0
        """
        full = min(self.first_s * 2.0 ** min(failures - 1, _DOUBLINGS), self.longest_s)
        return full * (0.5 + 0.5 * draw())


class BreakerState(StrEnum):
    """What the sender may do with its destination now."""

    CLOSED = "closed"  # send everything that is due
    OPEN = "open"  # the destination is taken for dead: wait
    HALF_OPEN = "half-open"  # try with one object


@dataclass(frozen=True)
class Failures:
    """How often a destination has failed to answer since it last did.

    Attributes:
        count: In a row; 0: it answered last, or was not tried since this process began.
        since: When the first of these failed, UTC; None without any.
        next_at: When it is tried again, UTC; None without any.
        has_answered: Whether the last try was answered.
    """

    count: int = 0
    since: datetime | None = None
    next_at: datetime | None = None
    has_answered: bool = False


NO_FAILURES, ANSWERED = Failures(), Failures(has_answered=True)
_machine_time = partial(datetime.now, UTC)


class Breaker:
    """Stops a sender from spending its time on a dead peer.

    Every failed association is followed by a wait that grows. From `threshold` failures in a row the
    destination counts as dead: after each wait one object probes it. The first answer closes the breaker.
    Not safe for several threads: each sender owns one.
    """

    def __init__(
        self,
        threshold: int,
        backoff: Backoff,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        moment: Callable[[], datetime] = _machine_time,
    ) -> None:
        if threshold < 1:
            raise ValueError(f"the breaker's threshold must be at least 1, found {threshold}")
        self._threshold = threshold
        self._backoff = backoff
        self._clock = clock
        self._draw = draw
        self._moment = moment
        self._failures = NO_FAILURES
        self._not_before = 0.0

    @property
    def failures(self) -> Failures:
        """How often it failed in a row, for whoever watches; read by any thread."""
        return self._failures

    @property
    def state(self) -> BreakerState:
        """The state now."""
        if self._failures.count < self._threshold:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.wait_s > 0 else BreakerState.HALF_OPEN

    @property
    def wait_s(self) -> float:
        """Seconds until the destination may be tried again, 0 when it may be tried now."""
        return max(0.0, self._not_before - self._clock()) if self._failures.count else 0.0

    def failed(self, least_s: float = 0.0) -> float:
        """Record an association that gave no answer; return the wait in seconds that follows.

        Args:
            least_s: The wait is at least so long, but never longer than the longest one.
        """
        count, now = self._failures.count + 1, self._moment()
        delay = self._backoff.delay_s(count, self._draw)
        delay = max(delay, min(least_s, self._backoff.longest_s))
        self._not_before = self._clock() + delay
        self._failures = Failures(count, self._failures.since or now, now + timedelta(seconds=delay))
        return delay

    def answered(self) -> None:
        """Record that the destination answered."""
        self._failures = ANSWERED
