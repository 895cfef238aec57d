"""Peers that were not let in: counted by reason, and told without letting them fill the log."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from node.logs import get_logger

EVERY_S = 60.0
"""How often the same is told of one AE title at one address. A scanner tries hundreds of times a minute."""

MOST_TITLES = 10
"""Of so many AE titles at one address each is told by itself, for one reason; the others together."""

MAX_REMEMBERED = 1000
"""So many are told apart in `EVERY_S`; the others by their reason only."""

log = get_logger()


@dataclass(frozen=True)
class _Who:
    """Whom a line is about; without a title or an address: all that are not told apart."""

    reason: str
    address: str
    title: str


@dataclass
class _Told:
    """What was told of somebody at the beginning of an interval, and how often it happened again since."""

    at: float
    event: str
    is_alarming: bool
    since: int = 0


@dataclass(frozen=True)
class _Line:
    who: _Who
    event: str
    count: int
    is_alarming: bool


class Refusals:
    """Counts and tells. Safe for many threads.

    The first refusal is told at once. The same reason for the same AE title at the same address is then held
    back, and how often it came is told `EVERY_S` later: somebody must call `tell_due` for that.

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
        self._told: dict[_Who, _Told] = {}  # the one that is due first comes first
        self._titles: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many peers were not let in since the start, by reason."""
        return dict(self._counts)

    def note(
        self, event: str, reason: str, address: str, title: str = "", *, is_alarming: bool = False
    ) -> None:
        """Count a refusal; log it unless the same was told of the same peer within `EVERY_S`.

        Args:
            event: What happened, for the log.
            reason: Why, in words of ours.
            address: Whose IP address it is; empty: nobody's.
            title: The AE title that called; empty: none is known.
            is_alarming: Whether somebody may be trying what is not allowed.
        """
        with self._lock:
            self._counts[reason] += 1
            lines = [*self._due(self._clock() - EVERY_S)]
            who = self._known_as(_Who(reason, address, title))
            told = self._told.get(who)
            if told is None:
                self._begin(who, _Told(self._clock(), event, is_alarming))
                lines.append(_Line(who, event, 1, is_alarming))
            else:
                told.since += 1
        self._say(lines)

    def tell_due(self) -> None:
        """Tell what was held back for `EVERY_S`."""
        with self._lock:
            lines = list(self._due(self._clock() - EVERY_S))
        self._say(lines)

    def tell_all(self) -> None:
        """Tell everything that was held back: nobody comes any more."""
        with self._lock:
            lines = list(self._due(self._clock()))
        self._say(lines)

    @property
    def due_in_s(self) -> float:
        """After how many seconds `tell_due` may have something to tell; at most `EVERY_S`."""
        with self._lock:
            first = next(iter(self._told.values()), None)
            return EVERY_S if first is None else max(0.0, first.at + EVERY_S - self._clock())

    def _known_as(self, who: _Who) -> _Who:
        """Return whom a refusal is told of: its peer, or all at its address, or all, where there are many."""
        if who in self._told:
            return who
        if self._titles[who.reason, who.address] >= MOST_TITLES:
            who = _Who(who.reason, who.address, "")
        if who not in self._told and len(self._told) >= MAX_REMEMBERED:
            return _Who(who.reason, "", "")
        return who

    def _begin(self, who: _Who, told: _Told) -> None:
        self._told[who] = told
        if who.title:
            self._titles[who.reason, who.address] += 1

    def _end(self, who: _Who) -> _Told:
        if who.title:
            self._titles[who.reason, who.address] -= 1
            if not self._titles[who.reason, who.address]:
                del self._titles[who.reason, who.address]
        return self._told.pop(who)

    def _due(self, until: float) -> Iterator[_Line]:
        """Yield what was held back of those told of until then; of these a new interval begins."""
        while self._told and (who := next(iter(self._told))) and self._told[who].at <= until:
            told = self._end(who)
            if told.since:
                yield _Line(who, told.event, told.since, told.is_alarming)
                self._begin(who, _Told(self._clock(), told.event, told.is_alarming))

    def _say(self, lines: list[_Line]) -> None:
        for each in lines:
            event, address, title = each.event, each.who.address, each.who.title
            if each.is_alarming and self.alarm is not None:
                self.alarm(title, address, each.who.reason)
            known = {"address": address, "calling_ae_title": title}
            whose = {key: value for key, value in known.items() if value}
            log.warning(event, reason=each.who.reason, count=each.count, **whose)
