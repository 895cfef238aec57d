"""One network, several who ask: who finds it free goes at once, who has to wait for it goes in company."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Failure:
    """A run of several that failed; `left` of them have not been answered alone yet."""

    size: int
    left: int


@dataclass(eq=False)
class _Ticket(Generic[Asked, Answer]):
    """One thing that is asked; `answers` holds its answer as soon as there is one."""

    asked: Asked
    urgency: int
    failure: _Failure | None = None
    answers: list[Answer] = field(default_factory=list)


class Company(Generic[Asked, Answer]):
    """Puts together what waits for the same machine, and lets nothing wait for company.

    While the machine is free, what comes goes at once. While it runs, what comes is kept, and the next run
    takes up to `largest` of it, the most urgent first and the oldest of each urgency. The thread whose own
    question stands first leads the run; there is no thread besides those that ask.

    When a run of several fails, each of them is run again by itself, and only who fails alone is told. Where
    nobody does, they were too many: so many never go together again.

    What is answered in company must be what would be answered alone. The first time that so many go together
    they are run alone, too, and answered so; where a bit differs, so many never go together again.

    Args:
        run: Answers several at once, in order. Never called by two threads at a time.
        largest: How many go together at most; 1: everybody alone, in turn.
        same: Tells whether two answers are the same to the last bit.
        note_largest: Told how many go together at most from now on, whenever that falls.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Asked]], Sequence[Answer]],
        largest: int,
        same: Callable[[Answer, Answer], bool],
        note_largest: Callable[[int], None] = lambda _largest: None,
    ) -> None:
        self._run = run
        self._same = same
        self._note_largest = note_largest
        self._largest = largest
        self._proven = {1}
        self._change = threading.Condition()
        self._waiting: list[_Ticket[Asked, Answer]] = []
        self._is_busy = False

    @property
    def largest(self) -> int:
        """How many go together at most, by what is known now."""
        return self._largest

    @property
    def waiting(self) -> int:
        """How many wait for the run that is going on."""
        return len(self._waiting)

    def ask(self, asked: Sequence[Asked], urgency: int = 0) -> list[Answer]:
        """Return an answer to each, in order; whatever `run` raises when it has one of them alone is raised.

        Args:
            asked: What one caller wants to know; it goes together where there is room.
            urgency: What has more of it goes first.
        """
        tickets = [_Ticket[Asked, Answer](each, urgency) for each in asked]
        with self._change:
            self._waiting = sorted([*self._waiting, *tickets], key=lambda ticket: -ticket.urgency)
            self._change.notify_all()
        try:
            while batch := self._turn(tickets):
                self._lead(batch)
        finally:
            self._forget(tickets)
        return [answer for ticket in tickets for answer in ticket.answers]

    def _turn(self, mine: Sequence[_Ticket[Asked, Answer]]) -> list[_Ticket[Asked, Answer]]:
        """Wait until one of mine stands first and return who runs with it; nobody once all are answered."""
        with self._change:
            self._change.wait_for(
                lambda: (
                    all(ticket.answers for ticket in mine) or (not self._is_busy and self._waiting[0] in mine)
                )
            )
            if all(ticket.answers for ticket in mine):
                return []
            first = self._waiting[0]
            fit = [first] if first.failure else [each for each in self._waiting if not each.failure]
            batch = fit[: self._largest]
            self._waiting = [ticket for ticket in self._waiting if ticket not in batch]
            self._is_busy = True
            return batch

    def _lead(self, batch: list[_Ticket[Asked, Answer]]) -> None:
        try:
            answers = self._answers([ticket.asked for ticket in batch])
        except Exception:
            if len(batch) == 1:
                raise
            self._put_back(batch)
        else:
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.answers.append(answer)
            self._learn_from(batch[0].failure)
        finally:
            with self._change:
                self._is_busy = False
                self._change.notify_all()

    def _answers(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        """Run several together; alone, too, where so many never went together before."""
        answers = list(self._run(asked))
        if len(asked) in self._proven:
            return answers
        are_same = True
        for place, each in enumerate(asked):
            (alone,) = self._run([each])
            are_same = are_same and self._same(answers[place], alone)
            answers[place] = alone
        if are_same:
            self._proven.add(len(asked))
        else:
            self._lower(len(asked) - 1)
        return answers

    def _put_back(self, batch: list[_Ticket[Asked, Answer]]) -> None:
        """Let each of a run that failed be run by itself."""
        failure = _Failure(len(batch), len(batch))
        with self._change:
            for ticket in batch:
                ticket.failure = failure
            self._waiting = [*batch, *self._waiting]

    def _learn_from(self, failure: _Failure | None) -> None:
        """Note that one more of a run that failed was answered alone; once all are, they were too many."""
        if failure is None:
            return
        failure.left -= 1
        if not failure.left:
            self._lower(failure.size - 1)

    def _lower(self, largest: int) -> None:
        if largest < self._largest:
            self._largest = largest
            self._note_largest(largest)

    def _forget(self, tickets: Sequence[_Ticket[Asked, Answer]]) -> None:
        """Take away what nobody waits for any more, because one of them failed."""
        with self._change:
            self._waiting = [ticket for ticket in self._waiting if ticket not in tickets]
            self._change.notify_all()
