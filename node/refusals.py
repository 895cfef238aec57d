"""Peers that were not let in: counted by reason, and told without letting them fill the log."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from node.logs import get_logger

EVERY_S = 60.0
"""How often the same is told of one address. A scanner tries hundreds of times a minute."""

MAX_REMEMBERED = 1000
"""Of so many addresses and reasons it is known when they were told; beyond, the oldest is forgotten."""

log = get_logger()


@dataclass
class _Told:
    at: float
    since: int = 0


class Refusals:
    """Counts and tells.

    Args:
        alarm: Is told of those that matter to security, as often as the log: AE title, address and reason.
        clock: Tells seconds that never go back.
    """

    def __init__(
        self,
        alarm: Callable[[str, str, str], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.alarm = alarm
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._told: dict[tuple[str, str], _Told] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many peers were not let in since the start, by reason."""
        return dict(self._counts)

    def note(self, event: str, reason: str, address: str, *, is_alarming: bool = False, **keys: str) -> None:
        """Count a refusal; log it unless the same was told of the address within `EVERY_S`.

        Args:
            event: What happened, for the log.
            reason: Why, in words of ours.
            address: Whose IP address it is; empty: nobody's.
            is_alarming: Whether somebody may be trying what is not allowed.
            **keys: More for the log.
        """
        self._counts[reason] += 1
        told, now = self._told.get((address, reason)), self._clock()
        if told is not None and now - told.at < EVERY_S:
            told.since += 1
            return
        count = 1 if told is None else told.since + 1
        whose = {"address": address} if address else {}
        if is_alarming and self.alarm is not None:
            self.alarm(keys.get("calling_ae_title", ""), address, reason)
        log.warning(event, reason=reason, count=count, **whose, **keys)
        self._told.pop((address, reason), None)
        self._told[address, reason] = _Told(now)
        if len(self._told) > MAX_REMEMBERED:
            del self._told[next(iter(self._told))]
