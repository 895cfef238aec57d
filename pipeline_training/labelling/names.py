"""What other labellers call a structure, in our words.

What has no certain counterpart is left out and told: a spinal canal is no spinal cord.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline_training.intake.structures import by_name
from pipeline_training.labelling.labeller import LabelVote

BACKGROUND_NAMES = frozenset({"background", "bg", "ignore"})

ALIASES = {
    "left_mammary_gland": "breast_left",
    "right_mammary_gland": "breast_right",
    "OAR_Glnd_Thyroid": "thyroid_gland",
}
"""CADS (cads/dataset_utils/bodyparts_labelmaps.py); TotalSegmentator's and MONAI's names are ours."""

MERGED = frozenset({"heart", "muscle", "body"})
"""Wholes that a labeller draws over its parts: only what is left of them would reach one label map."""


@dataclass(frozen=True)
class Translation:
    """A labeller's classes in our words.

    Attributes:
        names: Our structure by the labeller's class number.
        unknown: Its classes that have no counterpart, sorted.
    """

    names: Mapping[int, str]
    unknown: tuple[str, ...]

    @property
    def vocabulary(self) -> frozenset[str]:
        """The structures that it looks for."""
        return frozenset(self.names.values())


def translate(classes: Mapping[int, str]) -> Translation:
    """Return a labeller's classes in our words; background is neither known nor unknown.

    >>> translate({0: "background", 1: "Heart", 2: "left_mammary_gland", 3: "tumour"})
    Translation(names={1: 'heart', 2: 'breast_left'}, unknown=('tumour',))
    """
    real = {n: name for n, name in classes.items() if n != 0 and name.lower() not in BACKGROUND_NAMES}
    found = {n: ALIASES.get(name) or by_name(name) for n, name in real.items()}
    names = {n: known for n, known in found.items() if known is not None}
    return Translation(names, tuple(sorted(name for n, name in real.items() if found[n] is None)))


def unknown_words(vote: LabelVote, translation: Translation) -> str:
    """Return which classes of a labeller were not used, "" where all were.

    >>> import numpy as np
    >>> vote = LabelVote("theirs", np.zeros((1, 1, 1), np.uint8), {}, frozenset())
    >>> unknown_words(vote, Translation({}, ("csf", "scalp")))
    'theirs: 2 classes have no counterpart and are not used: csf, scalp'
    """
    if not translation.unknown:
        return ""
    listed = ", ".join(translation.unknown)
    return (
        f"{vote.labeller}: {len(translation.unknown)} classes have no counterpart and are not used: {listed}"
    )
