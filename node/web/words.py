"""Counts, moments and failures as people read them."""

from datetime import datetime

from node.backoff import Failures


def times(count: int, one: str, many: str = "") -> str:
    """Return how many there are of something.

    >>> times(1, "failure"), times(2, "failure"), times(2, "try", "tries")
    ('1 failure', '2 failures', '2 tries')
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def clock_time(value: datetime, now: datetime, form: str = "%H:%M") -> str:
    """Return a moment as the time of day; of another day than `now` with its date.

    >>> clock_time(datetime(2026, 3, 1, 7, 12), datetime(2026, 3, 2, 9, 0))
    '2026-03-01 07:12'
    """
    return value.strftime(form if value.date() == now.date() else f"%Y-%m-%d {form}")


def failures_in_words(failures: Failures, now: datetime) -> str:
    """Return how often a destination has failed, and since when; empty: it has not.

    >>> begun, now = datetime(2026, 3, 1, 7, 12, 5), datetime(2026, 3, 1, 9, 0)
    >>> failures_in_words(Failures(3, begun, now), now)
    '3 failures since 07:12'
    """
    if failures.since is None:
        return ""
    return f"{times(failures.count, 'failure')} since {clock_time(failures.since, now)}"
