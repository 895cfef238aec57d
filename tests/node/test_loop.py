"""Threads wake when there is work, survive a failing step, and stop when asked."""

import threading

from node.backoff import Backoff
from node.bell import Bell
from node.errors import StorageError
from node.loop import Loop

SOON = Backoff(0.001, 0.01)


def test_ring_between_looking_and_waiting_is_not_lost() -> None:
    bell = Bell()
    heard = bell.rings
    bell.ring()
    assert bell.wait(heard, timeout_s=0)
    assert not bell.wait(bell.rings, timeout_s=0)


def test_ring_wakes_every_thread_that_waits() -> None:
    bell, woken = Bell(), threading.Semaphore(0)
    heard = bell.rings

    def wait() -> None:
        if bell.wait(heard, timeout_s=10):
            woken.release()

    for _ in range(3):
        threading.Thread(target=wait).start()
    bell.ring()
    assert all(woken.acquire(timeout=5) for _ in range(3))


def test_loop_looks_again_when_the_bell_rings() -> None:
    bell, steps = Bell(), threading.Semaphore(0)

    def step() -> float:
        steps.release()
        return 60.0

    loop = Loop("test", step, bell)
    loop.start()
    assert steps.acquire(timeout=5)
    bell.ring()
    assert steps.acquire(timeout=5)
    loop.ask_to_stop()
    assert loop.join(5)


def test_loop_survives_whatever_a_step_raises() -> None:
    steps = threading.Semaphore(0)

    def step() -> float:
        steps.release()
        raise StorageError("the database is away")

    loop = Loop("test", step, Bell(), SOON)
    loop.start()
    assert all(steps.acquire(timeout=5) for _ in range(3))
    loop.ask_to_stop()
    assert loop.join(5)


def test_loop_that_waits_after_a_failure_stops_at_once() -> None:
    failed = threading.Event()

    def step() -> float:
        failed.set()
        raise StorageError("the database is away")

    loop = Loop("test", step, Bell(), Backoff(60, 60))
    loop.start()
    assert failed.wait(5)
    loop.ask_to_stop()
    assert loop.join(5)


def test_loop_tells_whether_its_step_has_ended() -> None:
    begun, end = threading.Event(), threading.Event()

    def step() -> float:
        begun.set()
        end.wait(10)
        return 0.0

    loop = Loop("test", step, Bell())
    loop.start()
    assert begun.wait(5)
    loop.ask_to_stop()
    assert not loop.join(0.05)
    end.set()
    assert loop.join(5)


def test_loop_that_was_never_started_has_ended() -> None:
    assert Loop("test", lambda: 0.0, Bell()).join(0)
