from itertools import product

import numpy as np
import pytest

from ai.radiograph import PixelSpacing
from ai.segmentation import Mask
from node.orientation import Orientation, frontal_orientation

ALL = [Orientation(*flags) for flags in product([False, True], repeat=3)]


def _letter_directions(orientation: Orientation) -> tuple[str, str]:
    """Return the Patient Orientation of a grid that such steps bring to the usual one."""
    across, down = ("R" if orientation.flip_columns else "L"), ("H" if orientation.flip_rows else "F")
    return (down, across) if orientation.transpose else (across, down)


@pytest.mark.parametrize("orientation", ALL)
def test_patient_orientation_names_the_steps(orientation: Orientation) -> None:
    assert frontal_orientation(*_letter_directions(orientation)) == orientation


@pytest.mark.parametrize(("first", "second"), [("A", "F"), ("L", "R"), ("", "F"), ("L", ""), ("F", "H")])
def test_what_is_no_frontal_orientation_has_no_steps(first: str, second: str) -> None:
    assert frontal_orientation(first, second) is None


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
