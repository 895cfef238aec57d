"""Without a library, and answers that do not fit."""

import logging
from typing import Any

import numpy as np
import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.foreign import library, vote_of

SHAPE = (5, 6, 7)


def test_missing_library_is_told_with_how_to_get_it() -> None:
    with pytest.raises(LabellerError, match=r"^no_such_library cannot be loaded \(.*\); pip install it$"):
        library("no_such_library.part", "pip install it")


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (np.zeros((7, 6, 5), np.int32), "has shape"),
        (np.full(SHAPE, 9, np.int32), "class 9, which it does not name"),
    ],
)
def test_answer_that_does_not_fit_is_refused(marked: CtVolume, numbers: Any, words: str) -> None:
    with pytest.raises(LabellerError, match=words):
        vote_of("theirs", marked, numbers, {1: "heart"})


def test_class_without_counterpart_is_told_and_becomes_background(
    marked: CtVolume, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = np.zeros(SHAPE, np.int32)
    numbers[0], numbers[1] = 1, 2
    with caplog.at_level(logging.WARNING):
        vote = vote_of("theirs", marked, numbers, {1: "tumour", 2: "heart"})
    assert vote.vocabulary == {"heart"}
    assert (vote.labels > 0).sum() == 6 * 7
    assert "theirs: 1 classes have no counterpart and are not used: tumour" in caplog.text
