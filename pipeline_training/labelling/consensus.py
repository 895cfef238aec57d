"""Several labellers' answers become one, voxel by voxel, with how much it may be trusted.

Each structure is judged only by the labellers that know it. Its share of a voxel is the sum of the
confidences of those who put it there, over the number of those who know it; the largest share takes the
voxel. So one labeller alone is believed in what only it knows, and where two contradict each other the surer
one is heard, with little trust.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import LabellerError
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.volumes import MAX_LABEL

TRUST = 0.9
"""Of a labeller that states no confidence."""

MIN_SHARE = 0.25
"""Of a structure in a voxel; a lone labeller that chose it among many with little trust is still heard."""


@dataclass(frozen=True, eq=False)
class Consensus:
    """What the labellers say together.

    Attributes:
        labels: uint8 of the CT's shape.
        names: Structure by id; what has voxels.
        vocabulary: All that any labeller looks for.
        confidence: float32 in [0, 1] of the CT's shape: the share of what was chosen.
        agreement: Mean Dice of the pairs of labellers that know a structure, by structure.
    """

    labels: npt.NDArray[np.uint8]
    names: Mapping[int, str]
    vocabulary: frozenset[str]
    confidence: npt.NDArray[np.float32]
    agreement: Mapping[str, float]


def agree(votes: Sequence[LabelVote]) -> Consensus:
    """Return what the votes come to.

    Raises:
        LabellerError: If there are none, their shapes differ or they name more structures than ids exist.
    """
    if not votes or len({vote.labels.shape for vote in votes}) != 1:
        raise LabellerError(f"votes of one shape are needed, found {[v.labels.shape for v in votes]}")
    vocabulary = frozenset[str]().union(*(vote.vocabulary for vote in votes))
    found = sorted({name for vote in votes for name in vote.names.values()})
    if len(found) > MAX_LABEL:
        raise LabellerError(f"{len(found)} structures were found, at most {MAX_LABEL} fit into a label map")
    labels = np.zeros(votes[0].labels.shape, np.uint8)
    best = np.zeros(labels.shape, np.float32)
    for number, name in enumerate(found, start=1):
        share = _share(votes, name)
        more = (share > best) & (share >= MIN_SHARE)
        labels[more], best[more] = number, share[more]
    confidence = np.where(labels > 0, best, _empty(votes)).astype(np.float32)
    names = {n: name for n, name in enumerate(found, start=1) if (labels == n).any()}
    return Consensus(labels, names, vocabulary, confidence, _agreement(votes, found))


def _share(votes: Sequence[LabelVote], name: str) -> npt.NDArray[np.float32]:
    """Return the share of a structure in each voxel, of those who know it."""
    total = np.zeros(votes[0].labels.shape, np.float32)
    knowing = [vote for vote in votes if name in vote.vocabulary]
    for vote in knowing:
        total += vote.mask(name) * _trust(vote)
    return np.asarray(total / len(knowing), np.float32)


def _empty(votes: Sequence[LabelVote]) -> npt.NDArray[np.float32]:
    """Return how surely a voxel is none of the structures: the mean of those who say so."""
    total = np.zeros(votes[0].labels.shape, np.float32)
    for vote in votes:
        total += (vote.labels == 0) * _trust(vote)
    return np.asarray(total / len(votes), np.float32)


def _trust(vote: LabelVote) -> npt.NDArray[np.float32] | float:
    return TRUST if vote.confidence is None else vote.confidence


def _agreement(votes: Sequence[LabelVote], found: Sequence[str]) -> dict[str, float]:
    dice: dict[str, float] = {}
    for name in found:
        masks = [vote.mask(name) for vote in votes if name in vote.vocabulary]
        pairs = [
            2 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0) for a, b in combinations(masks, 2)
        ]
        if pairs:
            dice[name] = float(np.mean(pairs))
    return dice
