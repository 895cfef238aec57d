"""What is asked of an association that is about to end does no harm; it breaks no thread.

PS3.8 table 9-10 has no such entries: the user of an association that was released, rejected or aborted has
nothing left to abort, and nothing to send. But pynetdicom's `abort`, and the answer to a request that was in
work, come from other threads, which cannot know; the state machine then raises in the thread that serves the
association ("Invalid event 'Evt15' for the current state 'Sta13'"), and nobody closes the connection.
"""

from collections.abc import Sequence

from pynetdicom import fsm
from pynetdicom.dul import DULServiceProvider

A_ABORT_REQUEST, P_DATA_REQUEST, AWAITING_CLOSE = "Evt15", "Evt9", "Sta13"
STOP_TIMER_AND_CLOSE, DISCARD = "AA-2", "discard"


def close_on_late_abort() -> None:
    """Teach pynetdicom's state machine what to do, once for all: an abort closes, late data is discarded."""
    after: Sequence[str] = AWAITING_CLOSE
    fsm.ACTIONS[DISCARD] = ("Discard what was to be sent", _discard, after)
    fsm.TRANSITION_TABLE[A_ABORT_REQUEST, AWAITING_CLOSE] = STOP_TIMER_AND_CLOSE
    fsm.TRANSITION_TABLE[P_DATA_REQUEST, AWAITING_CLOSE] = DISCARD


def _discard(dul: DULServiceProvider) -> str:
    dul.to_provider_queue.get(False)
    return AWAITING_CLOSE
