"""The states of a job, and which event leads from which to which."""

from enum import StrEnum

from node.errors import TransitionError


class State(StrEnum):
    """Where a job stands."""

    RECEIVED = "received"  # its bytes are on disk
    QUEUED = "queued"  # waits for a worker
    SEGMENTING = "segmenting"  # a worker holds a lease on it
    STORED = "stored"  # its results are on disk and wait for delivery
    DELIVERING = "delivering"  # the first delivery was begun
    DONE = "done"  # every destination has every result
    REFUSED = "refused"  # an image that the node does not serve
    IGNORED = "ignored"  # a rule of the admin's says that nothing is done with it
    UNMATCHED = "unmatched"  # there are rules, and none says where its results go; its bytes are kept
    QUARANTINED = "quarantined"  # an image that cannot be understood; its bytes are kept
    CANCELLED = "cancelled"  # a person let it go while it waited
    FAILED = "failed"  # processing failed, or killed its worker, too often


class Event(StrEnum):
    """What can happen to a job."""

    QUEUE = "queue"
    CLAIM = "claim"
    GIVE_BACK = "give back"
    GIVE_UP = "give up"
    REFUSE = "refuse"
    IGNORE = "ignore"
    LEAVE_UNMATCHED = "leave unmatched"
    QUARANTINE = "quarantine"
    STORE = "store"
    DELIVER = "deliver"
    COMPLETE = "complete"
    RETRY = "retry"
    RERUN = "run once more"
    CANCEL = "cancel"
    RESEND = "send again"


TRANSITIONS = {
    (State.RECEIVED, Event.QUEUE): State.QUEUED,
    (State.RECEIVED, Event.QUARANTINE): State.QUARANTINED,
    (State.QUEUED, Event.CLAIM): State.SEGMENTING,
    (State.QUEUED, Event.CANCEL): State.CANCELLED,
    (State.SEGMENTING, Event.GIVE_BACK): State.QUEUED,  # also when its worker has gone silent
    (State.SEGMENTING, Event.GIVE_UP): State.FAILED,
    (State.SEGMENTING, Event.REFUSE): State.REFUSED,
    (State.SEGMENTING, Event.IGNORE): State.IGNORED,
    (State.SEGMENTING, Event.LEAVE_UNMATCHED): State.UNMATCHED,
    (State.SEGMENTING, Event.QUARANTINE): State.QUARANTINED,
    (State.SEGMENTING, Event.STORE): State.STORED,
    (State.STORED, Event.DELIVER): State.DELIVERING,
    (State.STORED, Event.COMPLETE): State.DONE,  # nothing to deliver, or nobody to deliver it to
    (State.DELIVERING, Event.COMPLETE): State.DONE,
    (State.STORED, Event.RETRY): State.STORED,  # deliveries that wait are due now
    (State.DELIVERING, Event.RETRY): State.DELIVERING,  # likewise, parked ones too
    (State.REFUSED, Event.RETRY): State.QUEUED,
    (State.IGNORED, Event.RETRY): State.QUEUED,  # for other rules
    (State.UNMATCHED, Event.RETRY): State.QUEUED,  # likewise
    (State.QUARANTINED, Event.RETRY): State.QUEUED,
    (State.CANCELLED, Event.RETRY): State.QUEUED,
    (State.FAILED, Event.RETRY): State.QUEUED,
    (State.DONE, Event.RERUN): State.QUEUED,  # for another model or configuration
    (State.DELIVERING, Event.RERUN): State.QUEUED,  # likewise; what waits or is parked goes on
    (State.STORED, Event.RERUN): State.QUEUED,
    (State.STORED, Event.RESEND): State.STORED,
    (State.DELIVERING, Event.RESEND): State.DELIVERING,
    (State.DONE, Event.RESEND): State.DELIVERING,  # to whom it was delivered before
}
"""(state, event) -> state; every other pair is an error."""


def next_state(state: State, event: Event) -> State:
    """Return the state that follows; TransitionError for a pair that is not in `TRANSITIONS`.

    >>> next_state(State.QUEUED, Event.CLAIM)
    <State.SEGMENTING: 'segmenting'>
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise TransitionError(f"a job that is {state} does not know the event {event!s}") from None


PUT_ASIDE = (
    State.REFUSED,
    State.IGNORED,
    State.UNMATCHED,
    State.QUARANTINED,
    State.CANCELLED,
    State.FAILED,
)
"""Ends without a result; one that was to be run once more and was cancelled has those that it had."""

LET_GO = tuple(state for state in PUT_ASIDE if state is not State.UNMATCHED)
"""Those whose image is kept for as long as `retention.refused_days` says.

An unmatched one is nobody's decision: it stays until there is one.
"""
