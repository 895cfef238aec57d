"""Which way of running a network is the fastest on this machine, found out by a short trial.

Ways differ in speed alone. One whose answer is not that of one thread, bit for bit, is not taken: results do
not change because this process is given more processors, or fewer. Another kind of processor or another
version of ONNX Runtime may say something else, and a number of threads that is set is compared with nothing.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime

from ai.runtime import CPU, Array, Way, look, start_session

BUDGET_S = 0.8
"""No further way is tried when the trials have taken so long, that of one thread not counted."""

RUNS = 2
"""Of each way; the faster one counts, the first has to find its memory."""

WORTH = 0.9
"""Another way than that of the most threads is taken where it needs at most this share of its time."""


@dataclass(frozen=True)
class Trial:
    """What was found out about a way.

    Attributes:
        way: Which.
        seconds: For both looks at one image.
        answer: Digest of what the network said.
        provider: What of ONNX Runtime ran it.
    """

    way: Way
    seconds: float
    answer: str
    provider: str = CPU


Try = Callable[[Way], Trial]


def fastest(trials: Sequence[Trial]) -> Trial:
    """Return the trial of the way to take: that of the most threads, unless another is clearly faster.

    Args:
        trials: The answer of the first counts: who says something else is not taken. It is no candidate
            unless it stands there twice, or nobody else says the same.

    >>> fastest([Trial(Way(1), 0.3, "a"), Trial(Way(4), 0.1, "b"), Trial(Way(2), 0.6, "a")]).way
    Way(threads=2, together=False)
    """
    same = [each for each in trials[1:] if each.answer == trials[0].answer] or trials[:1]
    usual = max(same, key=lambda each: (each.way.threads, not each.way.together))
    best = min(same, key=lambda each: each.seconds)
    return best if best.seconds <= WORTH * usual.seconds else usual


def tried(attempt: Try, processors: int, clock: Callable[[], float] = time.perf_counter) -> tuple[Trial, ...]:
    """Try one thread and all processors, and then other ways until the budget is spent.

    These are fewer threads as long as they are faster, and then both looks at once. On a busy machine one
    thread is the fastest, which says nothing of later: it is a candidate only when its turn comes.

    Args:
        attempt: Tries one.
        processors: How many there are.
        clock: In seconds.
    """
    trials = [attempt(Way(1))]  # an accelerator finds its context in it
    end = clock() + BUDGET_S
    for count in thread_counts(trials[0].provider, processors):
        if clock() >= end or (len(trials) > 2 and trials[-1].seconds >= trials[-2].seconds):
            break
        trials.append(attempt(Way(count)) if count > 1 else trials[0])
    best = fastest(trials)
    if clock() + best.seconds < end:
        trials.append(attempt(Way(best.way.threads, together=True)))
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
        provider = sessions[way.threads].get_providers()[0]  # it may do without the preferred one
        seconds = []
        for _ in range(RUNS):
            begun = time.perf_counter()
            said = look(sessions[way.threads], noise[:1], noise[1:], together=way.together)
            seconds.append(time.perf_counter() - begun)
            if provider == CPU and seconds[-1] > BUDGET_S / 2:  # one so slow, or so busy, is not asked twice
                break
        return Trial(way, min(seconds), _digest(*said), provider)

    return attempt


def thread_counts(provider: str, processors: int) -> tuple[int, ...]:
    """Return the numbers of threads to try: all processors, a half of them, a quarter and so on.

    >>> thread_counts("CPUExecutionProvider", 2), thread_counts("CPUExecutionProvider", 12)
    ((2, 1), (12, 6, 3, 1))
    >>> thread_counts("CUDAExecutionProvider", 12)
    (1,)
    """
    counts = [processors if provider == CPU else 1]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return tuple(counts)


def _digest(*arrays: Array | None) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        if array is not None:
            digest.update(array.tobytes())
    return digest.hexdigest()
