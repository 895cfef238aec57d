"""Ribs and vertebrae follow each other from head to feet; what stands out of that order is told or withheld.

Every series has a median step from one level to the next. A member stands out of order when it lies more than
one such step above the one before it or below the one after it.

* Where its two neighbours agree with each other, lying as far apart as vertebrae do (`GAP_RATIOS`), it is the
  member that is wrong: it is **withheld** and told.
* Where they do not, or a neighbour stands out likewise, nobody knows which is wrong: all are kept and it
  is told.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ai.labels import LABELS
from ai.measure_plausibility import GAP_RATIOS
from ai.segmentation import Mask

CLEAR = 1.0
"""By how many median steps a member must lie beyond its neighbour to be out of order: then it stands where
another one belongs. In 228 frontal projections of eight labelled CTs, 10,869 neighbours, ribs cut off by the
edge included, none lies further than 0.99 (anterior ribs; posterior ones 0.23, vertebrae 0.18), and between
neighbours that agree with each other none further than 0.39."""

MIN_MEMBERS = 5
"""Of fewer members the median step cannot be told: a wrong one makes half of the steps."""

_RIB = re.compile(r"(anterior|posterior) (\d+)\w\w rib (right|left)")


@dataclass(frozen=True)
class Member:
    """One structure of a series.

    Attributes:
        name: Its label name.
        level: Its number from head to feet.
        row: Of its centre of area.
    """

    name: str
    level: int
    row: float


def series() -> dict[str, tuple[tuple[str, int], ...]]:
    """Return the (label name, level) of every series, from head to feet, by the name of the series.

    >>> series()["posterior ribs left"][:2]
    (('posterior 1st rib left', 1), ('posterior 2nd rib left', 2))
    """
    vertebrae = [item.name for item in LABELS if item.name.startswith("vertebrae ")]
    found = {"vertebrae": [(name, level) for level, name in enumerate(vertebrae, 1)]}
    for item in LABELS:
        if rib := _RIB.fullmatch(item.name):
            part, level, side = rib.groups()
            found.setdefault(f"{part} ribs {side}", []).append((item.name, int(level)))
    return {name: tuple(sorted(members, key=lambda each: each[1])) for name, members in found.items()}


_SERIES = series()


def put_in_order(masks: Mapping[str, Mask]) -> tuple[dict[str, Mask], tuple[str, ...]]:
    """Return the masks without those that stand where another one belongs, and what was done.

    Args:
        masks: By label name, of a frontal view, head up.
    """
    ordered = dict(masks)
    told: list[str] = []
    for name, levels in _SERIES.items():
        members = [Member(n, level, _row(masks[n])) for n, level in levels if n in masks]
        wrong, sentences = judge(name, members)
        told += sentences
        for member in wrong:
            del ordered[member.name]
    return ordered, tuple(told)


def _row(mask: Mask) -> float:
    """Return the row of the centre of area, without a list of all pixels."""
    filled = np.count_nonzero(mask.pixels, axis=1)
    return float(filled @ np.arange(len(filled)) / filled.sum()) + mask.top + 0.5


def judge(name: str, members: Sequence[Member]) -> tuple[list[Member], list[str]]:
    """Return the members of a series (from head to feet) to withhold, and a sentence on each disorder."""
    if len(members) < MIN_MEMBERS:
        return [], []
    pairs = list(pairwise(members))
    step = float(np.median([_step(*pair) for pair in pairs]))
    if step <= 0:
        return [], [f"{name}: not in order from head to feet; all are kept"]
    wrong = list(_alone(members, _accused(members, step)))
    told = [f"{members[i].name}: withheld, it lies out of order {_place(members, i)}" for i in wrong]
    told += [
        f"{first.name} and {second.name}: out of order; both are kept, one is wrong"
        for i, (first, second) in enumerate(pairs)
        if not {i, i + 1} & set(wrong) and first.row - second.row > CLEAR * step
    ]
    return [members[i] for i in wrong], told


def _step(first: Member, second: Member) -> float:
    """Return the rows from one member to the next for each level between them."""
    return (second.row - first.row) / (second.level - first.level)


def _accused(members: Sequence[Member], step: float) -> set[int]:
    """Return the places of members out of order between neighbours that agree with each other."""
    accused = set()
    for i in range(1, len(members) - 1):
        before, member, after = members[i - 1 : i + 2]
        agree = GAP_RATIOS[0] <= _step(before, after) / step <= GAP_RATIOS[1]
        beyond = max(before.row - member.row, member.row - after.row)
        if agree and beyond > CLEAR * step:
            accused.add(i)
    return accused


def _alone(members: Sequence[Member], accused: set[int]) -> Iterator[int]:
    """Yield the accused whose neighbours are not accused; of two in a row nobody knows which is wrong."""
    return (i for i in range(len(members)) if i in accused and not {i - 1, i + 1} & accused)


def _place(members: Sequence[Member], i: int) -> str:
    return f"between {members[i - 1].name} and {members[i + 1].name}, which agree with each other"
