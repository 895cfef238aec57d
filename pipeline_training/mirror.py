"""Bodies shown mirrored, to teach both sides what one side of few bodies shows, and bones told of both ways.

The heart, the lungs and the vessels of a mirrored body are nobody's (situs inversus is one in ten thousand);
its bones are as good as any. A network that learned so is asked about the mirrored picture as well.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from ai.anatomy import Group, group_of
from ai.mirroring import can_be_told_twice, channel_pairs, counterpart, tell_twice
from pipeline_training.dataset import LATERAL, Source
from pipeline_training.network import AnatomyNet
from pipeline_training.projections import NAMES

BONES = frozenset({Group.RIBS, Group.SHOULDERS, Group.SPINE})
"""Whose structures have a counterpart of the same shape on the other side, or are their own."""


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


def bones_among(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the bones among a network's labels that can be told of mirrored pictures, in their order."""
    return can_be_told_twice([name for name in labels if group_of(name) in BONES], labels)


@torch.no_grad()
def logits_of(
    network: AnatomyNet, images: torch.Tensor, labels: Sequence[str], is_asked_twice: bool
) -> npt.NDArray[np.float32]:
    """Return a network's logits (n, labels, G, G) of images (n, 1, S, S), as the node would have them.

    Args:
        network: In evaluation mode.
        images: In [0, 1].
        labels: In the order of its channels.
        is_asked_twice: Whether bones are told of the mirrored images as well (`ai.mirroring`).
    """
    logits = np.asarray(network(images).logits.numpy(), np.float32)
    if is_asked_twice:
        of_mirrored = network(torch.flip(images, (3,))).logits.numpy()
        tell_twice(logits, of_mirrored, channel_pairs(bones_among(labels), labels))
    return logits


_IS_BONE = np.array([group_of(name) in BONES for name in NAMES])

_COUNTERPARTS = np.arange(len(NAMES))
"""Of each bone's index that of its counterpart; other structures keep their own."""
for _index in np.flatnonzero(_IS_BONE):
    _COUNTERPARTS[_index] = NAMES.index(counterpart(NAMES[_index]))
