"""What images with results wait for: which destination lacks some, why, and what comes next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from node.backoff import NO_FAILURES, Failures
from node.jobs import Delivery, DeliveryState
from node.web.words import clock_time, failures_in_words, times


@dataclass(frozen=True)
class Wait:
    """A destination that has not every result of an image, or has not proven it.

    Attributes:
        destination: Its name.
        results: How many results.
        parked: How many of these wait for a person.
        tries: How often the result that failed most often has failed.
        reason: Why that one failed last, or which proof is awaited; empty: it has not failed.
        next_at: When the next is tried, or asked about, UTC; None: all wait for a person.
        failures: How often the destination has given no answer at all since it last did; none where another
            process delivers.
        text: All this for a person.
    """

    destination: str
    results: int
    parked: int
    tries: int
    reason: str
    next_at: datetime | None
    failures: Failures
    text: str

    @property
    def is_trouble(self) -> bool:
        """Whether something has failed."""
        return bool(self.parked or self.tries or self.failures.count)


def waits_of(
    deliveries: Iterable[Delivery], failures: Mapping[str, Failures], now: datetime
) -> tuple[Wait, ...]:
    """Return what one image waits for, by destination.

    Args:
        deliveries: Of its results; those that are done are left out.
        failures: By destination, of those that this process delivers to.
        now: UTC.
    """
    left: dict[str, list[Delivery]] = {}
    for each in deliveries:
        if each.state is not DeliveryState.DELIVERED:
            left.setdefault(each.destination, []).append(each)
    return tuple(_wait(theirs, failures.get(name, NO_FAILURES), now) for name, theirs in left.items())


def _wait(left: list[Delivery], failures: Failures, now: datetime) -> Wait:
    parked = [each for each in left if each.state is DeliveryState.PARKED]
    worst = max(parked or left, key=lambda each: (each.attempts, bool(each.reason)))
    next_at = _next_at(left, failures)
    tries = times(worst.attempts, "try failed", "tries failed") if worst.attempts else ""
    facts = [worst.reason or ("it does not answer" if failures.count else "")]
    facts += [failures_in_words(failures, now) or tries, _next_in_words(worst, next_at, now)]
    said = "; ".join(fact for fact in facts if fact)
    text = f"waits for {worst.destination}{f': {said}' if said else ''}"
    most = max(each.attempts for each in left)
    return Wait(worst.destination, len(left), len(parked), most, worst.reason, next_at, failures, text)


def _next_at(left: list[Delivery], failures: Failures) -> datetime | None:
    due = [each.due_at for each in left if each.state is not DeliveryState.PARKED]
    if not due:
        return None
    is_sent = all(each.state is not DeliveryState.WAITING for each in left)
    return min(due) if failures.next_at is None or is_sent else max(min(due), failures.next_at)


def _next_in_words(worst: Delivery, next_at: datetime | None, now: datetime) -> str:
    if worst.state is DeliveryState.PARKED or next_at is None:
        return "parked: it waits for a person"
    if worst.state is DeliveryState.WAITING and not worst.attempts and next_at <= now:
        return ""
    what = "next try" if worst.state is DeliveryState.WAITING else "asked again"
    return f"{what} now" if next_at <= now else f"{what} at {clock_time(next_at, now, '%H:%M:%S')}"
