"""Twelve ribs on each side, numbered from above.

A rib is one bone: its voxels take the number that most of them have. Ribs follow each other where they join
the spine; one out of order gets the only number left between its neighbours, or the number of the vertebra at
its head, or becomes unknown. Source: Jaus et al. (arXiv 2307.13375) take the 24 largest components and number
them from below, which a missing twelfth rib upsets; here the numbers given by the labeller are heard first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline_training.labelling.draft import Draft, Piece, Repaired
from pipeline_training.labelling.order import Numbered, exchanged, in_order, numbers_that_fit
from pipeline_training.volumes import LabelMap

LAST_RIB = 12
MAJORITY = 0.6
"""Share of a piece with one number, above which the whole piece gets it."""

MIN_RIB_ML = 1.0
"""Smaller pieces are splinters; a twelfth rib has 2 ml and more."""

HEAD_MM = 15.0
"""The head of a rib: its voxels so near to the one closest to the spine."""

OVERLAP = 0.4
"""Two pieces with one number are one broken rib if less of the shorter one lies in rows of the other."""

NEAR_VERTEBRA_MM = 25.0


@dataclass(frozen=True, eq=False)
class Rib:
    """One rib, in one piece or several.

    Attributes:
        number: 1 to 12, as labelled.
        pieces: Its parts.
        height: Slice of its head.
    """

    number: int
    pieces: tuple[Piece, ...]
    height: float

    @property
    def size(self) -> int:
        """Number of voxels."""
        return sum(piece.size for piece in self.pieces)


def order_ribs(volume: LabelMap) -> Repaired:
    """Bring the ribs of both sides into order."""
    draft = Draft(volume)
    spine = _spine(draft)
    for side in ("left", "right"):
        ribs = _ribs(draft, side, spine)
        items = [Numbered(rib.number, rib.height, rib.size) for rib in ribs]
        if numbers := exchanged(items):
            _exchange(draft, side, ribs, numbers)
            continue
        agreeing = in_order(items)
        agreed = [items[i] for i in sorted(agreeing)]
        for odd in sorted(set(range(len(ribs))) - agreeing):
            agreed += _settle(draft, side, ribs[odd], agreed)
    return draft.finished()


def _exchange(draft: Draft, side: str, ribs: Sequence[Rib], numbers: Sequence[int]) -> None:
    for rib, number in zip(ribs, numbers, strict=True):
        if rib.number != number:
            _rename(draft, rib, f"rib_{side}_{number}")
            draft.say(f"rib_{side}_{rib.number} lies where rib_{side}_{number} must be and is renumbered")


def _rename(draft: Draft, rib: Rib, name: str) -> None:
    for piece in rib.pieces:
        draft.give(piece, name)


def _spine(draft: Draft) -> dict[int, tuple[float, float, float]]:
    """Return the centre of each thoracic vertebra by its number."""
    found = {}
    for number in range(1, LAST_RIB + 1):
        pieces = draft.pieces(f"vertebrae_T{number}")
        if pieces:
            z, y, x = pieces[0].centre
            found[number] = (float(z), float(y), float(x))
    return found


def _ribs(draft: Draft, side: str, spine: dict[int, tuple[float, float, float]]) -> list[Rib]:
    """Return the ribs of a side, each piece of bone under one number only."""
    names = [f"rib_{side}_{number}" for number in range(1, LAST_RIB + 1)]
    by_number: dict[int, list[Piece]] = {}
    for piece in draft.pieces_of(names):
        counts = draft.name_counts(piece)
        name = max(counts, key=lambda each: counts[each])
        if counts[name] >= MAJORITY * piece.size:
            _take_whole(draft, piece, name, counts)
            by_number.setdefault(int(name.rsplit("_", 1)[1]), []).append(Piece(piece.place, name))
        else:
            _take_parts(draft, piece, by_number)
    return [
        rib
        for number, pieces in by_number.items()
        for rib in _joined(draft, number, pieces, spine)
        if draft.ml(rib.size) >= MIN_RIB_ML
    ]


def _take_whole(draft: Draft, piece: Piece, name: str, counts: dict[str, int]) -> None:
    if len(counts) == 1:
        return
    draft.give(piece, name)
    strange = piece.size - counts[name]
    draft.say(
        f"{name}: {draft.ml(strange):.2f} ml of the same bone had other numbers ({_others(counts, name)})"
    )


def _others(counts: dict[str, int], name: str) -> str:
    return ", ".join(sorted(other.rsplit("_", 1)[1] for other in counts if other != name))


def _take_parts(draft: Draft, piece: Piece, by_number: dict[int, list[Piece]]) -> None:
    """Ribs that touch each other: every number keeps its part."""
    names = draft.name_counts(piece)
    labels = {name: draft.number_of(name) for name in names}
    found = draft.labels[tuple(piece.place)]
    for name, label in labels.items():
        part = Piece(piece.place[:, found == label], name)
        by_number.setdefault(int(name.rsplit("_", 1)[1]), []).append(part)


def _joined(
    draft: Draft, number: int, pieces: Sequence[Piece], spine: dict[int, tuple[float, float, float]]
) -> list[Rib]:
    """Return one rib where pieces continue each other from back to front, several where they run abreast."""
    groups: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda each: -each.size):
        group = next((g for g in groups if not any(_abreast(piece, other) for other in g)), None)
        if group is None:
            groups.append([piece])
        else:
            group.append(piece)
    return [Rib(number, tuple(group), _head_height(draft, group, spine)) for group in groups]


def _abreast(one: Piece, other: Piece) -> bool:
    first, second = (np.unique(piece.place[1]) for piece in (one, other))
    shared = np.intersect1d(first, second).size
    return bool(shared > OVERLAP * min(first.size, second.size))


def _head_height(
    draft: Draft, pieces: Sequence[Piece], spine: dict[int, tuple[float, float, float]]
) -> float:
    """Return the slice of the rib's end at the spine; without a spine, of its rearmost part."""
    place = np.concatenate([piece.place for piece in pieces], axis=1)
    if spine:
        _, y, x = np.mean(list(spine.values()), axis=0)
        distance = np.hypot(place[1] - y, place[2] - x)
    else:
        distance = (place[1].max() - place[1]).astype(np.float64)
    near = distance <= distance.min() + HEAD_MM / draft.spacing_mm
    return float(place[0][near].mean())


