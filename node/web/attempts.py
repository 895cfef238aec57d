"""Wrong passwords cost time: of one account from one address, and of one address in all.

Nobody is barred by what others do at other addresses: whoever knows an account's name must not close it.
Kept in memory: a process that starts anew begins anew.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

FREE_FOR_A_NAME, FREE_FOR_AN_ADDRESS = 5, 30
"""So many wrong passwords cost no time."""

LONGEST_BAR_S = 300.0
MOST_REMEMBERED = 10_000
"""Names and addresses; those that tried longest ago are forgotten first."""

ANY_NAME = ""


@dataclass(frozen=True)
class _Tally:
    failures: int
    barred_until: datetime


class Attempts:
    """Counts the attempts to log in. Safe for many threads.

    Args:
        clock: Tells the time, UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._tallies: OrderedDict[tuple[str, str], _Tally] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, address: str) -> bool:
        """Count an attempt as a wrong one before anybody looks at its password; False: it comes too soon."""
        now = self._clock()
        keys = {(name, address): FREE_FOR_A_NAME, (ANY_NAME, address): FREE_FOR_AN_ADDRESS}
        with self._lock:
            tallies = {key: self._tallies.get(key, _Tally(0, now)) for key in keys}
            if any(tally.barred_until > now for tally in tallies.values()):
                return False
            for key, free in keys.items():
                failures = tallies[key].failures + 1
                wait_s = min(2.0 ** min(failures - free, 20), LONGEST_BAR_S) if failures > free else 0.0
                self._tallies[key] = _Tally(failures, now + timedelta(seconds=wait_s))
                self._tallies.move_to_end(key)
            while len(self._tallies) > MOST_REMEMBERED:
                self._tallies.popitem(last=False)
        return True

    def succeeded(self, name: str, address: str) -> None:
        """Forget the wrong ones of somebody who gave the right password."""
        with self._lock:
            for key in ((name, address), (ANY_NAME, address)):
                self._tallies.pop(key, None)
