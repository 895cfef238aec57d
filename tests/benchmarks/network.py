"""The shipped network on this processor: ways to run it, what they cost, and what they change.

    python -m tests.benchmarks.network RADIOGRAPHS...

prints how far masks of quantised networks agree with those of the network as it ships, for pictures in the
folders named; half of them calibrate, the other half is looked at.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from rich.console import Console

from ai.bundle import DEFAULT_BUNDLE, Bundle
from ai.choice import Trial, fastest, trial_of, tried
from ai.control_groups import processors
from ai.preprocess import network_input
from ai.runtime import CPU, Array, Way, look
from tests.benchmarks.figure import Figure, Spread
from tests.benchmarks.quantised import agreements, flops, int8, pictures_in

if TYPE_CHECKING:
    from tests.benchmarks.run_bench import Bench

LEVELS = onnxruntime.GraphOptimizationLevel
PAUSE_S = 0.03
"""Between runs: threads of the session before spin for a while, and would count as load."""

MATRIX = 1536
"""Rows and columns of the float32 matrices whose product is the yardstick of the arithmetic."""

USUAL, YARDSTICK = "as ONNX Runtime chooses", "float32 matrix product"


@dataclass(frozen=True)
class _Timed:
    """One way to run the network.

    Attributes:
        name: In words.
        run: Does it.
        peer: The way that stands beside it; what differs between both is what its name says.
        looks: How often the network sees an image.
        images: How many go through it in one run; seconds are those of each.
    """

    name: str
    run: Callable[[], object]
    peer: str = ""
    looks: int = 2
    images: int = 1


def measure(bench: "Bench") -> list[Figure]:
    """Return what each way to run the shipped network costs, each beside the way from which it differs."""
    bundle = Bundle.load(DEFAULT_BUNDLE)
    return measured(bundle.onnx_bytes, bundle.manifest.input_size, bench)


def measured(onnx_bytes: bytes, size: int, bench: "Bench") -> list[Figure]:
    """Return likewise of any network.

    Args:
        onnx_bytes: The ONNX file.
        size: Rows and columns of its input.
        bench: How much is measured.
    """
    matrix = np.random.default_rng(0).random((MATRIX, MATRIX), np.float32)
    ways = [*_ways(onnx_bytes, size, processors()), _Timed(YARDSTICK, lambda: matrix @ matrix)]
    seconds = _in_turns(ways, bench.of(15, 3))
    spreads = {name: Spread.of(list(1000 * took)) for name, took in seconds.items()}
    return [
        *(_figure(way, f"{way.looks} x {size} x {size}", spreads) for way in ways if way.name != YARDSTICK),
        _arithmetic(2 * flops(onnx_bytes), seconds),
        *_chosen(onnx_bytes, size, bench),
    ]


def _figure(way: _Timed, size: str, spreads: Mapping[str, Spread]) -> Figure:
    return Figure("network", way.name, size, "ms", spreads[way.name], way.peer, spreads.get(way.peer))


def _ways(onnx_bytes: bytes, size: int, cores: int) -> list[_Timed]:
    pictures = np.random.default_rng(0).random((4, 1, size, size), np.float32)
    named = _threads(cores)
    ways = [_Timed(USUAL, _looks(_session(onnx_bytes), pictures))]
    for count in dict.fromkeys((1, cores)):
        session, name = _session(onnx_bytes, threads=count), _threads(count)
        together = _looks(session, pictures, together=True)
        ways.append(_Timed(name, _looks(session, pictures), USUAL))
        ways.append(_Timed(f"{name}, both looks in one run", together, name))
    for what, options in {
        "no spinning": {"spins": False},
        "no arena": {"arena": False},
        "optimisation: none": {"level": LEVELS.ORT_DISABLE_ALL},
        "optimisation: basic": {"level": LEVELS.ORT_ENABLE_BASIC},
        "optimisation: extended": {"level": LEVELS.ORT_ENABLE_EXTENDED},
    }.items():
        session = _session(onnx_bytes, threads=cores, **options)
        ways.append(_Timed(f"{named}, {what}", _looks(session, pictures), named))
    full, one = _session(onnx_bytes, threads=cores), f"{named}, one look"
    narrow = _session(int8(onnx_bytes, [picture[None] for picture in pictures]), threads=cores)
    return [
        *ways,
        _Timed(one, lambda: look(full, pictures[:1]), looks=1),
        _Timed(f"{one}, 4 images in one run: each", lambda: look(full, pictures), one, looks=1, images=4),
        _Timed(f"{named}, int8 (static, QDQ)", _looks(narrow, pictures), named),
    ]


def _threads(count: int) -> str:
    return f"threads: {count}"


def _arithmetic(operations: float, seconds: Mapping[str, Array]) -> Figure:
    """Return how fast the convolutions of both looks are, beside a product of matrices."""
    reached = operations / seconds[_threads(processors())] / 1e9
    product = 2 * MATRIX**3 / seconds[YARDSTICK] / 1e9
    size, remark = f"{operations / 1e9:.1f} GFLOP", "convolutions only; the product is a yardstick, no limit"
    ours, theirs = (Spread.of(list(each)) for each in (reached, product))
    return Figure("network", "arithmetic", size, "GFLOP/s", ours, YARDSTICK, theirs, remark)


def _chosen(onnx_bytes: bytes, size: int, bench: "Bench") -> list[Figure]:
    """Return what the choice at the start costs, and what it gains over the slowest way that it tried."""
    whole, gained = [], []
    for _ in range(bench.of(5, 2)):
        begun = time.perf_counter()
        trials = tried(trial_of("measured", onnx_bytes, size, [CPU]), processors())
        whole.append(time.perf_counter() - begun)
        gained.append(fastest(trials).seconds / max(each.seconds for each in trials))
    words = ", ".join(_words(each) for each in trials)
    return [
        Figure("network", "choosing the way at the start", "", "s", Spread.of(whole), remark=words),
        Figure("network", "the chosen way / the slowest tried", "", "", Spread.of(gained)),
    ]


def _words(trial: Trial) -> str:
    way: Way = trial.way
    return f"{way.threads} {'together' if way.together else 'apart'} {1000 * trial.seconds:.0f} ms"


def _session(
    onnx_bytes: bytes,
    threads: int = 0,
    level: onnxruntime.GraphOptimizationLevel = LEVELS.ORT_ENABLE_ALL,
    *,
    spins: bool = True,
    arena: bool = True,
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.graph_optimization_level = level
    options.enable_cpu_mem_arena = arena
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spins else "0")
    return onnxruntime.InferenceSession(onnx_bytes, options, providers=[CPU])


def _looks(
    session: onnxruntime.InferenceSession, pictures: Array, *, together: bool = False
) -> Callable[[], object]:
    return lambda: look(session, pictures[:1], pictures[1:2], together=together)


def _in_turns(ways: Sequence[_Timed], repeats: int) -> dict[str, Array]:
    """Return seconds of each way (repeats,), taken in turns with a pause before each."""
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    for turn in range(repeats + 1):
        for way in ways:
            time.sleep(PAUSE_S)
            begun = time.perf_counter()
            way.run()
            if turn:
                seconds[way.name].append((time.perf_counter() - begun) / way.images)
    return {name: np.array(each) for name, each in seconds.items()}


def main(folders: Sequence[str]) -> int:
    """Print how far the masks of quantised networks agree with those of the network as it ships."""
    bundle, console = Bundle.load(DEFAULT_BUNDLE), Console(width=160)
    pictures = [picture for folder in folders for picture in pictures_in(Path(folder))]
    calibrating = [
        network_input(each.pixels, bundle.manifest.input_size)[0][None, None] for each in pictures[::2]
    ]
    found = agreements(bundle, int8(bundle.onnx_bytes, calibrating), pictures[1::2])
    for name, dice in sorted(found.items(), key=lambda each: float(np.mean(each[1]))):
        console.print(f"{np.mean(dice):.3f} least {min(dice):.3f} of {len(dice)}: {name}", highlight=False)
    console.print(f"mean {np.mean([value for dice in found.values() for value in dice]):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
