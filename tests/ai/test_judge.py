from collections.abc import Callable

import numpy as np
import pytest

from ai.appearance import Kind, Presentation
from ai.errors import BundleError
from ai.judge import Judge, judge_size

MakeJudge = Callable[..., bytes]

PIXELS = np.random.default_rng(0).random((100, 80), np.float32)


def test_logits_become_probabilities_of_named_answers(make_judge: MakeJudge) -> None:
    logits = make_judge(
        kind=(0, 0, np.log(2)), turn=(0, 0, np.log(7), 0), mirrored=(0,), inverted=(np.log(3),)
    )
    seen = Judge(logits, 64).judge(PIXELS)
    assert seen.kinds == pytest.approx((0.25, 0.25, 0.5))
    assert seen.turns == pytest.approx((0.1, 0.1, 0.7, 0.1))
    assert (seen.mirrored, seen.inverted) == pytest.approx((0.5, 0.75))
    assert seen.kind is Kind.OTHER
    assert seen.presentation == Presentation(180, inverted=True)


def test_several_inputs_are_judged_at_once(make_judge: MakeJudge) -> None:
    assert len(Judge(make_judge(), 64).judge_inputs(np.zeros((3, 1, 64, 64), np.float32))) == 3


def test_the_size_is_read_from_the_network(make_judge: MakeJudge) -> None:
    assert judge_size(make_judge()) == 64


def test_a_judge_of_another_size_than_stated_is_refused(make_judge: MakeJudge) -> None:
    with pytest.raises(BundleError, match=r"'image'.*128"):
        Judge(make_judge(), 128)


def test_a_judge_with_too_few_answers_is_refused(make_judge: MakeJudge) -> None:
    with pytest.raises(BundleError, match="'kind'"):
        Judge(make_judge(kind=(0, 0)), 64)


def test_what_is_no_network_is_no_judge() -> None:
    with pytest.raises(BundleError, match="the judge does not load"):
        judge_size(b"nothing")
