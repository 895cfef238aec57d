import numpy as np
import numpy.typing as npt

from pipeline_training.spine_middle import middle_of_spine

ROWS, COLUMNS = 120, 80


def spine(middle: npt.NDArray[np.float64], half: float) -> npt.NDArray[np.bool_]:
    """Return a column of vertebrae: two thirds of the rows are as wide as the processes, +-`half`."""
    widths = np.where((np.arange(ROWS) + 2) % 12 < 8, half, half / 3)
    return np.abs(np.arange(COLUMNS) - middle[:, None]) <= widths[:, None]


def test_middle_is_half_of_the_spine() -> None:
    found = middle_of_spine(spine(np.full(ROWS, 40.0), 16))
    assert (found.sum(axis=1) == 17).all()
    assert found[:, 32:49].all()


def test_middle_follows_a_bent_spine() -> None:
    middle = 40 + 12 * np.sin(np.linspace(0, np.pi, ROWS))
    found = middle_of_spine(spine(middle, 16))
    columns = np.arange(COLUMNS)
    found_middle = (found * columns).sum(axis=1) / found.sum(axis=1)
    assert np.abs(found_middle - middle)[20:-20].max() < 2


def test_rows_without_a_spine_have_no_middle() -> None:
    mask = spine(np.full(ROWS, 40.0), 16)
    mask[:30] = False
    found = middle_of_spine(mask)
    assert not found[:30].any()
    assert found[30:].any(axis=1).all()
    assert not middle_of_spine(np.zeros((5, 6), np.bool_)).any()


def test_a_spine_at_the_border_stays_inside_the_picture() -> None:
    mask = np.zeros((20, 10), np.bool_)
    mask[:, 6:] = True
    assert np.array_equal(np.flatnonzero(middle_of_spine(mask)[10]), [7, 8])
