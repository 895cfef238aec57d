"""Structures that are told of twice: of the picture, and of the picture mirrored, where left ones are right.

Few bodies teach a network its bones, and a bone that one of them shows on one side alone is found less well
on the other. Asked about the mirrored picture, a network that has learned mirrored bodies answers for the
left side what it knows of the right one; the mean of both answers is better than either. Which structures
that holds for, the bundle's manifest says (`mirrored`): hearts and lungs of a mirrored body are nobody's.
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_SIDES = {"right": "left", "left": "right"}


def counterpart(name: str) -> str:
    """Return the name of the structure on the other side, or the name itself of one that has no side.

    >>> counterpart("posterior 4th rib left"), counterpart("sternum")
    ('posterior 4th rib right', 'sternum')
    """
    return " ".join(_SIDES.get(word, word) for word in name.split(" "))


def can_be_told_twice(names: Collection[str], labels: Collection[str]) -> tuple[str, ...]:
    """Return those of the names that are labels of a model together with their counterparts, in its order."""
    return tuple(name for name in labels if name in names and counterpart(name) in labels)


def channel_pairs(names: Collection[str], labels: Sequence[str]) -> list[tuple[int, int]]:
    """Return, of each name, its channel among the labels, and that of its counterpart."""
    channels = {name: channel for channel, name in enumerate(labels)}
    return [(channels[name], channels[counterpart(name)]) for name in names]


def mirrored_inputs(inputs: Array) -> Array:
    """Return network inputs (N, 1, S, S) with their columns reversed."""
    return np.ascontiguousarray(inputs[..., ::-1])


def tell_twice(logits: Array, of_mirrored: Array, pairs: Iterable[tuple[int, int]]) -> None:
    """Replace channels of logits in place by their mean with what is said of the mirrored pictures.

    Args:
        logits: (N, L, G, G), of the pictures.
        of_mirrored: Likewise, of the pictures mirrored, as the network says it.
        pairs: See `channel_pairs`.
    """
    for channel, other in pairs:
        mean = logits[:, channel]
        mean += of_mirrored[:, other, :, ::-1]
        mean *= 0.5
