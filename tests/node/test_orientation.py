from itertools import product

import pytest

from ai.orientation import Orientation
from node.orientation import frontal_orientation

ALL = [Orientation(*flags) for flags in product([False, True], repeat=3)]


@pytest.mark.parametrize("orientation", ALL)
def test_patient_orientation_names_the_steps(orientation: Orientation) -> None:
    assert frontal_orientation(*orientation.letters) == orientation


@pytest.mark.parametrize(("first", "second"), [("A", "F"), ("L", "R"), ("", "F"), ("L", ""), ("F", "H")])
def test_what_is_no_frontal_orientation_has_no_steps(first: str, second: str) -> None:
    assert frontal_orientation(first, second) is None
