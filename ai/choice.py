"""Which way of running a network is the fastest on this machine, found out by a short trial.

Ways differ in speed alone. One whose answer is not that of the first way, bit for bit, is not taken: a
restart must not change results.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from ai.runtime import CUDA, Array, Way, look, start_session

BUDGET_S = 0.8
"""No further way is tried when the trials have taken so long."""

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux tells what share of the processors a container has: cgroup v2, "Control Group v2", cpu.max."""

RUNS = 2
"""Of each way; the faster one counts, the first has to find its memory."""

WORTH = 0.9
"""Another way than the first is taken where it needs at most this share of the first one's time."""


@dataclass(frozen=True)
class Trial:
    """What was found out about a way.

    Attributes:
        way: Which.
        seconds: For both looks at one image.
        answer: Digest of what the network said.
    """

    way: Way
    seconds: float
    answer: str


Try = Callable[[Way], Trial]


def fastest(trials: Sequence[Trial]) -> Trial:
    """Return the trial of the way to take: the first, unless one with the same answer is clearly faster.

    >>> fastest([Trial(Way(2), 1.0, "a"), Trial(Way(1), 0.95, "a"), Trial(Way(4), 0.1, "b")]).way
    Way(threads=2, together=False)
    """
    first = trials[0]
    best = min((each for each in trials if each.answer == first.answer), key=lambda each: each.seconds)
    return best if best.seconds <= WORTH * first.seconds else first


def tried(
    attempt: Try, threads: Sequence[int], clock: Callable[[], float] = time.perf_counter
) -> tuple[Trial, ...]:
    """Try ways until the budget is spent: fewer threads as long as they are faster, then both looks at once.

    Args:
        attempt: Tries one.
        threads: Numbers of threads, falling; the first is tried in any case.
        clock: In seconds.
    """
    end = clock() + BUDGET_S
    trials = [attempt(Way(threads[0]))]
    for count in threads[1:]:
        if clock() >= end:
            break
        trials.append(attempt(Way(count)))
        if trials[-1].seconds >= trials[-2].seconds:
            break
    if clock() < end:
        trials.append(attempt(Way(fastest(trials).way.threads, together=True)))
    return tuple(trials)


def trial_of(name: str, onnx_bytes: bytes, size: int, providers: Sequence[str]) -> Try:
    """Return what tries a network.

    Args:
        name: Whose it is, for errors.
        onnx_bytes: The ONNX file.
        size: Rows and columns of its input.
        providers: Execution providers in order of preference.

    Raises:
        BundleError: If it does not load.
    """
    noise = np.random.default_rng(0).random((2, 1, size, size), np.float32)
    sessions: dict[int, onnxruntime.InferenceSession] = {}

    def attempt(way: Way) -> Trial:
        if way.threads not in sessions:
            sessions[way.threads] = start_session(name, onnx_bytes, providers, way.threads)
        seconds = []
        for _ in range(RUNS):
            begun = time.perf_counter()
            said = look(sessions[way.threads], noise[:1], noise[1:], together=way.together)
            seconds.append(time.perf_counter() - begun)
            if seconds[-1] > BUDGET_S / 2:  # a machine so slow, or so busy, is not asked twice
                break
        return Trial(way, min(seconds), _digest(*said))

    return attempt


def thread_counts(providers: Sequence[str], processors: int) -> tuple[int, ...]:
    """Return the numbers of threads to try: all processors, a half of them, a quarter and so on.

    >>> thread_counts(["CPUExecutionProvider"], 2), thread_counts(["CPUExecutionProvider"], 12)
    ((2, 1), (12, 6, 3, 1))
    >>> thread_counts(["CUDAExecutionProvider", "CPUExecutionProvider"], 12)
    (0,)
    """
    if CUDA in providers:
        return (0,)
    counts = [processors]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return tuple(counts)


def processors(quota: Path = QUOTA) -> int:
    """Return how many processors this process may use, that of a container included.

    Args:
        quota: cpu.max of a control group: microseconds in each period, or "max", and the period.
    """
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # not Linux, or "max"
        share, period = map(int, quota.read_text(encoding="utf-8").split())
        return max(1, min(ours, round(share / period)))
    return ours


def _digest(*arrays: Array | None) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        if array is not None:
            digest.update(array.tobytes())
    return digest.hexdigest()
