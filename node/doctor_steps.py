"""What the doctor finds, step by step: the values, and how steps follow on each other."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class StepState(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ASKED = "not asked"  # the settings do not ask for it
    SKIPPED = "skipped"  # an earlier step failed, without which it cannot be done


class Subject(StrEnum):
    """What is looked at."""

    NODE = "this node"
    DESTINATION = "destination"
    WEB_DESTINATION = "web destination"
    PEER = "peer"


@dataclass(frozen=True)
class Finding:
    """What was found when something was tried.

    Attributes:
        state: How it ended.
        words: What was found, in a plain sentence. Nothing about patients.
        advice: What to do about it; empty: nothing.
    """

    state: StepState
    words: str
    advice: str = ""


@dataclass(frozen=True)
class Step:
    """One thing that was tried.

    Attributes:
        name: Of the step, such as "association".
        state: How it ended.
        words: As of a `Finding`.
        advice: As of a `Finding`.
        seconds: How long it took.
    """

    name: str
    state: StepState
    words: str
    advice: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Examination:
    """Everything that was tried with one subject.

    Attributes:
        subject: What it is.
        name: Of the destination, or the AE title of a peer.
        place: Where it is reached, such as "PACS at 192.0.2.10:104".
        steps: In the order in which they were tried.
    """

    subject: Subject
    name: str
    place: str
    steps: tuple[Step, ...]

    @property
    def passed(self) -> bool:
        """Whether no step failed."""
        return all(step.state is not StepState.FAILED for step in self.steps)


@dataclass(frozen=True)
class Task:
    """A step that is still to be done.

    Attributes:
        name: Of the step.
        look: Tries it.
        is_needed: Whether nothing after it can be done where it fails.
    """

    name: str
    look: Callable[[], Finding]
    is_needed: bool = False


def passed(words: str, advice: str = "") -> Finding:
    """Return the finding that all is well."""
    return Finding(StepState.PASSED, words, advice)


def failed(words: str, advice: str = "") -> Finding:
    """Return the finding that something is wrong."""
    return Finding(StepState.FAILED, words, advice)


def not_asked(words: str) -> Finding:
    """Return the finding of what the settings do not ask for."""
    return Finding(StepState.NOT_ASKED, words)


def carried_out(tasks: Iterable[Task], clock: Callable[[], float] = time.monotonic) -> tuple[Step, ...]:
    """Do one task after the other; what needs one that failed is skipped, and says so.

    >>> tasks = Task("a", lambda: failed("no"), is_needed=True), Task("b", lambda: passed("yes"))
    >>> [step.state.value for step in carried_out(tasks)]
    ['failed', 'skipped']
    """
    steps: list[Step] = []
    missing = ""
    for task in tasks:
        if missing:
            steps.append(Step(task.name, StepState.SKIPPED, f"needs the step {missing!r}"))
            continue
        begun = clock()
        found = task.look()
        steps.append(Step(task.name, found.state, found.words, found.advice, clock() - begun))
        if task.is_needed and found.state is StepState.FAILED:
            missing = task.name
    return tuple(steps)
