"""Where readers of known sets drew something else than our labels mean, and how ours is cut to compare.

Without the cut, a mask would be judged by what another convention leaves out. The cuts were stated after
networks had been evaluated without them, so that the Dice without the cut is told beside. Masks that are cut,
or only noted, are never learned from.

Until version 0.5.0 whole lungs were compared without all that lies over the spine, with its processes: lung
that every reader draws. With half of its width the network of 0.5.0 has a Dice of .934 where it had .898
(v7-portable), of .948 and .936 where it had .895 and .889 (generalblockchain). The half was taken from text
books and tried once; the width of the processes had been seen on pictures of v7-portable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ai.availability import LUNG_PAIRS
from ai.segmentation import ModelIdentity

READERS = ModelIdentity("readers", "1", "")
"""Stands in for the model where a reader's drawing is measured."""


@dataclass(frozen=True)
class Reading:
    """How readers drew a structure, where that differs from our label.

    Attributes:
        note: In words, for the table.
        without: Labels whose pixels are taken off our mask before it is compared.
        between: Labels of the spine, the middle half of whose width is taken off as well.
        inside: Labels in whose common convex hull alone our mask is compared; empty compares everywhere.
    """

    note: str
    without: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()

    @property
    def cutters(self) -> tuple[str, ...]:
        """Labels that our mask is cut by; none where it is compared as it is."""
        return self.without + self.between + self.inside


AS_LABELLED = Reading("")
"""They drew what our label means."""

_WHOLE_LUNG = Reading(
    "readers end the lung at the dome of the diaphragm and beside the spine, over its processes: compared is "
    "our whole lung without what lies over the diaphragm and over the middle half of the spine, a cut that "
    "was chosen when v7-portable had been looked at",
    without=("diaphragm",),
    between=("spine",),
)
_CLAVICLE = Reading(
    "drawn only where it crosses the lungs and the rib cage: compared inside the convex hull of both lungs",
    inside=LUNG_PAIRS[0],
)
READINGS: Mapping[tuple[str, str], Reading] = MappingProxyType(
    {
        ("jsrt", "right_clavicle"): _CLAVICLE,
        ("jsrt", "left_clavicle"): _CLAVICLE,
        ("generalblockchain", "right_lung"): _WHOLE_LUNG,
        ("generalblockchain", "left_lung"): _WHOLE_LUNG,
        ("generalblockchain", "cardiomediastinum"): Reading(
            "drawn from the aortic arch down, without what lies above it"
        ),
        ("generalblockchain", "airways"): Reading("drawn as trachea and both main bronchi"),
        ("v7-portable", "lungs"): _WHOLE_LUNG,
    }
)
"""By set and mask folder."""
