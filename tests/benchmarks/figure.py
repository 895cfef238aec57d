"""One line of the table: what was measured, how much it varied, and what stood beside it in the same run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one thing.

    Attributes:
        median: Half of them are below.
        low: A quarter of them is below.
        high: A quarter of them is above.
        count: How many there are.
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value.

        >>> Spread.of([1.0, 2.0, 3.0])
        Spread(median=2.0, low=1.5, high=2.5, count=3)
        """
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high, len(values))


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        part: Which part of the harness measured it.
        what: What was measured, in words.
        size: Of what: rows and columns, number of rows, of associations.
        unit: Of all values here, such as "ms", "1/s", "MB".
        ours: What this project needs.
        peer: What stands beside it: another program, a limit of the machine, the same at another size.
        theirs: What the peer needs; None where nothing stands beside.
        remark: What the peer does not do, or what limits.
    """

    part: str
    what: str
    size: str
    unit: str
    ours: Spread
    peer: str = ""
    theirs: Spread | None = None
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by theirs; None where there is no peer, or where it needs nothing."""
        return self.ours.median / self.theirs.median if self.theirs and self.theirs.median else None


def taken_in_turns(repeats: int, *actions: Callable[[], object], warming_up: int = 1) -> list[Spread]:
    """Time actions one after the other, again and again, so that what the machine does hits all of them.

    Returns:
        Seconds on the clock of each action.
    """
    seconds: list[list[float]] = [[] for _ in actions]
    for turn in range(repeats + warming_up):
        for action, kept in zip(actions, seconds, strict=True):
            begun = time.perf_counter()
            action()
            if turn >= warming_up:
                kept.append(time.perf_counter() - begun)
    return [Spread.of(each) for each in seconds]
