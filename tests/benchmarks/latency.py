"""How long a result takes under load, one process or several, and how much memory a crowd of senders needs.

A node with the bundle that is shipped works off a backlog: that is its capacity. Then it is offered images at
random moments (Poisson, seeded) at a share of its capacity. What a queue does by itself stands beside: the
same moments, one server that takes exactly the time of an image, no noise (M/D/1).
"""

import random
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from tests.benchmarks.figure import Figure, Spread
from tests.benchmarks.loaded_node import HIGH, SHAPE, LoadedNode, Sent
from tests.benchmarks.run_bench import Bench

PART = "latency"
SIZE = f"{SHAPE[0]} x {SHAPE[1]}"
SEED = 1
LOADS = (0.5, 0.8, 0.95)
OFFERED, ROUNDS, BACKLOG, ALONE, URGENT = 24, 3, 8, 5, 5
"""Images at each load; rounds of a backlog, and images in one; images one after the other; urgent ones."""

CROWDS = (1, 4, 16)
"""Associations at the same time."""

CROWD_IMAGES, CROWD_ROUNDS = 32, 2
"""Images that a crowd sends together, and how often, each time to a node that has just been started."""

WORKERS = (1, 2, 4)


def measure(bench: Bench) -> list[Figure]:
    """Return capacity, latency under load, latency of urgent images, and memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*_arrangements(bench, folder), *_loads(bench, folder), *_memory(bench, folder)]


# ---- one process or several


def _arrangements(bench: Bench, folder: Path) -> list[Figure]:
    """Compare ways to use all processors; they take turns with backlogs of the same length."""
    with ExitStack() as stack:

        def started(name: str, workers: int = 1, processes: int = 1, threads: int = 0) -> LoadedNode:
            return stack.enter_context(LoadedNode(folder / name, workers, processes, threads))

        nodes = {
            "1 process, 1 worker": started("one"),
            "1 process, 2 workers": started("workers", workers=2),
            "2 processes, 1 worker each": started("processes", processes=2),
            "2 processes, 1 worker and 1 thread each": started("threads", processes=2, threads=1),
        }
        rates: dict[str, list[float]] = {name: [] for name in nodes}
        seconds: dict[str, list[float]] = {name: [] for name in nodes}
        for _ in range(bench.of(ROUNDS)):
            for name, node in nodes.items():
                before, count = node.processor_s(), bench.of(BACKLOG, least=4)
                rates[name].append(node.work_off(count))
                seconds[name].append((node.processor_s() - before) / count)
    return [*_beside("images worked off", "1/s", rates), *_beside("processor time of an image", "s", seconds)]


def _beside(what: str, unit: str, found: dict[str, list[float]]) -> list[Figure]:
    """Return a figure for each way, the first one beside it."""
    spreads = {name: Spread.of(values) for name, values in found.items()}
    first, *others = spreads
    alone = Figure(PART, f"{what}: {first}", SIZE, unit, spreads[first])
    pairs = [Figure(PART, f"{what}: {n}", SIZE, unit, spreads[n], first, spreads[first]) for n in others]
    return [alone, *pairs]


# ---- latency


def _loads(bench: Bench, folder: Path) -> list[Figure]:
    with LoadedNode(folder / "loads") as node:
        alone_s = [node.latencies_s([node.send()])[0] for _ in range(bench.of(ALONE, least=2))]
        figures = [Figure(PART, "acknowledgement to last result, idle node", SIZE, "s", Spread.of(alone_s))]
        for load in LOADS:
            rate = node.work_off(bench.of(BACKLOG, least=4))
            figures += _under(load, rate, median(alone_s), bench.of(OFFERED, least=4), node)
        return [*figures, _urgent(bench, node, alone_s)]


def _under(load: float, rate: float, alone_s: float, count: int, node: LoadedNode) -> list[Figure]:
    """Offer images at a share of the capacity; beside it the same moments at a server without noise."""
    sent = _offered(node, load * rate, count)
    found = node.latencies_s(sent)
    moments = sorted(each.acknowledged_at for each in sent)
    theory = [wait + alone_s for wait in waits_s(moments, 1 / rate)]
    mean_wait = load / (2 * (1 - load)) / rate
    remark = f"in the long run M/D/1 waits {mean_wait:.2f} s on average; here {_mean(found) - alone_s:.2f} s"
    size, peer = f"{load:.0%} of {rate:.2f} images/s, {count} images", "M/D/1, same arrivals"
    what = "acknowledgement to last result"
    return [
        Figure(PART, what, size, "s", Spread.of(found), peer, Spread.of(theory), remark),
        Figure(PART, f"{what}, 95 of 100", size, "s", _most(found), peer, _most(theory)),
    ]


def _offered(node: LoadedNode, rate: float, count: int) -> list[Sent]:
    """Send images at random moments, so many a second on average, whatever became of those before."""
    chance, pause = random.Random(SEED), threading.Event()
    due = time.monotonic()
    with ThreadPoolExecutor(count) as modalities:
        futures = []
        for _ in range(count):
            due += chance.expovariate(rate)
            pause.wait(max(0.0, due - time.monotonic()))
            futures.append(modalities.submit(node.send))
        return [future.result() for future in futures]


def waits_s(moments: Sequence[float], service_s: float) -> list[float]:
    """Return how long each waits for a server that takes the same time for all: first come, first served.

    Args:
        moments: When each arrives, in seconds, ascending.
        service_s: What each takes.

    >>> waits_s([0.0, 1.0, 9.0], 3.0)
    [0.0, 2.0, 0.0]
    """
    waits, free_at = [], 0.0
    for moment in moments:
        begins = max(moment, free_at)
        waits.append(begins - moment)
        free_at = begins + service_s
    return waits


def _urgent(bench: Bench, node: LoadedNode, alone_s: Sequence[float]) -> Figure:
    """Send urgent images one after the other while routine ones wait."""
    count = bench.of(URGENT, least=2)
    routine = node.send_together(3 * count)
    urgent = [node.latencies_s([node.send(HIGH)])[0] for _ in range(count)]
    found = node.latencies_s(routine)
    waited = f"those {len(routine)} took {median(found):.1f} s, up to {max(found):.1f} s"
    what = f"urgent image behind {len(routine)} routine ones"
    return Figure(PART, what, SIZE, "s", Spread.of(urgent), "idle node", Spread.of(alone_s), waited)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _most(values: Sequence[float]) -> Spread:
    """Return what 95 of 100 values are below."""
    return Spread.of([quantiles(values, n=20, method="inclusive")[-1]])


# ---- memory


def _memory(bench: Bench, folder: Path) -> list[Figure]:
    """Return the most memory of a node to which senders push images faster than it can follow."""
    pushed: dict[tuple[int, int], list[Pushed]] = {}
    images = bench.of(CROWD_IMAGES, least=max(CROWDS))
    for turn in range(bench.of(CROWD_ROUNDS)):
        for workers in WORKERS:
            for crowd in CROWDS:
                with LoadedNode(folder / f"memory-{workers}-{crowd}-{turn}", workers) as node:
                    pushed.setdefault((workers, crowd), []).append(_pushed(node, crowd, images))
    return [_memory_figure(workers, crowd, pushed) for workers, crowd in pushed]


@dataclass(frozen=True)
class Pushed:
    """What a crowd did to a node, from its first image until the last one was worked off, in MB.

    Attributes:
        peak_mb: The most resident memory.
        swapped_mb: What of it was swapped out at the end.
    """

    peak_mb: float
    swapped_mb: float


def _pushed(node: LoadedNode, crowd: int, images: int) -> Pushed:
    """Let a crowd send images at the same time, on an association each, and wait for all results."""
    node.forget_peak()
    with ThreadPoolExecutor(crowd) as modalities:
        sent = [
            each for sent in modalities.map(node.send_together, [images // crowd] * crowd) for each in sent
        ]
    node.latencies_s(sent)
    return Pushed(node.peak_mb(), node.swapped_mb())


def _memory_figure(workers: int, crowd: int, pushed: Mapping[tuple[int, int], Sequence[Pushed]]) -> Figure:
    """Return the memory of one field, beside that of as many workers and a single association."""
    ours, alone = (Spread.of([each.peak_mb for each in pushed[workers, size]]) for size in (crowd, CROWDS[0]))
    size = f"{workers} workers, {crowd} associations, images of 6 MB"
    remark = f"{max(each.swapped_mb for each in pushed[workers, crowd]):.0f} MB swapped"
    return Figure(PART, "most memory of a node", size, "MB", ours, "1 association", alone, remark)
