"""How often a judge is right: real radiographs of known kind as they are, and turned, mirrored, inverted.

The copies are made on the network's input: rotating, mirroring or inverting a picture before it is brought to
the input gives the same, for the letterbox and its percentiles favour no side.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ai.appearance import SURE, TURNS, Appearance, Kind, Presentation
from ai.judge import Judge
from ai.preprocess import network_input
from pipeline_training.radiograph_folders import RadiographSet, read_radiograph

KINDS_OF_SETS: Mapping[str, frozenset[Kind]] = MappingProxyType(
    {
        "lateral": frozenset({Kind.LATERAL}),
        "not-chest": frozenset({Kind.OTHER}),
        "spine": frozenset({Kind.FRONTAL, Kind.OTHER}),
    }
)
"""What the pictures of a set show, by its name; either answer counts where there are two. Sets that are not
named here hold frontal chest radiographs."""

COPIES = (
    *(Presentation(turn) for turn in TURNS),
    Presentation(mirrored=True),
    Presentation(inverted=True),
)
"""Each picture as it is, turned three ways, mirrored, and inverted."""


@dataclass
class Tally:
    """Answers to one question in one set.

    Attributes:
        asked: Number of pictures.
        right: Of them the most probable answer was right.
        sure_right: It was right, and sure enough to be acted on.
        sure_wrong: It was wrong, and sure enough to be acted on.
    """

    asked: int = 0
    right: int = 0
    sure_right: int = 0
    sure_wrong: int = 0

    def add(self, is_right: bool, is_sure: bool) -> None:
        """Count one answer."""
        self.asked += 1
        self.right += is_right
        self.sure_right += is_right and is_sure
        self.sure_wrong += is_sure and not is_right


QUESTIONS = ("view", "view of copies", "upright", "turned", "side", "mirrored", "polarity", "inverted")
"""Of what is shown as usual: view, upright, side, polarity; of copies: view of copies and the other three."""


@dataclass(frozen=True)
class SetFound:
    """What a judge said of a set.

    Attributes:
        name: Of the set.
        images: Number of pictures.
        tallies: By question, of those asked of such a set: how a picture lies is asked of frontal views, the
            mirror excepted of lateral ones, too.
        refused: Of the pictures as they are, how many it is sure are no frontal views, so that a node refuses
            them.
        refused_copies: The same of the copies.
    """

    name: str
    images: int
    tallies: dict[str, Tally] = field(default_factory=dict)
    refused: int = 0
    refused_copies: int = 0

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "name": self.name,
            "images": self.images,
            "refused": self.refused,
            "refused_copies": self.refused_copies,
            "questions": {key: asdict(tally) for key, tally in self.tallies.items()},
        }


def evaluate_judge(
    judge: Judge, sets: Sequence[RadiographSet], on_image: Callable[[], None] = lambda: None
) -> list[SetFound]:
    """Return what a judge says of every set, in order.

    Raises:
        RadiographSetError: If a picture cannot be read.
    """
    found = []
    for images in sets:
        kinds = KINDS_OF_SETS.get(images.name, frozenset({Kind.FRONTAL}))
        tallies = {question: Tally() for question in _questions(kinds)}
        refused = 0, 0
        for path in images.images:
            seen = judge.judge_inputs(copies(read_radiograph(path).pixels, judge.size))
            for question, is_right, is_sure in _answers(seen, kinds):
                if question in tallies:
                    tallies[question].add(is_right, is_sure)
            odd = [each.is_of((Kind.LATERAL, Kind.OTHER)) >= SURE for each in seen]
            refused = refused[0] + odd[0], refused[1] + sum(odd[1:])
            on_image()
        found.append(SetFound(images.name, len(images.images), tallies, *refused))
    return found


def copies(pixels: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """Return the network's inputs (len(COPIES), 1, size, size) of a picture shown in each way."""
    grid, box = network_input(pixels, size)
    film = box.to_network(np.ones_like(pixels)) > 0
    negative = np.where(film, 1 - grid, 0).astype(np.float32)
    return np.stack([way.to_shown(negative if way.inverted else grid) for way in COPIES])[:, None]


def _questions(kinds: frozenset[Kind]) -> tuple[str, ...]:
    if Kind.OTHER in kinds:
        return QUESTIONS[:2]
    return tuple(q for q in QUESTIONS if Kind.FRONTAL in kinds or q not in ("side", "mirrored"))


def _answers(seen: Sequence[Appearance], kinds: frozenset[Kind]) -> Iterator[tuple[str, bool, bool]]:
    """Yield (question, whether the answer is right, whether it is sure) of one picture's copies."""
    for way, appearance in zip(COPIES, seen, strict=True):
        usual, said = way == Presentation(), appearance.presentation
        sure = appearance.kind_probability >= SURE
        yield ("view" if usual else "view of copies"), appearance.kind in kinds, sure
        sure = appearance.turn_probability >= SURE
        if usual or way.turn:
            yield ("turned" if way.turn else "upright"), said.turn == way.turn, sure
        if usual or way.mirrored:
            sure = max(appearance.mirrored, 1 - appearance.mirrored) >= SURE
            yield ("mirrored" if way.mirrored else "side"), said.mirrored == way.mirrored, sure
        if usual or way.inverted:
            sure = max(appearance.inverted, 1 - appearance.inverted) >= SURE
            yield ("inverted" if way.inverted else "polarity"), said.inverted == way.inverted, sure
