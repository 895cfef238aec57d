"""An abort that comes when the association has just ended closes the connection; it breaks no thread.

PS3.8 table 9-10 has no such entry: the user of an association that was released or rejected has nothing left
to abort. But pynetdicom's `abort` is called from another thread, which cannot know; the state machine then
raises in the thread that serves the association ("Invalid event 'Evt15' for the current state 'Sta13'").
"""

from pynetdicom import fsm

A_ABORT_REQUEST, AWAITING_CLOSE = "Evt15", "Sta13"
STOP_TIMER_AND_CLOSE = "AA-2"


def close_on_late_abort() -> None:
    """Teach pynetdicom's state machine to close the connection; done again, it changes nothing."""
    fsm.TRANSITION_TABLE[A_ABORT_REQUEST, AWAITING_CLOSE] = STOP_TIMER_AND_CLOSE
