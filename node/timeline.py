"""What happened to a job and to its results, one after the other, in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from node.jobs import Delivery, DeliveryState, Job, JobEvent
from node.proofs import Proof, ProofKind
from node.states import Event

WORDS = {
    Event.QUEUE: "queued",
    Event.CLAIM: "a worker began",
    Event.GIVE_BACK: "put back into the queue",
    Event.GIVE_UP: "failed",
    Event.REFUSE: "refused",
    Event.IGNORE: "ignored",
    Event.LEAVE_UNMATCHED: "no rule matched",
    Event.QUARANTINE: "quarantined",
    Event.STORE: "results stored",
    Event.DELIVER: "delivery began",
    Event.COMPLETE: "done",
    Event.RETRY: "a person asked for another try",
    Event.RERUN: "a person had it run once more",
    Event.CANCEL: "a person let it go",
    Event.RESEND: "a person had results sent again",
}
"""By what happened to the job."""

SAID = {
    (ProofKind.STORE, True): "stored at",
    (ProofKind.STORE, False): "not stored at",
    (ProofKind.COMMITMENT, True): "committed to by",
    (ProofKind.COMMITMENT, False): "not committed to by",
    (ProofKind.QUERY, True): "found at",
    (ProofKind.QUERY, False): "not found at",
}
"""By what a destination said, before its name."""


_STORED = (ProofKind.STORE, True)
_THERE = (DeliveryState.SENT, DeliveryState.DELIVERED)


@dataclass(frozen=True)
class Moment:
    """Something that happened.

    Attributes:
        at: When, UTC.
        what: In words, such as "queued" or "SEG stored at pacs".
        detail: Why, or what was said; may be empty.
    """

    at: datetime
    what: str
    detail: str


def timeline(
    job: Job, events: Sequence[JobEvent], deliveries: Sequence[Delivery], proofs: Sequence[Proof]
) -> tuple[Moment, ...]:
    """Return everything that happened, by time; what is told of one time stays in its order.

    Of tries to deliver that failed only the last is told, with their number.

    Args:
        job: Whose.
        events: Its history.
        deliveries: Of its results.
        proofs: What destinations said of them; those of deliveries that came meanwhile are left out.
    """
    received = Moment(job.created_at, "received", f"from {job.calling_ae_title}")
    told = [received, *_of_job(events), *_of_results(deliveries, proofs), *_of_failures(deliveries)]
    return tuple(sorted(told, key=lambda moment: moment.at))


def _of_job(events: Sequence[JobEvent]) -> Iterator[Moment]:
    for event in events:
        yield Moment(event.at, WORDS[Event(event.event)], event.reason)


def _of_results(deliveries: Sequence[Delivery], proofs: Sequence[Proof]) -> Iterator[Moment]:
    by_id = {delivery.id: delivery for delivery in deliveries}
    last_stored = {proof.delivery_id: proof for proof in proofs if (proof.kind, proof.holds) == _STORED}
    for proof in proofs:
        delivery = by_id.get(proof.delivery_id)
        if delivery is not None:
            words, detail = SAID[proof.kind, proof.holds], proof.reason
            if delivery.attempts and delivery.state in _THERE and last_stored.get(delivery.id) is proof:
                detail = f"{detail}; failed tries before: {delivery.attempts}"
            yield Moment(proof.at, f"{delivery.result.kind} {words} {delivery.destination}", detail)


def _of_failures(deliveries: Sequence[Delivery]) -> Iterator[Moment]:
    """Tell of the tries that failed: the database knows how many they were, and of the last one why."""
    alike: dict[tuple[str, DeliveryState, int, str], list[Delivery]] = {}
    for each in deliveries:
        if each.attempts and each.state in (DeliveryState.WAITING, DeliveryState.PARKED):
            alike.setdefault((each.destination, each.state, each.attempts, each.reason), []).append(each)
    for (destination, _, attempts, reason), group in alike.items():
        tries = "1 try" if attempts == 1 else f"{attempts} tries"
        what = group[0].result.kind if len(group) == 1 else f"{len(group)} results"
        at = max(each.updated_at for each in group)
        yield Moment(
            at, f"{tries} to deliver {what} to {destination} failed", f"{reason}; {_next(group, at)}"
        )


def _next(group: Sequence[Delivery], changed_at: datetime) -> str:
    if group[0].state is DeliveryState.PARKED:
        return "parked"
    due_at = min(each.due_at for each in group)
    if due_at <= changed_at:  # they were put forward since, or are in a sender's hands
        return "tried again from then on"
    return f"due again at {due_at:%H:%M:%S}"
