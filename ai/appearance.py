"""How a radiograph is shown, judged from its pixels, and the way back to the usual presentation.

A picture is brought upright by a rotation and then, perhaps, a flip: the order of Image Rotation (0070,0042)
and Image Horizontal Flip (0070,0041) in the Spatial Transformation module (PS3.3 C.10.6). A picture that is
shown otherwise has thus been flipped first and rotated the other way afterwards. The grey scale is turned
over before or after: it makes no difference.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ai.errors import RadiographError

T = TypeVar("T", bound=np.generic)

TURNS = (0, 90, 180, 270)
"""Image Rotation in degrees clockwise, in the order of the judge's logits."""


SURE = 0.9
"""From this probability on an answer is acted on. The judge learned from pictures of which half were inverted
or mirrored, six of ten turned, a third no chest. In an archive such pictures are rare: an even chance is no
reason to act. On real patients held back from training, each shown in 16 ways, no wrong answer about turn,
mirror or grey scale reached 0.6, and none was more than 0.03 sure that a frontal view is none."""


DOUBTFUL = 0.6
"""From this probability that left and right are exchanged, and below SURE, nothing is measured. The network
looks for the heart on the usual side, and in a mirrored picture finds another heart without a doubt. No wrong
answer on the patients held back (see SURE) was surer than this."""


class Kind(StrEnum):
    """What a picture shows, in the order of the judge's logits."""

    FRONTAL = "frontal"
    LATERAL = "lateral"
    OTHER = "not a chest radiograph"


KINDS = tuple(Kind)


@dataclass(frozen=True)
class Presentation:
    """What brings a picture to the usual one: the patient's right at the left, head up, bone bright.

    Attributes:
        turn: Degrees clockwise, one of TURNS, by which the picture is rotated first.
        mirrored: Whether its columns are reversed then.
        inverted: Whether its grey scale is turned over.
    """

    turn: int = 0
    mirrored: bool = False
    inverted: bool = False

    def __post_init__(self) -> None:
        if self.turn not in TURNS:
            raise RadiographError(f"a turn is one of {TURNS} degrees, found {self.turn}")

    def to_usual(self, shown: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return a picture (rows, columns) as it usually lies; the grey scale is not touched."""
        turned = np.rot90(shown, -(self.turn // 90))
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)

    def to_shown(self, usual: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return a picture that lies as usual as it is shown: the inverse of `to_usual`."""
        flipped = usual[:, ::-1] if self.mirrored else usual
        return np.ascontiguousarray(np.rot90(flipped, self.turn // 90))

    def show(self, usual: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return display values in [0, 1] of a usual picture as they are shown, grey scale included."""
        lies = self.to_shown(usual)
        return np.asarray(1 - lies, np.float32) if self.inverted else lies


USUAL = Presentation()


@dataclass(frozen=True)
class Appearance:
    """What a judge says of a picture: probabilities in [0, 1].

    Attributes:
        kinds: Of each of KINDS; they sum to 1.
        turns: Of each of TURNS; they sum to 1.
        mirrored: That left and right are exchanged; says something of frontal views only.
        inverted: That bone is dark.
    """

    kinds: tuple[float, ...]
    turns: tuple[float, ...]
    mirrored: float
    inverted: float

    def __post_init__(self) -> None:
        if len(self.kinds) != len(KINDS) or len(self.turns) != len(TURNS):
            found = len(self.kinds), len(self.turns)
            raise RadiographError(f"a judge tells {len(KINDS)} kinds and {len(TURNS)} turns, found {found}")

    @property
    def kind(self) -> Kind:
        """The most probable kind."""
        return KINDS[int(np.argmax(self.kinds))]

    @property
    def kind_probability(self) -> float:
        """Probability of the most probable kind."""
        return max(self.kinds)

    def is_of(self, kinds: Collection[Kind]) -> float:
        """Return the probability that the picture is of one of these kinds."""
        return sum(p for kind, p in zip(KINDS, self.kinds, strict=True) if kind in kinds)

    @property
    def turn_probability(self) -> float:
        """Probability of the most probable turn."""
        return max(self.turns)

    @property
    def presentation(self) -> Presentation:
        """The most probable presentation."""
        turn = TURNS[int(np.argmax(self.turns))]
        return Presentation(turn, self.mirrored > 0.5, self.inverted > 0.5)