def _settle(draft: Draft, side: str, rib: Rib, agreed: Sequence[Numbered]) -> list[Numbered]:
    """Renumber a rib that is out of order and return it as agreed, or drop it."""
    fitting = numbers_that_fit(agreed, rib.height, LAST_RIB)
    number = fitting[0] if len(fitting) == 1 else _by_vertebra(draft, rib, fitting)
    old = f"rib_{side}_{rib.number}"
    if number:
        _rename(draft, rib, f"rib_{side}_{number}")
        draft.say(f"{old} is out of order; its neighbours or its vertebra make it rib_{side}_{number}")
        return [Numbered(number, rib.height, rib.size)]
    _rename(draft, rib, "")
    draft.forget(old)
    draft.say(f"{old}: {draft.ml(rib.size):.1f} ml of bone out of order, no single number fits: dropped")
    return []


def _by_vertebra(draft: Draft, rib: Rib, fitting: Sequence[int]) -> int | None:
    """Return the fitting number whose vertebra lies at the rib's head, None where none or several do."""
    spine = _spine(draft)
    away = {n: abs(spine[n][0] - rib.height) * draft.spacing_mm for n in fitting if n in spine}
    nearest = sorted(away, key=lambda n: away[n])
    if not nearest or len(away) < len(fitting) or away[nearest[0]] > NEAR_VERTEBRA_MM:
        return None
    return nearest[0]
