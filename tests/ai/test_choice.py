"""The way to run a network is chosen by measured seconds, and never changes what the network says."""

from collections.abc import Mapping

import numpy as np
import pytest

from ai.bundle import DEFAULT_BUNDLE, Bundle
from ai.choice import BUDGET_S, Trial, fastest, trial_of, tried
from ai.onnx_segmenter import OnnxSegmenter
from ai.runtime import CPU, CUDA, Way, start_session


class Machine:
    """A machine on which each way takes known seconds; its clock goes on by them."""

    def __init__(self, seconds: Mapping[Way, float], provider: str = CPU) -> None:
        self._seconds = seconds
        self._provider = provider
        self.now = 0.0

    def attempt(self, way: Way) -> Trial:
        self.now += self._seconds[way]
        return Trial(way, self._seconds[way], "the same", self._provider)

    def tried(self, processors: int) -> tuple[Trial, ...]:
        return tried(self.attempt, processors, lambda: self.now)


def test_fewer_threads_are_tried_as_long_as_they_are_faster() -> None:
    times = {Way(1): 0.1, Way(16): 0.04, Way(8): 0.02, Way(4): 0.03, Way(8, together=True): 0.01}
    trials = Machine(times).tried(16)
    assert [trial.way for trial in trials] == list(times)
    assert fastest(trials).way == Way(8, together=True)
    assert fastest(Machine({Way(1): 0.1, Way(2): 0.2, Way(1, together=True): 0.3}).tried(2)).way == Way(1)


def test_all_processors_are_tried_however_long_one_takes_and_a_spent_budget_leaves_them() -> None:
    for busy in (BUDGET_S / 8, 8 * BUDGET_S):
        trials = Machine({Way(1): busy, Way(8): BUDGET_S}).tried(8)
        assert [trial.way for trial in trials] == [Way(1), Way(8)]
        assert fastest(trials).way == Way(8)


def test_an_accelerator_is_not_tried_with_numbers_of_threads() -> None:
    times = {Way(1): 0.3, Way(1, together=True): 0.2}
    assert {trial.way for trial in Machine(times, "CUDAExecutionProvider").tried(8)} == set(times)


def test_both_looks_at_once_are_not_tried_where_the_budget_does_not_suffice_for_them() -> None:
    assert {trial.way for trial in Machine({Way(1): 2 * BUDGET_S}).tried(1)} == {Way(1)}


def test_a_way_that_says_something_else_than_one_thread_is_never_taken() -> None:
    one = Trial(Way(1), 1.0, "this")
    assert fastest([one, Trial(Way(4), 0.1, "that")]) is one
    all_but_one = [Trial(Way(4), 0.1, "that"), Trial(Way(2), 0.6, "this"), Trial(Way(2, True), 0.59, "this")]
    assert fastest([one, *all_but_one]).way == Way(2)
    assert fastest([one, *all_but_one, one]).way == Way(2)


def test_a_provider_that_does_not_work_here_is_not_told() -> None:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    missing = "MIGraphXExecutionProvider"
    attempt = trial_of("shipped", bundle.onnx_bytes, bundle.manifest.input_size, [missing, CPU])
    with pytest.warns(UserWarning, match=missing):
        assert attempt(Way(2)).provider == CPU


def test_a_gpu_is_asked_for_the_same_bits_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for it is looked at; no GPU is here that could answer."""
    asked: list[object] = []
    monkeypatch.setattr(
        "onnxruntime.InferenceSession", lambda _model, _options, providers: asked.extend(providers)
    )
    start_session("any", b"", [CUDA, CPU], 1)
    assert asked == [(CUDA, {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}), CPU]


def test_every_way_of_the_shipped_network_says_the_same_bit_for_bit() -> None:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    attempt = trial_of("shipped", bundle.onnx_bytes, bundle.manifest.input_size, [CPU])
    ways = [Way(threads, together) for threads in (0, 1, 2) for together in (False, True)]
    assert len({attempt(way).answer for way in ways}) == 1


def test_a_segmenter_finds_the_same_whichever_way_it_goes() -> None:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    size = bundle.manifest.input_size
    pictures = np.random.default_rng(1).random((2, 1, size, size), np.float32)
    films = [np.ones((size, size), np.bool_)] * 2
    apart, together = (OnnxSegmenter(bundle, [CPU], Way(1, together=way)) for way in (False, True))
    for count in (1, 2):  # of more, both looks are two runs in any case
        for one, other in zip(
            apart.infer(pictures[:count], films[:count]),
            together.infer(pictures[:count], films[:count]),
            strict=True,
        ):
            assert np.array_equal(one.logits, other.logits)
            assert np.array_equal(one.view, other.view)
            assert one.agreement is not None
            assert other.agreement is not None
            assert np.array_equal(one.agreement, other.agreement)
