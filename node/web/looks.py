"""Who looked at which image lately, so that the pictures of one look are one deed, not fifty."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

AGAIN_S = 600.0
"""Whoever still asks for pictures after so many seconds has looked again."""

MOST = 10_000
"""Looks that are remembered; one that was forgotten is written down again."""


class Looks:
    """The looks of the last minutes, in this process.

    Args:
        clock: Tells seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, look: Hashable, write: Callable[[], None], *, is_part: bool) -> None:
        """Write a look down; nobody who looks alike goes on before that is done.

        Args:
            look: Who looks, from where, at what.
            write: Writes it down.
            is_part: Whether it is no look of its own, where one like it was written lately.
        """
        with self._lock:
            if is_part and self._clock() - self._written.get(look, -math.inf) < AGAIN_S:
                return
            write()
            self._written[look] = self._clock()
            self._written.move_to_end(look)
            if len(self._written) > MOST:
                self._written.popitem(last=False)
