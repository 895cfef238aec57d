"""A thread that does one thing again and again, and survives when it fails."""

import threading
import time
from collections.abc import Callable

from node.backoff import Backoff
from node.bell import Bell
from node.logs import get_logger, place_of

# A step that fails for lack of a disk or a database is tried again after these waits.
FAILURE_BACKOFF = Backoff(first_s=0.5, longest_s=30.0)

log = get_logger()


class Loop:
    """Runs `step` in a thread of its own until it is stopped.

    Args:
        name: The thread's name.
        step: Does what is to be done now and returns for how many seconds there is nothing more to do; a
        ring of
            the bell ends that wait. Whatever it raises is logged, and it is called again after a growing
            wait.
        bell: Rings when there may be work.
        backoff: The waits after failures.
    """

    def __init__(
        self, name: str, step: Callable[[], float], bell: Bell, backoff: Backoff = FAILURE_BACKOFF
    ) -> None:
        self._step = step
        self._bell = bell
        self._backoff = backoff
        self._stopping = threading.Event()
        self._ending = False
        self._failures = 0
        self._turned_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """Whether the loop was told to stop; a long step looks at it."""
        return self._stopping.is_set()

    @property
    def name(self) -> str:
        """The thread's name."""
        return self._thread.name

    @property
    def age_s(self) -> float:
        """For how many seconds it has made no step: the one in hand, or the pause after it, lasts so long."""
        return time.monotonic() - self._turned_at

    @property
    def is_turning(self) -> bool:
        """Whether its thread lives."""
        return self._thread.is_alive()

    def turned(self) -> None:
        """Note a sign of life; a step of many parts calls it after each."""
        self._turned_at = time.monotonic()

    def start(self) -> None:
        """Start the thread."""
        self.turned()
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the step in hand be the last."""
        self._stopping.set()
        self._bell.ring()

    def ask_to_end(self) -> None:
        """Let the step in hand be the last, and be done whole: it is not told of stopping."""
        self._ending = True
        self._bell.ring()

    def join(self, timeout_s: float) -> bool:
        """Wait for the step in hand to end; tell whether it did."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def _is_over(self) -> bool:
        return self._ending or self._stopping.is_set()

    def _run(self) -> None:
        while not self._is_over:
            heard = self._bell.rings
            self.turned()
            pause = self._guarded_step()
            if self._failures:
                self._stopping.wait(pause)
            elif pause > 0 and not self._is_over:
                self._bell.wait(heard, pause)

    def _guarded_step(self) -> float:
        try:
            pause = self._step()
        except Exception as error:  # noqa: BLE001 - the catch-all around a job: recorded, then tried again
            self._failures += 1
            log.error("a step failed", error=type(error).__name__, place=place_of(error))
            return self._backoff.delay_s(self._failures)
        self._failures = 0
        return pause
