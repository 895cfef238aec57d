"""How many objects a destination may be sent now: a bucket of tokens that fills slowly."""

import time
from collections.abc import Callable

MINUTE_S = 60.0
ANY = 1_000_000
"""More than anybody sends at a time: no limit is set."""


class Rate:
    """At most so many objects in any minute, spread over it.

    The bucket holds what may go within one second, at least one object, and fills so slowly that even a full
    one does not let more through in a minute than was set. Not safe for several threads: each sender owns
    one.

    Args:
        per_minute: At most so many; 0: any number.
        clock: Seconds that only grow.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._size = max(1, per_minute // int(MINUTE_S))
        self._per_second = (per_minute - (self._size if self._size > 1 else 0)) / MINUTE_S
        self._tokens = float(self._size)
        self._filled_at = clock()

    @property
    def allowed(self) -> int:
        """How many objects may go now."""
        if self._per_minute == 0:
            return ANY
        self._fill()
        return int(self._tokens + 1e-9)  # what is a token but for rounding is one

    @property
    def wait_s(self) -> float:
        """Seconds until an object may go, 0 when one may go now."""
        return 0.0 if self.allowed else (1.0 - self._tokens) / self._per_second

    def spend(self, objects: int) -> None:
        """Record that so many are on their way."""
        self._fill()
        self._tokens -= objects

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._size, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
