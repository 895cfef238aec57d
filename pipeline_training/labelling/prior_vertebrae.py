"""The spine is a sequence: C1 to C7, T1 to T12, L1 to L5, from above.

Source: Jaus et al. (arXiv 2307.13375): fragments go to the neighbouring vertebra by connected components.
Here the order along the body's axis is checked too, and levels that are missing in between are named.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline_training.labelling.draft import Draft, Piece, Repaired
from pipeline_training.labelling.order import Numbered, exchanged, in_order, numbers_that_fit
from pipeline_training.volumes import LabelMap

LEVELS = (
    *(f"vertebrae_C{n}" for n in range(1, 8)),
    *(f"vertebrae_T{n}" for n in range(1, 13)),
    *(f"vertebrae_L{n}" for n in range(1, 6)),
)
"""From above; the number of a level is its place here, from 1."""

MIN_VERTEBRA_ML = 2.0
"""A piece that is smaller is a fragment; the body of C1 has about 6 ml."""

FRAGMENT_SHARE = 0.5
"""... and so is one that has less than this of the largest piece of its name."""

GAP = 1.6
"""A distance of neighbours so many times the usual one leaves room for a level that was skipped."""


def order_vertebrae(volume: LabelMap) -> Repaired:
    """Give fragments to their neighbours, bring the levels into order, name the gaps."""
    draft = Draft(volume)
    _give_fragments(draft)
    found = [(name, piece) for name in LEVELS for piece in draft.pieces(name)[:1]]
    items = [Numbered(LEVELS.index(name) + 1, float(p.centre[0]), p.size) for name, p in found]
    if numbers := exchanged(items):
        settled = [_rename(draft, *each, number) for each, number in zip(found, numbers, strict=True)]
    else:
        agreeing = in_order(items)
        settled = [found[i] for i in sorted(agreeing)]
        for odd in sorted(set(range(len(found))) - agreeing):
            settled += _settle(draft, found[odd], settled)
    _name_gaps(draft, sorted(settled, key=lambda each: LEVELS.index(each[0])))
    return draft.finished()


def _rename(draft: Draft, name: str, piece: Piece, number: int) -> tuple[str, Piece]:
    new = LEVELS[number - 1]
    if new != name:
        draft.give(piece, new)
        draft.say(f"{name} is out of order and becomes {new}")
    return new, piece


def _give_fragments(draft: Draft) -> None:
    for name in LEVELS:
        pieces = draft.pieces(name)
        for piece in pieces[1:] if pieces else []:
            if draft.ml(piece.size) >= MIN_VERTEBRA_ML and piece.size > FRAGMENT_SHARE * pieces[0].size:
                draft.say(f"{name}: two bodies of that name; the smaller one is given away or dropped")
            around = {other: n for other, n in draft.neighbours(piece).items() if other in LEVELS}
            heir = max(around, key=lambda other: around[other], default="")
            draft.give(piece, heir)
            draft.say(f"{name}: a fragment of {draft.ml(piece.size):.2f} ml {_fate(heir)}")


def _fate(heir: str) -> str:
    return f"given to {heir}" if heir else "dropped"


def _settle(
    draft: Draft, found: tuple[str, Piece], settled: Sequence[tuple[str, Piece]]
) -> list[tuple[str, Piece]]:
    name, piece = found
    agreed = [Numbered(LEVELS.index(n) + 1, float(p.centre[0]), p.size) for n, p in settled]
    fitting = numbers_that_fit(agreed, float(piece.centre[0]), len(LEVELS))
    if len(fitting) == 1:
        return [_rename(draft, name, piece, fitting[0])]
    draft.give(piece, "")
    draft.forget(name)
    draft.say(f"{name} is out of order and no single level fits: unknown now")
    return []


def _name_gaps(draft: Draft, found: Sequence[tuple[str, Piece]]) -> None:
    """Make levels that are missing between two others unknown: they are there, and were not seen."""
    places = [LEVELS.index(name) for name, _ in found]
    for before, after in pairwise(places):
        for missing in LEVELS[before + 1 : after]:
            if not draft.pieces(missing):
                draft.forget(missing)
                draft.say(f"gap: {missing} is missing below {LEVELS[before]}: unknown, not absent")
    heights = np.array([piece.centre[0] for _, piece in found])
    steps = -np.diff(heights) / np.maximum(np.diff(places), 1)
    for i in np.flatnonzero(steps > GAP * np.median(steps)).tolist() if steps.size > 2 else []:
        draft.say(f"gap: {found[i][0]} and {found[i + 1][0]} lie {GAP} times as far apart as others")
