"""A sign of life: renews leases while somebody works on what they are for."""

import threading
from collections.abc import Callable
from types import TracebackType

from node.errors import StorageError
from node.logs import get_logger

BEATS_PER_LEASE = 3
"""A lease is renewed so many times in its length, so that two renewals may fail."""

log = get_logger()


class Heartbeat:
    """Renews leases from a thread of its own while a `with` block lasts, and at each stage of the work.

    Args:
        beat: Renews, and is told what is done now; False: nothing is held any more, and it is called no more.
        lease_s: For how long a lease is given, in seconds.
    """

    def __init__(self, beat: Callable[[str], bool], lease_s: float) -> None:
        self._beat = beat
        self._pause_s = lease_s / BEATS_PER_LEASE
        self._stage = ""
        self._news = threading.Event()
        self._done = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def tell(self, stage: str) -> None:
        """Take note of what is done now; the work does not wait until it is written down."""
        self._stage = stage
        self._news.set()

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done = True
        self._news.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._news.wait(self._pause_s)
            self._news.clear()
            if self._done:
                return
            try:
                if not self._beat(self._stage):
                    return  # the lease is lost; the job's end will find that out
            except StorageError as error:
                log.warning("heartbeat failed", error=type(error).__name__)
