"""What a combination of answers means, before it is known how sure each of them is.

Voxels are many, combinations few: each combination that occurs is thought through once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt

from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.wholes import denies, is_part

Weigh = Callable[[str, str], float]
"""(labeller, structure) -> how much its voice counts; 0 is none."""

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ballot:
    """One combination of answers; candidate k is what labeller k says.

    Attributes:
        for_: (candidates, labellers): weight of each labeller's voice for a candidate.
        against: The same, of those who find nothing there, although they would know.
        known: (candidates,): weight of all who have a say.
        finer: (candidates, candidates): whether the second is part of the first.
    """

    for_: Floats
    against: Floats
    known: Floats
    finer: Bools


@dataclass(frozen=True, eq=False)
class Ballots:
    """Several combinations: a Ballot with one more axis in front."""

    for_: Floats
    against: Floats
    known: Floats
    finer: Bools

    @classmethod
    def stacked(cls, ballots: Sequence[Ballot]) -> Self:
        """Return them as arrays."""
        return cls(
            np.stack([b.for_ for b in ballots]),
            np.stack([b.against for b in ballots]),
            np.stack([b.known for b in ballots]),
            np.stack([b.finer for b in ballots]),
        )


def counter(votes: Sequence[LabelVote], weigh: Weigh) -> Callable[[tuple[str, ...]], Ballot]:
    """Return what makes ballots of what the labellers say, "" being nothing; it remembers them."""

    @cache
    def ballot(said: tuple[str, ...]) -> Ballot:
        return _ballot(votes, said, weigh)

    return ballot


def _ballot(votes: Sequence[LabelVote], said: tuple[str, ...], weigh: Weigh) -> Ballot:
    count = len(said)
    for_, against = np.zeros((count, count), np.float32), np.zeros((count, count), np.float32)
    known, finer = np.zeros(count, np.float32), np.zeros((count, count), np.bool_)
    for k, name in enumerate(said):
        if not name:
            continue
        finer[k] = [bool(other) and is_part(other, name) for other in said]
        for i, vote in enumerate(votes):
            weight = weigh(vote.labeller, name)
            for_[k, i] = weight * _supports(said[i], name)
            against[k, i] = weight * (not said[i] and denies(vote.vocabulary, name))
            known[k] += weight * _has_a_say(vote, said[i], name)
    return Ballot(for_, against, known, finer)


def _supports(said: str, name: str) -> bool:
    return bool(said) and (said == name or is_part(said, name))


def _has_a_say(vote: LabelVote, said: str, name: str) -> bool:
    """Return whether a labeller is for or against; one that names the whole says nothing of a part."""
    if said and is_part(name, said):
        return False
    return _supports(said, name) or denies(vote.vocabulary, name)
