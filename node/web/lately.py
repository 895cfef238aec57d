"""What was made lately and may be asked for again at once: in memory only, and only so much of it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lately(Generic[T]):
    """Keeps what was made last, in this process.

    Args:
        most_bytes: Of all that is kept together; what is larger by itself is not kept.
        size: Tells the bytes of one.
    """

    def __init__(self, most_bytes: int, size: Callable[[T], int]) -> None:
        self._most_bytes = most_bytes
        self._size = size
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._making = (threading.Lock(), threading.Lock())

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under a key, or make it: nothing twice at a time, and two things at most."""
        if (found := self._found(key)) is not None:
            return found
        with self._making[hash(key) % len(self._making)]:
            if (found := self._found(key)) is not None:
                return found
            made = make()
            self._keep(key, made)
            return made

    def _found(self, key: Hashable) -> T | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Hashable, made: T) -> None:
        if self._size(made) > self._most_bytes:
            return
        with self._lock:
            self._kept[key] = made
            self._bytes += self._size(made)
            while self._bytes > self._most_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= self._size(oldest)
