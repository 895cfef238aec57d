from itertools import product

import numpy as np
import pytest

from ai.appearance import TURNS, Appearance, Kind, Presentation
from ai.errors import RadiographError

ALL = [Presentation(*each) for each in product(TURNS, (False, True), (False, True))]
USUAL_PICTURE = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("presentation", ALL)
def test_what_is_shown_comes_back_as_it_was(presentation: Presentation) -> None:
    shown = presentation.to_shown(USUAL_PICTURE)
    assert shown.shape == ((4, 3) if presentation.turn in (90, 270) else (3, 4))
    assert np.array_equal(presentation.to_usual(shown), USUAL_PICTURE)


def test_every_presentation_but_one_changes_the_picture() -> None:
    pictures = {presentation.show(USUAL_PICTURE).tobytes() for presentation in ALL}
    assert len(pictures) == len(ALL)


def test_the_turn_is_clockwise_and_the_mirror_comes_after_it() -> None:
    shown = np.array([[1, 2], [3, 4]])
    assert Presentation(turn=90).to_usual(shown).tolist() == [[3, 1], [4, 2]]
    assert Presentation(turn=90, mirrored=True).to_usual(shown).tolist() == [[1, 3], [2, 4]]


def test_an_inverted_picture_is_the_negative() -> None:
    assert np.allclose(Presentation(inverted=True).show(USUAL_PICTURE), 1 - USUAL_PICTURE)


def test_a_turn_that_is_no_quarter_is_refused() -> None:
    with pytest.raises(RadiographError, match="45"):
        Presentation(turn=45)


def test_the_most_probable_answers_are_named() -> None:
    seen = Appearance((0.1, 0.7, 0.2), (0.0, 0.1, 0.3, 0.6), mirrored=0.9, inverted=0.2)
    assert (seen.kind, seen.kind_probability) == (Kind.LATERAL, 0.7)
    assert seen.presentation == Presentation(270, mirrored=True)
    assert seen.turn_probability == 0.6
    assert seen.is_of((Kind.LATERAL, Kind.OTHER)) == pytest.approx(0.9)
    assert seen.is_of(()) == 0


def test_an_appearance_of_too_few_turns_is_refused() -> None:
    with pytest.raises(RadiographError, match=r"\(3, 2\)"):
        Appearance((1.0, 0.0, 0.0), (0.5, 0.5), 0.0, 0.0)
