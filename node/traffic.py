"""What the listener took, counted since the start: associations, C-STORE answers, bytes."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

OTHER = "other"
"""Senders that the settings do not name: what the network calls itself may be anything, without end."""


@dataclass(frozen=True)
class TrafficCounts:
    """Counts by sender, where the settings name it; all others are `OTHER`.

    Attributes:
        associations: Associations that were asked for and not refused for lack of space.
        answers: C-STORE requests by (sender, status answered).
        received_bytes: Bytes of their data sets, those that were not kept included.
    """

    associations: Mapping[str, int]
    answers: Mapping[tuple[str, int], int]
    received_bytes: Mapping[str, int]


class Traffic:
    """Counts. Safe for many threads.

    Args:
        known: AE titles that are counted by name.
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = frozenset(known)
        self._lock = threading.Lock()
        self._associations: Counter[str] = Counter()
        self._answers: Counter[tuple[str, int]] = Counter()
        self._bytes: Counter[str] = Counter()

    @property
    def known(self) -> frozenset[str]:
        """The AE titles that are counted by name."""
        return self._known

    def know(self, titles: Collection[str]) -> None:
        """Count these AE titles by name, too, from now on."""
        self._known |= frozenset(titles)

    def called(self, ae_title: str) -> None:
        """Count an association."""
        with self._lock:
            self._associations[self._sender(ae_title)] += 1

    def answered(self, ae_title: str, status: int, size: int) -> None:
        """Count a C-STORE request, its answer and its bytes."""
        sender = self._sender(ae_title)
        with self._lock:
            self._answers[sender, status] += 1
            self._bytes[sender] += size

    @property
    def counts(self) -> TrafficCounts:
        """Everything so far."""
        with self._lock:
            return TrafficCounts(dict(self._associations), dict(self._answers), dict(self._bytes))

    def _sender(self, ae_title: str) -> str:
        title = ae_title.strip()
        return title if title in self._known else OTHER
