"""pynetdicom's own thread and ours take turns at the messages of an association.

Before pynetdicom sends a request it clears a checkpoint and waits until the association's thread says that it
rests. That thread says so before it comes to the checkpoint and takes it back after it has passed: in
between it may be taken for resting while it is on its way to the queue, and an answer that is quick is taken
from there by it, as if it were a request, and is lost. Here the word is taken back at the checkpoint itself.

And whoever serves an N-EVENT-REPORT takes that word back for a thread that still rests; whoever then waits
for it would wait for ever. Here a thread that rests says so again and again.
"""

import math
import time
from threading import Condition, Event

from pynetdicom import evt
from pynetdicom.association import Association

LOOK_EVERY_S = 0.25
"""How often a thread that rests looks whether it was forgotten: timers ring for nobody."""


SAY_AGAIN_EVERY_S = 0.02
"""How often a thread that must wait says that it rests."""


class Turn(Event):
    """The checkpoint of an association's thread: who has passed it is not said to rest.

    Set: the association's thread may take messages. Cleared: it waits, and another thread may take them as
    soon as the association says that it is paused.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._changed = Condition()
        self._is_free = True

    def is_set(self) -> bool:
        """Return whether the association's thread may pass."""
        return self._is_free

    def set(self) -> None:
        """Let the association's thread pass."""
        with self._changed:
            self._is_free = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Let the association's thread wait, from the next time on that it comes here."""
        with self._changed:
            self._is_free = False
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it may pass; whoever passes is no longer paused when this returns."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not (passes := self._changed.wait_for(self.is_set, SAY_AGAIN_EVERY_S)):
                self._association._is_paused = True
                if time.monotonic() > until:
                    break
            if passes:
                self._association._is_paused = False
        return passes


class RungTurn(Turn):
    """The checkpoint of a thread that is told when there is something to do, and rests until then."""

    def __init__(self, association: Association) -> None:
        super().__init__(association)
        self._is_rung = True

    def ring(self) -> None:
        """Tell that there is something to do."""
        with self._changed:
            self._is_rung = True
            self._changed.notify_all()

    def set(self) -> None:
        """Let the association's thread pass, and look."""
        super().set()
        self.ring()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it may pass and has a reason, or for a while and until it may pass."""
        with self._changed:
            if self._is_free:
                self._changed.wait_for(lambda: self._is_rung or not self._is_free, LOOK_EVERY_S)
            self._is_rung = False
            return super().wait(timeout)


def _take_turns(event: evt.Event) -> None:
    event.assoc._reactor_checkpoint = Turn(event.assoc)


TAKES_TURNS = evt.EVT_ACCEPTED, _take_turns
"""A handler of pynetdicom's; it is called before the association's thread begins to take messages."""


def _rest(event: evt.Event) -> None:
    event.assoc._reactor_checkpoint = RungTurn(event.assoc)


RESTS = evt.EVT_ACCEPTED, _rest
"""Likewise, for an association whose upper layer rings: `node.upper_layer.UpperLayer`."""
