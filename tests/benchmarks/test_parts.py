"""Each part of the bench works, at its tiniest. What needs a node is seen by `make bench SHARE=0.02`."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from pydicom import Dataset
from rich.console import Console

from ai.segmentation import Mask
from node.reader import Source
from tests.benchmarks import encoder, image, latency, network, projector, queue, start
from tests.benchmarks.figure import Figure
from tests.benchmarks.run_bench import Bench

TINY = (3, 64, 64)
"""Structures, rows, columns."""

LEFT_BEHIND_MB, NEEDED_MB = 200, 50


@pytest.fixture
def bench() -> Bench:
    return Bench(0.001, Console(quiet=True))


def named(figures: list[Figure]) -> dict[str, Figure]:
    return {each.what: each for each in figures}


def test_encoder_finds_the_same_bytes_of_both_writers() -> None:
    runs = {"paxnode": [encoder.measured(encoder.ours, TINY)]}
    runs["highdicom"] = [encoder.measured(encoder.highdicoms, TINY)]
    written = named(encoder.figures(runs, TINY))["write a Segmentation"]
    assert written.theirs is not None
    assert written.ours.median > 0
    assert runs["paxnode"][0].pixel_mb == pytest.approx(3 * 64 * 64 / 8 / 1e6)


def test_encoder_refuses_to_compare_other_bytes() -> None:
    ours, theirs = (encoder.Run(1.0, 1.0, 1.0, digest) for digest in ("one", "another"))
    with pytest.raises(RuntimeError, match="Pixel Data differs"):
        encoder.figures({"paxnode": [ours], "highdicom": [theirs]}, TINY)


def test_encoder_counts_the_memory_of_the_writer_and_nothing_before() -> None:
    def write(source: Source, masks: dict[str, Mask]) -> tuple[float, Dataset]:
        needed = np.ones(NEEDED_MB * 1_000_000, np.uint8)
        return encoder.ours(source, masks) if needed.all() else (0.0, Dataset())

    np.ones(LEFT_BEHIND_MB * 1_000_000, np.uint8)
    assert NEEDED_MB - 5 < encoder.measured(write, TINY).peak_mb < LEFT_BEHIND_MB / 2


def test_image_goes_through_every_stage(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "STRUCTURES", 3)
    found = named(image.measure(bench))
    assert {*image.BESIDE, "made", "made and kept", "from file to archive"} <= {*found}
    assert all(found[stage].theirs for stage, (peer, _) in image.BESIDE.items() if peer)


def test_queue_measures_every_step(bench: Bench, tmp_path: Path) -> None:
    with ExitStack() as stack:
        sizes = [stack.enter_context(queue._queue("sqlite", tmp_path, size, bench)) for size in (100, 1_500)]
        found = named(queue._in_turns("sqlite", sizes, 1))
        wanted = {f"sqlite: {step.name}" for step in sizes[0].steps() if step.least <= 100}
    assert {name for name, figure in found.items() if figure.theirs} == wanted


def small_network() -> bytes:
    """Return a network with the edges of those that ship: one convolution, and the mean of its answers."""
    value = helper.make_tensor_value_info
    weights = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.float32), "weights")
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["logits"], pads=[1, 1, 1, 1]),
        helper.make_node("ReduceMean", ["logits"], ["view"], axes=[2, 3], keepdims=0),
    ]
    ends = [value("logits", TensorProto.FLOAT, ["N", 2, 32, 32]), value("view", TensorProto.FLOAT, ["N", 2])]
    begin = [value("image", TensorProto.FLOAT, ["N", 1, 32, 32])]
    graph = helper.make_graph(nodes, "small", begin, ends, [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def test_network_stands_beside_what_differs_in_one_thing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "PAUSE_S", 0.0)
    monkeypatch.setattr(network, "MATRIX", 64)
    monkeypatch.setattr(network, "processors", lambda: 2)
    found = named(network.measured(small_network(), 32, bench))
    assert found["threads: 2"].peer == "as ONNX Runtime chooses"
    assert found["threads: 2, no arena"].peer == "threads: 2"
    assert found["threads: 2, int8 (static, QDQ)"].peer == "threads: 2"
    assert found["threads: 2, one look, 4 images in one run: each"].peer == "threads: 2, one look"
    assert all(each.theirs for each in found.values() if each.peer)
    assert found["arithmetic"].size == "0.0 GFLOP"


def test_start_says_which_archive_is_missing() -> None:
    begun = {name: [start._Beginning(2.0, 1.0, 5.0, 4.0)] for name in (*start.SIZES, start.IMPORTED)}
    begun["storescp"] = [start._Beginning(0.5)]
    found = start._start_figures(begun, {"Orthanc": "Orthanc is not installed"})
    beside = {(each.peer, each.size): each for each in found}
    assert beside["Orthanc", "empty folder"].theirs is None
    assert beside["Orthanc", "empty folder"].remark == "Orthanc is not installed"
    assert beside["storescp", "a queue there"].ratio == 4
    assert beside[start.IMPORTED, "empty folder"].ratio == 1


def test_start_times_no_command_that_fails() -> None:
    with pytest.raises(RuntimeError, match=r"exit status 3: so it is"):
        start._python("-c", "import sys; print('so it is'); sys.exit(3)")


def test_latency_holds_a_crowd_against_one_association() -> None:
    pushed = {(2, 1): [latency.Pushed(500, 0), latency.Pushed(520, 0)], (2, 16): [latency.Pushed(561, 7)]}
    found = latency._memory_figure(2, 16, pushed)
    assert found.ratio == pytest.approx(1.1)
    assert found.remark == "7 MB swapped"


@pytest.mark.parametrize("task", projector.TASKS.values(), ids=projector.TASKS)
def test_projector_measures(task: projector.Task) -> None:
    cpu, clock, peak = projector._measure(task, projector.synthetic(12, 4), 16, 1, 1)
    assert min(cpu, clock) > 0
    assert peak >= 0
