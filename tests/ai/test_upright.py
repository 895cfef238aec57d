"""Every presentation is put right, and every rule is kept; the node's settings are tried in tests/node."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from ai.appearance import TURNS, USUAL, Appearance, Presentation
from ai.errors import NotAChestError
from ai.film import Film
from ai.radiograph import PixelSpacing, Radiograph
from ai.upright import Rules, put_right

ALL = [Presentation(*each) for each in product(TURNS, (False, True), (False, True))]
PIXELS = np.linspace(0, 1, 90 * 70, dtype=np.float32).reshape(90, 70)


def seen(presentation: Presentation = USUAL, kinds: tuple[float, ...] = (1, 0, 0)) -> Appearance:
    turns = tuple(float(turn == presentation.turn) for turn in TURNS)
    return Appearance(kinds, turns, float(presentation.mirrored), float(presentation.inverted))


@pytest.mark.parametrize("presentation", ALL)
def test_every_presentation_is_put_right(presentation: Presentation) -> None:
    shown = Radiograph(presentation.show(PIXELS), PixelSpacing(1, 2, "given", calibrated=False))
    film = put_right(Film(shown), seen(presentation), Rules(mirrored="correct"), ("frontal",))
    told = presentation.inverted + bool(presentation.turn) + presentation.mirrored
    spacing = film.radiograph.spacing

    assert film.radiograph.pixels == pytest.approx(PIXELS, abs=1e-6)
    assert np.array_equal(film.orientation.to_stored(PIXELS), presentation.to_shown(PIXELS))
    assert len(film.radiograph.notes) == told
    assert spacing is not None
    assert spacing.row_mm == (2 if presentation.turn in (90, 270) else 1)


@pytest.mark.parametrize(
    ("rules", "kinds", "views", "words"),
    [
        ({}, (0, 1, 0), ("frontal",), "frontal views only"),
        ({}, (0, 0, 1), ("frontal",), "not look like a chest"),
        ({"lateral": "ignore"}, (0, 1, 0), ("frontal",), None),
        ({"not_chest": "ignore"}, (0, 0, 1), ("frontal",), None),
        ({}, (0, 1, 0), ("frontal", "lateral"), None),
        ({}, (0.2, 0.4, 0.4), ("frontal",), None),
        ({}, (0.05, 0.45, 0.5), ("frontal",), "not look like a chest"),
    ],
)
def test_kinds_are_refused_by_rule(
    rules: dict[str, Any], kinds: tuple[float, ...], views: tuple[str, ...], words: str | None
) -> None:
    film = Film(Radiograph(PIXELS))
    if words is None:
        assert put_right(film, seen(kinds=kinds), Rules(**rules), views).radiograph.pixels is not None
        return
    with pytest.raises(NotAChestError, match=words):
        put_right(film, seen(kinds=kinds), Rules(**rules), views)


@pytest.mark.parametrize("rule", ["inverted", "turned", "mirrored"])
def test_rule_that_refuses_names_itself_and_who_says_so(rule: str) -> None:
    odd = {
        "inverted": Presentation(inverted=True),
        "turned": Presentation(turn=180),
        "mirrored": Presentation(mirrored=True),
    }[rule]
    rules = Rules(**{rule: "refuse"}, called="my study")  # type: ignore[arg-type]  # of a dict's values

    with pytest.raises(NotAChestError, match=f"my study {rule} refuses it"):
        put_right(Film(Radiograph(PIXELS)), seen(odd), rules, ("frontal",))


@pytest.mark.parametrize(
    ("rule", "value"), [("inverted", "corect"), ("lateral", "correct"), ("not_chest", "note")]
)
def test_rule_of_no_known_value_is_an_error(rule: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{rule} must be .*found '{value}'"):
        Rules(**{rule: value})  # type: ignore[arg-type]  # that is what is tried


@pytest.mark.parametrize("turned", ["note", "ignore"])
def test_mirror_is_corrected_only_where_turns_are(turned: Any) -> None:
    with pytest.raises(ValueError, match="only where turns are"):
        Rules(turned=turned, mirrored="correct")


@pytest.mark.parametrize(
    ("exchanged", "action", "is_measured"),
    [
        (0.59, "refuse", True),
        (0.6, "refuse", False),
        (0.89, "correct", False),
        (0.95, "correct", True),
        (0.95, "note", False),
        (0.95, "ignore", True),
    ],
)
def test_nothing_is_measured_where_left_and_right_may_be_exchanged(
    exchanged: float, action: Any, is_measured: bool
) -> None:
    """The network looks for the heart on the usual side; in a mirrored picture it finds another one."""
    appearance = replace(seen(), mirrored=exchanged)
    film = put_right(Film(Radiograph(PIXELS)), appearance, Rules(mirrored=action), ("frontal",))
    told = f"left and right may be exchanged (probability {exchanged:.2f})"
    assert film.radiograph.why_unmeasured == ("" if is_measured else told)
    assert (f"{told}: nothing was measured" in film.radiograph.notes) is not is_measured


def test_sides_of_what_is_no_frontal_view_are_not_doubted() -> None:
    appearance = replace(seen(kinds=(0.1, 0.8, 0.1)), mirrored=0.8)
    film = put_right(Film(Radiograph(PIXELS)), appearance, Rules(), ("frontal", "lateral"))
    assert film.radiograph.why_unmeasured == ""
