"""Parts lie inside their wholes: the rules, taken from the label table, and what is done about breaches.

A part and its whole come from two channels of a network, which know nothing of each other. Where a part
sticks out of its whole:

* A whole that is made of its parts **grows** by them (clavicles, the spine, the aorta).
* Any other whole is a container: the part is **cut** at its edge (a lobe in its lung, a heart chamber).
* Where more than `MOSTLY` of a part lies outside, one of the two is wrong and nobody knows which: **both
  are kept** as they are and it is told.
* A union that was not found, though every one of its parts was, is **built** from them.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from ai.labels import LABELS, Laterality, children, label
from ai.mask_algebra import overlap, share_outside, union
from ai.segmentation import Mask

MOSTLY = 0.5
"""A part of which more than this share lies outside its whole is not a part with a wrong edge. In 228 frontal
projections of eight labelled CTs, of all pairs held to here, no more than 0.21 of a part lay outside (a thin
apical zone: a lung begins at 6 mm of path, its zones at 1.5 mm)."""

NOT_INSIDE: Mapping[str, str] = {
    "aorta": "goes on below the mediastinum, into the abdomen",
    "esophagus": "begins above the mediastinum and ends below it",
    "trachea": "begins above the mediastinum, in the neck",
    "tracheal bifurcation": "holds the first 10 mm of the main bronchi, which the trachea does not",
}
"""Structures that leave their parent of the label table in every body, and why; nothing is asked of them."""

GROWING: Mapping[str, str] = {
    "cardiomediastinum": "the region that holds heart and great vessels, and the sum of its compartments",
    "aorta": "ascending aorta, arch and descending aorta are all of it",
}
"""Wholes that grow by their parts though the table does not derive them from these, and why. On projections
of the eight CTs Dice with the truth rises by growing (mediastinum 0.008, aorta 0.004) and falls by cutting
(upper mediastinum 0.012, descending aorta 0.011). Heart and lungs do not grow: by its chambers the heart
would lose 0.047 of Dice with readers (12 films of JSRT), by lobes and zones the lungs 0.022 (12 of
v7-portable)."""

GROWN_BY: Mapping[str, str] = {
    "visible lung right": "what is seen of a lung is lung; its edge is the one that readers draw",
    "visible lung left": "what is seen of a lung is lung; its edge is the one that readers draw",
}
"""Single parts by which a whole grows that otherwise cuts its parts, and why."""

_UNION = re.compile("union of both|union of those of")
"""How the table's derivation of a whole begins that is its parts and nothing else."""

_NAMES = frozenset(item.name for item in LABELS)


def union_parts(name: str) -> tuple[str, ...]:
    """Return the parts whose union the structure is: both sides, or all sections; empty if it is no union.

    >>> union_parts("lung"), union_parts("lung base"), union_parts("heart")
    (('right lung', 'left lung'), ('right lung base', 'left lung base'), ())
    """
    if label(name).parent == "lung":
        return tuple(zone for zone in (f"right {name}", f"left {name}") if zone in _NAMES)
    if not _UNION.match(label(name).derivation):
        return ()
    sides = tuple(each for each in children(name) if label(each).laterality is not Laterality.NONE)
    return sides or children(name)


def growing_parts(name: str) -> tuple[str, ...]:
    """Return the parts by which the structure grows where they stick out of it."""
    if parts := union_parts(name):
        return parts
    inside = tuple(each for each in children(name) if each not in NOT_INSIDE)
    return inside if name in GROWING else tuple(each for each in inside if each in GROWN_BY)


def cut_parts(name: str) -> tuple[str, ...]:
    """Return the parts that are cut where they stick out of the structure.

    >>> cut_parts("diaphragm")
    ('left hemidiaphragm', 'right hemidiaphragm')
    """
    spared = {*NOT_INSIDE, *growing_parts(name)}
    return tuple(each for each in children(name) if each not in spared)


