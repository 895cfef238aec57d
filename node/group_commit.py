"""What several threads want to write at once goes into one transaction: they share one wait for the disk.

Nobody waits for company: whoever finds nobody writing begins at once, with what waits by then. A caller goes
on when the transaction that has its own part is durable.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Part = TypeVar("Part")
Done = TypeVar("Done")


class GroupCommit(Generic[Part, Done]):
    """Writes parts of many threads together. Safe for many threads.

    Args:
        write: Makes all parts durable in one transaction, or none; returns one result for each, in order.
    """

    def __init__(self, write: Callable[[Sequence[Part]], Sequence[Done]]) -> None:
        self._write = write
        self._waiting: deque[tuple[Part, Future[Done]]] = deque()
        self._turn = threading.Lock()

    def add(self, part: Part) -> Done:
        """Return the result of a part when it is durable; raise what `write` raised for those it was with."""
        ours: Future[Done] = Future()
        self._waiting.append((part, ours))
        with self._turn:
            if not ours.done():  # nobody has written it on the way
                self._write_all([self._waiting.popleft() for _ in range(len(self._waiting))])
        return ours.result()

    def _write_all(self, group: Sequence[tuple[Part, Future[Done]]]) -> None:
        try:
            results = self._write([part for part, _future in group])
        except Exception as error:
            for _part, future in group:
                future.set_exception(error)
            raise
        for (_part, future), result in zip(group, results, strict=True):
            future.set_result(result)
