"""Waking threads that wait for work."""

import threading


class Bell:
    """Wakes every thread that waits; a ring between looking for work and waiting is not lost.

    A thread reads `rings`, looks for work, and finding none waits for a ring after that number.
    """

    def __init__(self) -> None:
        self._rings = 0
        self._rung = threading.Condition()

    @property
    def rings(self) -> int:
        """How often it has rung."""
        with self._rung:
            return self._rings

    def ring(self) -> None:
        """Wake all that wait."""
        with self._rung:
            self._rings += 1
            self._rung.notify_all()

    def wait(self, heard: int, timeout_s: float) -> bool:
        """Wait until it has rung more often than `heard`, or until the time is up; tell whether it has."""
        with self._rung:
            return self._rung.wait_for(lambda: self._rings > heard, timeout_s)
