"""What is done about a picture that does not look like an upright frontal chest radiograph.

A judge (`ai.judge`) looks at the pixels after what is stated about them has been respected. What the rules
want corrected is corrected by laying the picture otherwise: from there on the radiograph is the upright one,
and its `ai.film.Film` leads masks and points back to the stored grid, whatever turned it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from ai.appearance import DOUBTFUL, SURE, Appearance, Kind, Presentation
from ai.errors import NotAChestError
from ai.film import Film
from ai.orientation import seen_orientation

LATERAL = "lateral"

Action = Literal["correct", "refuse", "note", "ignore"]
Gate = Literal["refuse", "ignore"]
ACTIONS: tuple[str, ...] = get_args(Action)
GATES: tuple[str, ...] = get_args(Gate)


@dataclass(frozen=True)
class Rules:
    """What is done about a picture that looks odd; the same keys as `[appearance]` of the node's settings.

    Attributes:
        inverted: Bone is dark.
        turned: The picture lies on its side or upside down.
        mirrored: Left and right are exchanged; docs/appearance.md says why this is refused.
        lateral: It is a lateral view, and the model supports none.
        not_chest: It is no chest radiograph.
        called: Who says so, for the sentence of a refusal.
    """

    inverted: Action = "correct"
    turned: Action = "correct"
    mirrored: Action = "refuse"
    lateral: Gate = "refuse"
    not_chest: Gate = "refuse"
    called: str = "the rule"

    def __post_init__(self) -> None:
        for name in ("inverted", "turned", "mirrored", "lateral", "not_chest"):
            known = GATES if name in ("lateral", "not_chest") else ACTIONS
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, found {value!r}")
        if self.mirrored == "correct" and self.turned in ("note", "ignore"):
            raise ValueError(f"a mirror is corrected only where turns are, found turned = {self.turned!r}")


@dataclass(frozen=True)
class Finding:
    """Something unusual that the judge is sure of.

    Attributes:
        rule: The attribute of `Rules` that says what is done about it.
        words: What was seen.
        corrected: What is said when it was put right.
        undone: What puts it right.
    """

    rule: str
    words: str
    corrected: str
    undone: Presentation


def put_right(film: Film, appearance: Appearance, rules: Rules, views: Collection[str]) -> Film:
    """Return a film of this appearance, its radiograph put right where the rules say so, with notes.

    Args:
        film: What the judge looked at.
        appearance: What it saw.
        rules: What is done about it.
        views: Of the model: a lateral view is no finding where it supports lateral ones.

    Raises:
        NotAChestError: If the rules say that such a picture is refused.
    """
    _check_kind(appearance, rules, views)
    correction, notes = Presentation(), film.radiograph.notes
    for finding in findings(appearance):
        action = getattr(rules, finding.rule)
        if action == "refuse":
            raise NotAChestError(f"{finding.words}; {rules.called} {finding.rule} refuses it")
        if action == "correct":
            correction = both(correction, finding.undone)
            notes = (*notes, f"{finding.words}: {finding.corrected}")
        if action == "note":
            notes = (*notes, f"{finding.words}: nothing was changed")
    doubt = _doubt_about_sides(appearance, rules)
    if doubt:
        notes = (*notes, f"{doubt}: nothing was measured")
    return corrected(film, correction, notes, doubt)


def _doubt_about_sides(appearance: Appearance, rules: Rules) -> str:
    """Return why nothing may be measured where left and right may be exchanged and stay so; "" if it may."""
    exchanged = appearance.mirrored if appearance.kind is Kind.FRONTAL else 0.0
    is_put_right = rules.mirrored == "correct" and exchanged >= SURE
    if exchanged < DOUBTFUL or is_put_right or rules.mirrored == "ignore":
        return ""
    return f"left and right may be exchanged (probability {exchanged:.2f})"


def findings(appearance: Appearance) -> Iterator[Finding]:
    """Yield what is unusual and sure; how it lies is asked of frontal views, the grey scale of any chest."""
    seen = appearance.presentation
    if appearance.kind is not Kind.OTHER and appearance.inverted >= SURE:
        words = f"the picture looks inverted, bone is dark (probability {appearance.inverted:.2f})"
        yield Finding("inverted", words, "the grey scale was turned over", Presentation(inverted=True))
    if appearance.kind is not Kind.FRONTAL:
        return
    if seen.turn and appearance.turn_probability >= SURE:
        words = f"the picture looks turned (probability {appearance.turn_probability:.2f})"
        told = f"it was rotated by {seen.turn} degrees clockwise to be measured"
        yield Finding("turned", words, told, Presentation(turn=seen.turn))
    if appearance.mirrored >= SURE:
        words = f"left and right look exchanged (probability {appearance.mirrored:.2f})"
        yield Finding("mirrored", words, "it was mirrored to be measured", Presentation(mirrored=True))


def both(first: Presentation, second: Presentation) -> Presentation:
    """Return two presentations in one: each of turn, mirror and grey scale is told by one of them at most."""
    return Presentation(
        first.turn or second.turn, first.mirrored or second.mirrored, first.inverted or second.inverted
    )


def corrected(film: Film, correction: Presentation, notes: tuple[str, ...], doubt: str) -> Film:
    """Return the film with its radiograph brought to the usual presentation, notes, and `why_unmeasured`."""
    before, lies = film.radiograph, seen_orientation(correction)
    pixels = lies.to_usual(before.pixels)
    radiograph = replace(
        before,
        pixels=np.asarray(1 - pixels, np.float32) if correction.inverted else pixels,
        spacing=lies.spacing_to_usual(before.spacing) if before.spacing else None,
        notes=notes,
        why_unmeasured=doubt,
    )
    return Film(radiograph, film.orientation.then(lies))


def _check_kind(appearance: Appearance, rules: Rules, views: Collection[str]) -> None:
    """Raise if it is sure that the picture is of a kind that is refused, whichever of them."""
    probability = appearance.is_of(set(_refused_kinds(rules, views)))
    if probability < SURE:
        return
    if appearance.kind is Kind.LATERAL:
        words = f"the picture looks like a lateral view (probability {probability:.2f})"
        raise NotAChestError(f"{words}; this model supports frontal views only")
    raise NotAChestError(f"the picture does not look like a chest radiograph (probability {probability:.2f})")


def _refused_kinds(rules: Rules, views: Collection[str]) -> Iterator[Kind]:
    if rules.not_chest == "refuse":
        yield Kind.OTHER
    if rules.lateral == "refuse" and LATERAL not in views:
        yield Kind.LATERAL
