"""The way to run a network is chosen by measured seconds, and never changes what the network says."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from ai.bundle import DEFAULT_BUNDLE, Bundle
from ai.choice import BUDGET_S, Trial, fastest, processors, trial_of, tried
from ai.onnx_segmenter import OnnxSegmenter
from ai.runtime import CPU, Way


class Machine:
    """A machine on which each way takes known seconds; its clock goes on by them."""

    def __init__(self, seconds: Mapping[Way, float]) -> None:
        self._seconds = seconds
        self.now = 0.0

    def attempt(self, way: Way) -> Trial:
        self.now += self._seconds[way]
        return Trial(way, self._seconds[way], "the same")

    def tried(self, *threads: int) -> tuple[Trial, ...]:
        return tried(self.attempt, threads, lambda: self.now)


def test_fewer_threads_are_tried_as_long_as_they_are_faster() -> None:
    machine = Machine({Way(8): 0.04, Way(4): 0.02, Way(2): 0.03, Way(4, together=True): 0.01})
    trials = machine.tried(8, 4, 2, 1)
    assert [trial.way for trial in trials] == [Way(8), Way(4), Way(2), Way(4, together=True)]
    assert fastest(trials).way == Way(4, together=True)


def test_a_spent_budget_leaves_all_processors() -> None:
    trials = Machine({Way(8): BUDGET_S}).tried(8, 4)
    assert [trial.way for trial in trials] == [Way(8)]
    assert fastest(trials).way == Way(8)


def test_a_way_that_says_something_else_is_never_taken() -> None:
    first = Trial(Way(2), 1.0, "this")
    assert fastest([first, Trial(Way(1), 0.1, "that")]) is first


def test_every_way_of_the_shipped_network_says_the_same_bit_for_bit() -> None:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    attempt = trial_of("shipped", bundle.onnx_bytes, bundle.manifest.input_size, [CPU])
    ways = [Way(threads, together) for threads in (0, 1, 2) for together in (False, True)]
    assert len({attempt(way).answer for way in ways}) == 1


def test_a_segmenter_finds_the_same_whichever_way_it_goes() -> None:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    size = bundle.manifest.input_size
    pictures = np.random.default_rng(1).random((3, 1, size, size), np.float32)
    films = [np.ones((size, size), np.bool_)] * 3
    apart, together = (OnnxSegmenter(bundle, [CPU], Way(1, together=way)) for way in (False, True))
    for count in (1, 3):
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


@pytest.mark.parametrize(
    ("text", "most"), [("100000 100000\n", 1), ("50000 100000\n", 1), ("150000 100000\n", 2)]
)
def test_a_container_has_the_processors_of_its_quota(tmp_path: Path, text: str, most: int) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    assert 1 <= processors(quota) <= most


def test_without_a_quota_all_processors_are_ours(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text("max 100000\n")
    assert processors(quota) == processors(tmp_path / "nothing") >= 1
