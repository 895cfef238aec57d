"""The shipped network on this processor: ways to run it, what they cost, what they change, and the limit.

    python -m tests.benchmarks.network RADIOGRAPHS...

prints how far masks of quantised networks agree with those of the network as it ships, for pictures in the
folders named; half of them calibrate, the other half is looked at.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
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
"""Rows and columns of the float32 matrices whose product tells what the processor can do."""


def measure(bench: "Bench") -> list[Figure]:
    """Return what each way costs beside the way that ONNX Runtime takes by itself."""
    bundle = Bundle.load(DEFAULT_BUNDLE)
    size, cores, repeats = bundle.manifest.input_size, processors(), bench.of(15, 3)
    pictures = np.random.default_rng(0).random((4, 1, size, size), np.float32)
    calibrating = [picture[None] for picture in pictures]
    usual = _session(bundle.onnx_bytes)
    ways: dict[str, Callable[[], object]] = {"as ONNX Runtime chooses": _looks(usual, pictures)}
    for count in dict.fromkeys((1, cores)):
        session = _session(bundle.onnx_bytes, threads=count)
        ways[f"threads: {count}"] = _looks(session, pictures)
        ways[f"threads: {count}, both looks in one run"] = _looks(session, pictures, together=True)
    for name, options in {
        "no spinning": {"spins": False},
        "no arena": {"arena": False},
        "optimisation: none": {"level": LEVELS.ORT_DISABLE_ALL},
        "optimisation: basic": {"level": LEVELS.ORT_ENABLE_BASIC},
        "optimisation: extended": {"level": LEVELS.ORT_ENABLE_EXTENDED},
    }.items():
        ways[name] = _looks(_session(bundle.onnx_bytes, threads=cores, **options), pictures)
    full = _session(bundle.onnx_bytes, threads=cores)
    ways["4 images in one run, without second looks: each"] = lambda: look(full, pictures)
    ways["int8 (static, QDQ)"] = _looks(
        _session(int8(bundle.onnx_bytes, calibrating), threads=cores), pictures
    )
    matrix = pictures.ravel()[: MATRIX * MATRIX // 16].repeat(16).reshape(MATRIX, MATRIX)
    ways["peak"] = lambda: matrix @ matrix
    seconds = _in_turns(ways, repeats)
    seconds["4 images in one run, without second looks: each"] /= 4
    return _figures(seconds, 2 * flops(bundle.onnx_bytes), bench, bundle)


def _figures(seconds: Mapping[str, Array], operations: float, bench: "Bench", bundle: Bundle) -> list[Figure]:
    size = f"2 x {bundle.manifest.input_size} x {bundle.manifest.input_size}"
    usual = "as ONNX Runtime chooses"
    theirs = Spread.of(list(seconds[usual] * 1000))
    figures = [
        Figure("network", name, size, "ms", Spread.of(list(took * 1000)), usual, theirs)
        for name, took in seconds.items()
        if name not in {"peak", usual}
    ]
    peak = 2 * MATRIX**3 / seconds["peak"] / 1e9
    reached = operations / seconds[f"threads: {processors()}"] / 1e9
    figures.append(
        Figure(
            "network",
            "arithmetic",
            f"{operations / 1e9:.1f} GFLOP",
            "GFLOP/s",
            Spread.of(list(reached)),
            "float32 matrix product",
            Spread.of(list(peak)),
            "convolutions only; the limit is the peak",
        )
    )
    return [*figures, *_chosen(bundle, bench)]


def _chosen(bundle: Bundle, bench: "Bench") -> list[Figure]:
    """Return what the choice at the start costs, and what it gains over the slowest way that it tried."""
    whole, gained = [], []
    for _ in range(bench.of(5, 2)):
        begun = time.perf_counter()
        trials = tried(
            trial_of("shipped", bundle.onnx_bytes, bundle.manifest.input_size, [CPU]), processors()
        )
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


def _in_turns(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Array]:
    """Return seconds of each way (repeats,), taken in turns with a pause before each."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            time.sleep(PAUSE_S)
            begun = time.perf_counter()
            way()
            if turn:
                seconds[name].append(time.perf_counter() - begun)
    return {name: np.array(each) for name, each in seconds.items()}


def main(folders: Sequence[str]) -> int:
    """Print how far the masks of quantised networks agree with those of the network as it ships."""
    bundle, console = Bundle.load(DEFAULT_BUNDLE), Console(width=160)
    pictures = [picture for folder in folders for picture in pictures_in(Path(folder))]
    calibrating = [
        network_input(each.pixels, bundle.manifest.input_size)[0][None, None] for each in pictures[::2]
    ]
    quantised = int8(bundle.onnx_bytes, calibrating)
    found = agreements(bundle, quantised, pictures[1::2])
    for name, dice in sorted(found.items(), key=lambda each: float(np.mean(each[1]))):
        console.print(f"{np.mean(dice):.3f} least {min(dice):.3f} of {len(dice)}: {name}", highlight=False)
    console.print(f"mean {np.mean([value for dice in found.values() for value in dice]):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