def _depth(name: str) -> int:
    parent = label(name).parent
    return 0 if parent is None else 1 + _depth(parent)


_BY_DEPTH = sorted((item.name for item in LABELS), key=_depth)
_GROWING = tuple((name, growing_parts(name)) for name in reversed(_BY_DEPTH) if growing_parts(name))
"""Wholes and their parts, the deepest first: what has grown makes grow what holds it."""
_CUTTING = tuple((name, cut_parts(name)) for name in _BY_DEPTH if cut_parts(name))
"""Wholes and their parts, the outermost first: what was cut cuts what it holds."""
_UNIONS = tuple((name, union_parts(name)) for name in reversed(_BY_DEPTH) if union_parts(name))
_GROWN = "grown by parts that reached beyond them: "
_CUT = "cut off where they reached beyond what holds them: "


def put_parts_inside(
    masks: Mapping[str, Mask], supported: Collection[str]
) -> tuple[dict[str, Mask], tuple[str, ...]]:
    """Return the masks, every part inside its whole or told to lie outside it, and what was done.

    A mask that breaks no rule is the object that was given. Edges differ by a little in almost every image:
    one sentence tells of all wholes that were grown, and one of all parts that were cut.

    Args:
        masks: By label name, of a frontal view.
        supported: Names that the model knows; nothing else is built.
    """
    inside = dict(masks)
    built = _build(inside, supported)
    grown, cut = _grow(inside), _cut(inside)
    return inside, (*built, *_elsewhere(inside), *_sentence(_GROWN, grown), *_sentence(_CUT, cut))


def _build(masks: dict[str, Mask], supported: Collection[str]) -> list[str]:
    """Build unions that were not found though all their parts were, in place; return what was built."""
    told = []
    for whole, parts in _UNIONS:
        if whole in supported and whole not in masks and all(part in masks for part in parts):
            masks[whole] = union(*(masks[part] for part in parts))
            told.append(f"{whole}: not found, built as the union of {' and '.join(parts)}")
    return told


def _grow(masks: dict[str, Mask]) -> list[str]:
    """Grow wholes by their parts, in place; return the growth of each."""
    told = []
    for whole, parts in _GROWING:
        out = _sticking_out(masks, whole, parts)
        if out:
            small = masks[whole]
            masks[whole] = union(small, *(masks[part] for part in out))
            told.append(f"{whole} {_percent(masks[whole].area / small.area - 1)}")
    return told


def _cut(masks: dict[str, Mask]) -> list[str]:
    """Cut parts at the edge of their wholes, in place; return what was lost by which."""
    told = []
    for whole, parts in _CUTTING:
        for part, share in _sticking_out(masks, whole, parts).items():
            masks[part] = overlap(masks[part], masks[whole]) or masks[part]
            told.append(f"{part} {_percent(share)}")
    return told


def _elsewhere(masks: Mapping[str, Mask]) -> list[str]:
    """Return a sentence on each part that was left outside its whole."""
    shares = (
        (part, whole, share_outside(masks[part], masks[whole]))
        for whole, parts in (*_GROWING, *_CUTTING)
        for part in parts
        if whole in masks and part in masks
    )
    return [
        f"{part}: {_percent(share)} of it lies outside {whole}; one of the two is wrong, both are kept"
        for part, whole, share in shares
        if share > 0
    ]


def _sticking_out(masks: Mapping[str, Mask], whole: str, parts: Sequence[str]) -> dict[str, float]:
    """Return the share outside of each part with a wrong edge."""
    if whole not in masks:
        return {}
    shares = {part: share_outside(masks[part], masks[whole]) for part in parts if part in masks}
    return {part: share for part, share in shares.items() if 0 < share <= MOSTLY}


def _sentence(beginning: str, items: Sequence[str]) -> tuple[str, ...]:
    return (beginning + ", ".join(items),) if items else ()


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 else "below 0.1 %"
