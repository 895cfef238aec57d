"""Several labellers' answers become one, voxel by voxel, with how much it may be trusted.

Each structure is judged only by the labellers that know it, or what it is part of. In a voxel a structure
stands if those who say so are together at least as sure as those who find nothing there. Of those that stand
a part goes before its whole (an atrium before the heart), then the largest share wins: the confidences of
those who say so, over the number of those who have a say. Where shares are equal the labeller named first is
believed. So one labeller alone is believed in what only it knows, one against two is not, and where two
contradict each other the surer one is heard, with little trust.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import LabellerError
from pipeline_training.labelling.ballots import Ballot, Ballots, Weigh, counter
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.wholes import is_part, knows
from pipeline_training.volumes import MAX_LABEL

TRUST = 0.9
"""Of a labeller that states no confidence."""

MAX_VOTES = 8
"""So many labels of eight bits fit into one number."""

AT_ONCE = 1 << 20
"""Voxels; the memory beside votes and result is some hundred bytes for each."""

SAME = 1e-6
"""Shares that differ by less are equal."""

Flat = npt.NDArray[np.uint8]
Shares = npt.NDArray[np.float32]


def even(_labeller: str, _structure: str) -> float:
    """Every voice counts the same."""
    return 1.0


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


def agree(votes: Sequence[LabelVote], weigh: Weigh = even) -> Consensus:
    """Return what the votes come to.

    Args:
        votes: The most trusted labeller first: it is believed where shares are equal.
        weigh: How much a labeller's voice counts in a structure; 0 is none.

    Raises:
        LabellerError: If there are none or more than eight, their shapes differ or they name more structures
            than ids exist.
    """
    found = _found(votes)
    shape = votes[0].labels.shape
    labels, confidence = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    count, ballot = _Counts(votes, found), counter(votes, weigh)
    for part in _parts(labels.size):
        said = np.stack(
            [table[vote.labels.reshape(-1)[part]] for vote, table in zip(votes, count.ids, strict=True)]
        )
        trust = np.stack([_trust(vote, part) for vote in votes])
        count.add(said)
        labels.reshape(-1)[part], confidence.reshape(-1)[part] = _decided(said, trust, found, ballot)
    present = np.unique(labels)
    return Consensus(
        labels,
        {n: name for n, name in enumerate(found, start=1) if n in present},
        frozenset[str]().union(*(vote.vocabulary for vote in votes)),
        confidence,
        count.agreement(),
    )


def _found(votes: Sequence[LabelVote]) -> list[str]:
    if not votes or len({vote.labels.shape for vote in votes}) != 1:
        raise LabellerError(f"votes of one shape are needed, found {[v.labels.shape for v in votes]}")
    if len(votes) > MAX_VOTES:
        raise LabellerError(f"{len(votes)} labellers voted, at most {MAX_VOTES} can")
    found = sorted({name for vote in votes for name in vote.names.values()})
    if len(found) > MAX_LABEL:
        raise LabellerError(f"{len(found)} structures were found, at most {MAX_LABEL} fit into a label map")
    return found


def _parts(size: int) -> Iterator[slice]:
    for first in range(0, size, AT_ONCE):
        yield slice(first, min(first + AT_ONCE, size))


def _trust(vote: LabelVote, part: slice) -> Shares:
    if vote.confidence is None:
        return np.full(part.stop - part.start, TRUST, np.float32)
    return vote.confidence.reshape(-1)[part]


def _decided(
    said: Flat, trust: Shares, found: Sequence[str], ballot: Callable[[tuple[str, ...]], Ballot]
) -> tuple[Flat, Shares]:
    """Return the label of each voxel and its share; `said` and `trust` are (labellers, voxels)."""
    labels = np.zeros(said.shape[1], np.uint8)
    share = np.asarray((trust * (said == 0)).mean(axis=0), np.float32)
    some = np.flatnonzero(said.any(axis=0))
    if some.size:
        combinations_, which = _combinations(said[:, some])
        names = ["", *found]
        ballots = Ballots.stacked([ballot(tuple(names[n] for n in each)) for each in combinations_])
        winner, best = _elected(ballots, which, trust[:, some])
        chosen = np.where(best > 0, combinations_[which, winner], 0)
        labels[some] = chosen
        share[some] = np.where(best > 0, best, share[some])
    return labels, share


def _combinations(said: Flat) -> tuple[Flat, npt.NDArray[np.intp]]:
    """Return the combinations of labels that occur, (combinations, labellers), and which each voxel has."""
    code = np.zeros(said.shape[1], np.uint64)
    for labels in said:
        code = (code << np.uint64(8)) | labels
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    return said[:, first].T, which


def _elected(
    ballots: Ballots, which: npt.NDArray[np.intp], trust: Shares
) -> tuple[npt.NDArray[np.intp], Shares]:
    """Return the candidate that wins each voxel and its share; the share is 0 where none stands."""
    support = np.einsum("vki,iv->vk", ballots.for_[which], trust)
    against = np.einsum("vki,iv->vk", ballots.against[which], trust)
    stands = (support > 0) & (support >= against - SAME)
    stands &= ~(ballots.finer[which] & stands[:, None, :]).any(axis=2)
    share = np.where(stands, support / np.maximum(ballots.known[which], SAME), 0)
    ahead = share >= share.max(axis=1, keepdims=True) - SAME
    winner = np.argmax(ahead, axis=1)
    return winner, np.take_along_axis(share, winner[:, None], 1)[:, 0].astype(np.float32)


class _Counts:
    """Counts voxels by what pairs of labellers say."""

    def __init__(self, votes: Sequence[LabelVote], found: Sequence[str]) -> None:
        self._votes, self._found = votes, found
        self.ids = [_table(vote, found) for vote in votes]
        self._pairs = list(combinations(range(len(votes)), 2))
        self._voxels = [np.zeros((len(found) + 1, len(found) + 1), np.int64) for _ in self._pairs]

    def add(self, said: Flat) -> None:
        width = len(self._found) + 1
        for (a, b), voxels in zip(self._pairs, self._voxels, strict=True):
            code = said[a].astype(np.int64) * width + said[b]
            voxels += np.bincount(code, minlength=width * width).reshape(width, width)

    def agreement(self) -> dict[str, float]:
        means = {name: self._dices(name) for name in self._found}
        return {name: float(np.mean(dices)) for name, dices in means.items() if dices}

    def _dices(self, name: str) -> list[float]:
        ids = [n for n, other in enumerate(self._found, start=1) if other == name or is_part(other, name)]
        return [
            _dice(voxels, ids)
            for (a, b), voxels in zip(self._pairs, self._voxels, strict=True)
            if knows(self._votes[a].vocabulary, name) and knows(self._votes[b].vocabulary, name)
        ]


def _dice(voxels: npt.NDArray[np.int64], ids: Sequence[int]) -> float:
    """Return the Dice of two labellers in a structure; two that both find none of it agree."""
    both = voxels[np.ix_(ids, ids)].sum()
    sizes = voxels[ids].sum() + voxels[:, ids].sum()
    return float(2 * both / sizes) if sizes else 1.0


def _table(vote: LabelVote, found: Sequence[str]) -> Flat:
    """Return the common id of each of a labeller's; what it does not name is nothing."""
    ids = np.zeros(MAX_LABEL + 1, np.uint8)
    for number, name in vote.names.items():
        ids[number] = found.index(name) + 1
    return ids
