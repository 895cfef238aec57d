import numpy as np
import numpy.typing as npt
import pytest

from ai.caption import with_caption

SENTENCES = ("AI / RESEARCH, not for diagnosis", "model chest 1.2 (0123456789ab)", "paxnode 0.1.0")


def _picture(rows: int, columns: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (rows, columns, 3), np.uint8)


@pytest.mark.parametrize(("rows", "columns"), [(900, 1400), (1600, 700), (100, 444), (64, 64)])
def test_the_strip_lies_above_the_picture_and_covers_nothing(rows: int, columns: int) -> None:
    picture = _picture(rows, columns)
    page = with_caption(picture, SENTENCES)
    strip = page.shape[0] - rows
    assert strip > 0
    assert np.array_equal(page[strip:], picture)
    letters = np.argwhere((page[:strip] > 240).all(axis=2))
    assert len(letters) > 100
    assert letters.min() > 0
    assert (letters.max(axis=0) < (strip - 1, columns - 1)).all()


def test_a_narrow_picture_has_more_lines() -> None:
    narrow, wide = (with_caption(_picture(400, columns), SENTENCES) for columns in (200, 1000))
    assert narrow.shape[0] > wide.shape[0]


def test_a_word_that_is_too_wide_is_cut() -> None:
    long = with_caption(_picture(100, 100), ("x" * 90,))
    assert long.shape[0] > with_caption(_picture(100, 100), ("x" * 9,)).shape[0]


def test_other_words_make_another_strip() -> None:
    one, other = (with_caption(_picture(300, 900), (words,)) for words in ("AI / RESEARCH", "AI / PRODUCT"))
    assert not np.array_equal(one, other)
