"""What several threads want to write at once goes into one transaction: they share one wait for the disk.

Nobody waits for company: whoever finds nobody writing begins at once, with what waits by then. A caller goes
on when the transaction that has its own part is durable.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Part = TypeVar("Part")
Done = TypeVar("Done")


class _Ticket(Generic[Part, Done]):
    """A part that waits, and who waits for it: until it is written, or until it is theirs to write."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.done: list[Done] = []
        self.error: Exception | None = None
        self.bell = threading.Lock()
        self.bell.acquire()

    def result(self) -> Done:
        """Return what became of it; raise what `write` raised."""
        if self.error is not None:
            raise self.error
        return self.done[0]


class GroupCommit(Generic[Part, Done]):
    """Writes parts of many threads together. Safe for many threads.

    Args:
        write: Makes all parts durable in one transaction, or none; returns one result for each, in order.
    """

    def __init__(self, write: Callable[[Sequence[Part]], Sequence[Done]]) -> None:
        self._write = write
        self._waiting: list[_Ticket[Part, Done]] = []
        self._is_writing = False
        self._guard = threading.Lock()

    def add(self, part: Part) -> Done:
        """Return the result of a part when it is durable; raise what `write` raised for those it was with."""
        ours: _Ticket[Part, Done] = _Ticket(part)
        with self._guard:
            self._waiting.append(ours)
            writes, self._is_writing = not self._is_writing, True
        if not writes:
            ours.bell.acquire()
        if not (ours.done or ours.error):
            self._write_all()
        return ours.result()

    def _write_all(self) -> None:
        """Write what waits, ours among it; then let the first who came meanwhile write what waits then."""
        with self._guard:
            group, self._waiting = self._waiting, []
        try:
            for ticket, result in zip(group, self._write([each.part for each in group]), strict=True):
                ticket.done.append(result)
        except Exception as error:
            for ticket in group:
                ticket.error = error
            raise
        finally:
            for ticket in group:
                ticket.bell.release()
            with self._guard:
                self._is_writing = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].bell.release()
