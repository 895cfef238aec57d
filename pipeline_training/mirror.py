"""Bodies shown mirrored, to teach both sides what one side of few bodies shows.

The heart, the lungs and the vessels of a mirrored body are nobody's (situs inversus is one in ten thousand);
its bones are as good as any.
"""

from dataclasses import replace

import numpy as np

from ai.anatomy import Group, group_of
from pipeline_training.dataset import LATERAL, Source
from pipeline_training.projections import NAMES

BONES = frozenset({Group.RIBS, Group.SHOULDERS, Group.SPINE})
"""Whose structures have a counterpart of the same shape on the other side, or are their own."""

_SIDES = {"right": "left", "left": "right"}


def counterpart(name: str) -> str:
    """Return the name of the structure on the other side, or the name itself of one that has no side.

    >>> counterpart("posterior 4th rib left"), counterpart("sternum")
    ('posterior 4th rib right', 'sternum')
    """
    return " ".join(_SIDES.get(word, word) for word in name.split(" "))


def can_be_mirrored(source: Source) -> bool:
    """Return whether a source has bones to show: frontal projections do, of radiographs no bone is known."""
    return not source.is_real and source.view != LATERAL and bool(_IS_BONE[source.known].any())


def mirrored(source: Source) -> Source:
    """Return a frontal projection with its columns reversed, of which bones alone are known, sides exchanged.

    Mirrored again, the picture and its bones are what they were.
    """
    bones = _IS_BONE[source.known]
    ours = _COUNTERPARTS[source.known[bones]]
    order = np.argsort(ours)  # `known` is in the order of the table
    return replace(
        source,
        tissues=np.ascontiguousarray(source.tissues[..., ::-1]),
        coverage=np.ascontiguousarray(source.coverage[bones][order][..., ::-1]),
        known=ours[order],
        told=np.ascontiguousarray(source.told[..., ::-1]),
        film=np.ascontiguousarray(source.film[..., ::-1]),
        place=source.place[_COUNTERPARTS],
    )


_IS_BONE = np.array([group_of(name) in BONES for name in NAMES])

_COUNTERPARTS = np.arange(len(NAMES))
"""Of each bone's index that of its counterpart; other structures keep their own."""
for _index in np.flatnonzero(_IS_BONE):
    _COUNTERPARTS[_index] = NAMES.index(counterpart(NAMES[_index]))
