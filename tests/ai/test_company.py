"""Who waits for the network goes together; nobody waits for company, nobody pays for another's fault."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from operator import eq

import pytest

from ai.company import Company

LONGEST_S = 30.0


class Machine:
    """Doubles numbers and notes its runs, which end when it is let go; negative numbers break them."""

    def __init__(self, off_by: Callable[[int], int] = lambda _size: 0) -> None:
        self.runs: list[list[int]] = []
        self.began, self.may_end = threading.Event(), threading.Event()
        self._off_by = off_by

    def __call__(self, asked: Sequence[int]) -> list[int]:
        self.runs.append(list(asked))
        self.began.set()
        assert self.may_end.wait(LONGEST_S)
        if min(asked) < 0:
            raise RuntimeError(f"{min(asked)} broke the run")
        return [2 * each + self._off_by(len(asked)) for each in asked]


class Crowd:
    """Threads that ask one after the other while the machine is held by the first of them."""

    def __init__(self, machine: Machine, largest: int) -> None:
        self.machine = machine
        self.company = Company[int, int](machine, largest, eq)
        self.pool = ThreadPoolExecutor(32)
        self.first = self._asks([1], 0)
        assert machine.began.wait(LONGEST_S)

    def _asks(self, asked: Sequence[int], urgency: int) -> Future[list[int]]:
        return self.pool.submit(self.company.ask, asked, urgency)

    def joined_by(self, *asked: int, urgency: int = 0) -> Future[list[int]]:
        before = self.company.waiting
        future = self._asks(asked, urgency)
        until(lambda: self.company.waiting == before + len(asked))
        return future

    def let_go(self) -> None:
        self.machine.may_end.set()
        self.pool.shutdown()


def until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(LONGEST_S / 0.005)):
        if is_so():
            return
        pause.wait(0.005)
    raise AssertionError("it never came to that")


def test_what_finds_the_machine_free_goes_alone_and_what_waits_goes_together() -> None:
    crowd = Crowd(Machine(), largest=4)
    others = [crowd.joined_by(number) for number in (2, 3, 4, 5, 6)]
    crowd.let_go()

    assert [future.result() for future in (crowd.first, *others)] == [[2], [4], [6], [8], [10], [12]]
    runs = crowd.machine.runs
    assert runs[:2] == [[1], [2, 3, 4, 5]]
    assert runs[2:6] == [[2], [3], [4], [5]], (
        "four went together for the first time: are they the same alone?"
    )
    assert runs[6:] == [[6]]


def test_the_most_urgent_go_first_and_the_oldest_of_them() -> None:
    crowd = Crowd(Machine(), largest=1)
    for number, urgency in ((2, 0), (3, -1), (4, 1), (5, 0), (6, 1)):
        crowd.joined_by(number, urgency=urgency)
    crowd.let_go()

    assert crowd.machine.runs == [[1], [4], [6], [2], [5], [3]]


def test_a_run_that_fails_is_repeated_one_by_one_and_only_the_guilty_are_told() -> None:
    crowd = Crowd(Machine(), largest=4)
    good, bad, other = crowd.joined_by(2), crowd.joined_by(-3), crowd.joined_by(4)
    crowd.let_go()

    assert (good.result(), other.result()) == ([4], [8])
    with pytest.raises(RuntimeError, match="-3 broke the run"):
        bad.result()
    assert crowd.machine.runs[:2] == [[1], [2, -3, 4]]
    assert sorted(crowd.machine.runs[2:]) == [[-3], [2], [4]]
    assert crowd.company.waiting == 0
    assert crowd.company.ask([7]) == [14], "the machine is free for the next"


def test_too_many_for_the_machine_never_go_together_again() -> None:
    runs: list[int] = []
    told: list[int] = []

    def run(asked: Sequence[int]) -> list[int]:
        runs.append(len(asked))
        if len(asked) > 2:
            raise MemoryError
        return list(asked)

    company = Company[int, int](run, 4, eq, told.append)

    assert company.ask(range(20)) == list(range(20))
    assert [size for size in runs if size > 2] == [4, 3], "each size fails once"
    assert told == [3, 2]
    assert company.largest == 2


def test_what_differs_in_company_goes_alone_from_then_on() -> None:
    crowd = Crowd(Machine(off_by=lambda size: int(size > 2)), largest=4)
    waiting = [crowd.joined_by(number) for number in (2, 3, 4, 5)]
    crowd.let_go()

    assert [future.result() for future in waiting] == [[4], [6], [8], [10]]
    assert crowd.company.largest == 3
    assert crowd.company.ask([2, 3, 4]) == [4, 6, 8]
    assert crowd.company.largest == 2
    assert crowd.company.ask([2, 3, 4]) == [4, 6, 8]
    assert crowd.company.ask([2, 3]) == [4, 6]
    assert crowd.company.largest == 2
    assert crowd.machine.runs[-1] == [2, 3], "two are as good as one, which is proven once"


def test_what_one_caller_asks_is_answered_in_order_and_a_fault_leaves_nothing_behind() -> None:
    machine = Machine()
    machine.may_end.set()
    company = Company[int, int](machine, 2, eq)

    assert company.ask([5, 4, 3, 2, 1]) == [10, 8, 6, 4, 2]
    assert company.ask([]) == []
    with pytest.raises(RuntimeError):
        company.ask([1, -1, 2])
    assert company.waiting == 0
    assert company.ask([1, 2]) == [2, 4]


def test_many_threads_get_their_own_answers_and_the_machine_is_never_run_by_two() -> None:
    running = threading.Lock()
    sizes = []

    def run(asked: Sequence[int]) -> list[int]:
        assert running.acquire(blocking=False), "two at a time"
        sizes.append(len(asked))
        answers = [2 * each for each in asked]
        running.release()
        return answers

    company = Company[int, int](run, 4, eq)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: company.ask([number], number % 3), range(500)))

    assert answers == [[2 * number] for number in range(500)]
    assert max(sizes) <= 4
