"""Named points at which a node is killed: places in the code of receiving, working and delivering.

Nothing of them stands in the node. `arm` wraps the function that a point names, in the process that is to die
there; a function that is renamed makes the test of this table fail.
"""

import functools
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal


def _always(_result: object) -> bool:
    return True


@dataclass(frozen=True)
class CrashPoint:
    """A place to die at.

    Attributes:
        name: For reports: the way ("receive", "work", "deliver", "prove") and what was done last.
        target: "module:Class.function".
        when: Whether it dies before the function is called, or after it has returned.
        counts: Which calls count, by what they returned; for points after a function.
        within: Only calls in the same thread during a call of this other function count; "": all.
    """

    name: str
    target: str
    when: Literal["before", "after"]
    counts: Callable[[object], bool] = _always
    within: str = ""


_KEEP, _RESULT = "node.spool:Incoming.keep", "node.spool:Spool.store_result"
_JOBS, _DELIVERIES = "node.job_store:JobStore", "node.delivery_store:DeliveryStore"
_PROOFS = "node.proof_store:ProofStore"

POINTS = (
    CrashPoint("receive: a file is begun", "node.spool:Spool.begin", "after"),
    CrashPoint("receive: a part of it is written", "node.spool:Incoming.write", "after"),
    CrashPoint("receive: all of it is written", _KEEP, "before"),
    CrashPoint("receive: it is synced, not renamed", "node.spool:Spool.adopt", "before", within=_KEEP),
    CrashPoint("receive: it is renamed, not its folder synced", "pathlib:Path.rename", "after", within=_KEEP),
    CrashPoint("receive: it is kept, without a job", _KEEP, "after"),
    CrashPoint("receive: its job is not committed", f"{_JOBS}._insert", "after"),
    CrashPoint("receive: its job is committed, not answered", f"{_JOBS}.add_received", "after"),
    CrashPoint("receive: an answer is made, not sent", "node.listener:Listener._store_request", "after"),
    CrashPoint("work: a job is claimed", f"{_JOBS}.claim", "after", counts=bool),
    CrashPoint("work: a radiograph is understood", "node.work:understand", "after"),
    CrashPoint("work: a result is synced, not renamed", "node.spool:Spool.adopt", "before", within=_RESULT),
    CrashPoint("work: a result is kept", _RESULT, "after"),
    CrashPoint("work: all results are kept, not recorded", f"{_JOBS}.finish", "before"),
    CrashPoint("work: a result is recorded, not committed", f"{_JOBS}._add_result", "after"),
    CrashPoint("work: all is committed", f"{_JOBS}.finish", "after"),
    CrashPoint("work: a refusal is not recorded", f"{_JOBS}.refuse", "before"),
    CrashPoint("work: a refusal is committed", f"{_JOBS}.refuse", "after"),
    CrashPoint("work: a quarantine is not recorded", f"{_JOBS}.quarantine", "before"),
    CrashPoint("work: a quarantine is committed", f"{_JOBS}.quarantine", "after"),
    CrashPoint("deliver: deliveries are claimed", f"{_JOBS}.claim_deliveries", "after", counts=bool),
    CrashPoint("deliver: an object is about to be sent", "node.transport:_Call.store", "before"),
    CrashPoint("deliver: an object is answered, not recorded", "node.transport:_Call.store", "after"),
    CrashPoint("deliver: an answer is recorded, not committed", f"{_DELIVERIES}._change", "after"),
    CrashPoint("deliver: an answer is committed", f"{_DELIVERIES}.delivered", "after"),
    CrashPoint("prove: deliveries are claimed", f"{_PROOFS}.claim_unproven", "after", counts=bool),
    CrashPoint("prove: a transaction is begun, nobody asked", f"{_PROOFS}.begin_transaction", "after"),
    CrashPoint("prove: it is asked, not recorded", f"{_PROOFS}.commitment_asked", "before"),
    CrashPoint("prove: it is asked and recorded", f"{_PROOFS}.commitment_asked", "after"),
    CrashPoint("prove: a commitment is heard, not recorded", f"{_PROOFS}.record_answer", "before"),
    CrashPoint("prove: a proof is recorded, not committed", f"{_PROOFS}._hold", "after"),
    CrashPoint("prove: a commitment is committed, not answered", f"{_PROOFS}.record_answer", "after"),
    CrashPoint("prove: a query is answered, not recorded", f"{_PROOFS}.found", "before"),
    CrashPoint("prove: what was found is committed", f"{_PROOFS}.found", "after"),
)
"""All of them, in the order of an image's way."""


def point_named(name: str) -> CrashPoint:
    """Return the point with that name; KeyError when there is none."""
    return {point.name: point for point in POINTS}[name]


def resolved(target: str) -> tuple[Any, str]:
    """Return the owner of a function and its name in there; AttributeError where there is none."""
    module, _, path = target.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    if not callable(getattr(owner, name)):
        raise AttributeError(f"{target} is no function")
    return owner, name


def arm(point: CrashPoint, occurrence: int, die: Callable[[], object] | None = None) -> None:
    """Let this process kill itself the n-th time (from 1) that it comes to a point."""
    inside = threading.local()
    if point.within:
        _mark(point.within, inside)
    reached = _countdown(occurrence, die or _kill)
    owner, name = resolved(point.target)
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        is_here = not point.within or getattr(inside, "depth", 0) > 0
        if point.when == "before":
            if is_here:
                reached()
            return original(*args, **keywords)
        result = original(*args, **keywords)
        if is_here and point.counts(result):
            reached()
        return result

    setattr(owner, name, wrapped)


def _mark(target: str, inside: threading.local) -> None:
    """Let a function tell, in its own thread, that it is being called."""
    owner, name = resolved(target)
    original = getattr(owner, name)

    @functools.wraps(original)
    def marked(*args: Any, **keywords: Any) -> Any:
        inside.depth = getattr(inside, "depth", 0) + 1
        try:
            return original(*args, **keywords)
        finally:
            inside.depth -= 1

    setattr(owner, name, marked)


def _countdown(occurrence: int, die: Callable[[], object]) -> Callable[[], None]:
    """Return a function whose n-th call dies."""
    lock, left = threading.Lock(), [occurrence]

    def reached() -> None:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                die()

    return reached


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
