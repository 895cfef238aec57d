from itertools import product

import numpy as np
import pytest

from ai.appearance import TURNS, Presentation
from ai.orientation import Orientation, seen_orientation
from ai.radiograph import PixelSpacing
from ai.segmentation import Mask

ALL = [Orientation(*flags) for flags in product([False, True], repeat=3)]


def _letter_directions(orientation: Orientation) -> tuple[str, str]:
    """Return the patient's directions along stored columns and rows, from where pixels of the usual grid go.

    On the usual grid columns lead to the patient's left and rows to the feet.
    """
    to_left, to_feet = (orientation.to_stored(grid) for grid in reversed(np.indices((2, 2))))
    letters = {(1, 0): "L", (-1, 0): "R", (0, 1): "F", (0, -1): "H"}
    across, down = (
        letters[int(to_left[step] - to_left[0, 0]), int(to_feet[step] - to_feet[0, 0])]
        for step in ((0, 1), (1, 0))
    )
    return across, down


@pytest.mark.parametrize("orientation", ALL)
def test_arrays_masks_and_points_return_to_where_they_were(orientation: Orientation) -> None:
    stored = np.zeros((30, 20), np.bool_)
    stored[4:9, 2:13] = True
    stored[4, 2] = False
    usual = orientation.to_usual(stored)
    mask = Mask.from_dense(usual)
    assert mask is not None
    returned = orientation.mask_to_stored(mask, (usual.shape[0], usual.shape[1]))
    assert np.array_equal(orientation.to_stored(usual), stored)
    assert np.array_equal(returned.dense((30, 20)), stored)
    column, row = orientation.point_to_stored(mask.centroid, (usual.shape[0], usual.shape[1]))
    assert (column, row) == pytest.approx(returned.centroid)


def test_a_transposed_grid_exchanges_its_spacings() -> None:
    spacing = PixelSpacing(0.1, 0.2, "Pixel Spacing", True)
    turned = Orientation(transpose=True).spacing_to_usual(spacing)
    assert (turned.row_mm, turned.column_mm) == (0.2, 0.1)


@pytest.mark.parametrize("orientation", ALL)
def test_letters_are_those_that_patient_orientation_would_state(orientation: Orientation) -> None:
    assert orientation.letters == _letter_directions(orientation)


@pytest.mark.parametrize(("first", "second"), list(product(ALL, ALL)))
def test_steps_one_after_the_other_are_one_orientation(first: Orientation, second: Orientation) -> None:
    stored = np.arange(6).reshape(2, 3)
    assert np.array_equal(first.then(second).to_usual(stored), second.to_usual(first.to_usual(stored)))


@pytest.mark.parametrize(("turn", "mirrored"), list(product(TURNS, (False, True))))
def test_what_is_seen_and_what_is_stated_lead_the_same_way(turn: int, mirrored: bool) -> None:
    shown, presentation = np.arange(6).reshape(2, 3), Presentation(turn, mirrored)
    orientation = seen_orientation(presentation)
    assert np.array_equal(orientation.to_usual(shown), presentation.to_usual(shown))
    usual = orientation.to_usual(shown)
    assert np.array_equal(orientation.to_stored(usual), presentation.to_shown(usual))
