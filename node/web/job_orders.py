"""What a person may ask of a job on its page, and what each asking is called."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from node.job_store import JobStore
from node.jobs import DeliveryState, Job
from node.states import PUT_ASIDE, State
from node.study_view import JobView
from node.web.deeds import Act


class Order(StrEnum):
    """What is asked; the last part of the path that asks it."""

    RETRY = "retry"
    RERUN = "rerun"
    RESEND = "resend"
    CANCEL = "cancel"


ACTS = {
    Order.RETRY: Act.RETRY,
    Order.RERUN: Act.RERUN,
    Order.RESEND: Act.RESEND,
    Order.CANCEL: Act.CANCEL,
}
"""As it is written down."""

DONE = {
    Order.RETRY: "It is tried again.",
    Order.RERUN: "It is run once more: it waits for a worker.",
    Order.RESEND: "Its results are sent again.",
    Order.CANCEL: "It was let go. Trying again brings it back.",
}
"""What is said afterwards."""

_WITH_RESULTS = frozenset({State.STORED, State.DELIVERING, State.DONE})
_HAS_IT = DeliveryState.DELIVERED


@dataclass(frozen=True)
class Asked:
    """What somebody asks of a job.

    Attributes:
        order: What.
        destination: To whom results are sent again; empty: to everybody.
        reason: Why it is let go. It stays with the job, and is neither logged nor written among the deeds.
    """

    order: Order
    destination: str = ""
    reason: str = ""


def recipients_of(view: JobView, known: Collection[str]) -> tuple[str, ...]:
    """Return to whom results may be sent again: who was to have any, and is known still."""
    names = dict.fromkeys(each.delivery.destination for each in view.deliveries)
    return tuple(name for name in names if name in known)


def possible_orders(view: JobView, known: Collection[str]) -> tuple[Order, ...]:
    """Return what the state of a job allows.

    Args:
        view: Of the job.
        known: The destinations that the settings have now.
    """
    state = view.job.state
    if state is State.QUEUED:
        return (Order.CANCEL,)
    if view.job.files_removed_at is not None:
        return ()
    if state in PUT_ASIDE:
        return (Order.RETRY,)
    if state not in _WITH_RESULTS:
        return ()
    is_open = any(each.delivery.state is not _HAS_IT for each in view.deliveries)
    retry = (Order.RETRY,) if is_open else ()
    resend = (Order.RESEND,) if recipients_of(view, known) else ()
    return (*retry, Order.RERUN, *resend)


def carry_out(store: JobStore, job_id: int, asked: Asked, known: Collection[str]) -> Job:
    """Do what is asked, and return the job as it is then.

    Args:
        store: The queue.
        job_id: Of which job it is asked.
        asked: What.
        known: The destinations that the settings have now.

    Raises:
        TransitionError: Its state does not allow it; the message says why.
    """
    match asked.order:
        case Order.RETRY:
            return store.retry(job_id)
        case Order.RERUN:
            return store.rerun(job_id)
        case Order.RESEND:
            return store.resend(job_id, asked.destination, known)
        case Order.CANCEL:
            return store.cancel(job_id, asked.reason.replace("\0", "").strip())
