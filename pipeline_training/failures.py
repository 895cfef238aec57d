"""Pictures of failures: the worst of several looks at projections, spoilt in each way that happens to films.

What a model card says in numbers is seen here, and whether the model knew: for each structure its Dice and
the probability that the node would have told of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ai.bundle import Bundle
from ai.manifest import Manifest
from ai.onnx_segmenter import OnnxSegmenter
from ai.uncertainty import Trust
from pipeline_training.dataset import FRONTAL, Source
from pipeline_training.errors import EvaluationError
from pipeline_training.metrics import border
from pipeline_training.projections import NAMES
from pipeline_training.reliability import Answered, answered, enlarged
from pipeline_training.screen import LEAST_CELLS
from pipeline_training.spoil import SPOILERS, spoilt

SEED = 60_000_000
"""Looks are drawn from here; training draws from the seed of its run."""

SHOWN = ("visible lung right", "visible lung left", "heart", "clavicle right", "clavicle left")
"""Structures by which a look is bad or not, and which are drawn."""

TILE = 400
"""Rows and columns of a picture on the sheet."""

CAPTION = 18
"""Rows above it for its name."""

ACROSS = 4
AS_IT_IS = "as it is"
TRUTH_COLOUR, FOUND_COLOUR = (0, 220, 90), (255, 60, 200)

HEAD = """# Failures of {model}

Made by `paxnode-train failures`: of {looks} looks at projections, spoilt in each way that happens to films,
the one with the lowest mean Dice of the structures below. **Green is true, magenta is what the model found.**
How a look is spoilt is drawn by chance; nobody chose them. They are composed from CT volumes, are no
radiographs, and the model may have learned from the same bodies. Outlines end where the CT ends; what a body
does not tell of is not outlined in green. Masks are the network's own, before the node puts sides and
pieces right.

![the worst look of each kind]({picture})

{sources}Probability is what the node tells of a mask. Below 0.5 nothing is measured on it, and a film of
which no lung and no heart reaches 0.5 is refused. **Unnoticed** is a mask below its bar that is trusted.

| film | body | structure | Dice | bar | probability | |
|---|---|---|---|---|---|---|"""

ColourImage = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Outcome:
    """What became of one structure: Dice in [0, 1], trust in its mask if it is judged."""

    structure: str
    dice: float
    trust: Trust | None
    is_found: bool = True

    @property
    def is_unnoticed(self) -> bool:
        """Whether the mask is below its bar and would be measured on all the same."""
        return self.trust is not None and self.trust.suffices and self.dice < self.trust.bar


@dataclass(frozen=True, eq=False)
class Failure:
    """The worst look of those that were spoilt in one way.

    Attributes:
        how: A key of SPOILERS, or "" for looks as they are.
        patient: Whose projection it is.
        outcomes: Of each of SHOWN that the look shows.
        picture: uint8 (TILE, TILE, 3): true outlines green, found ones magenta.
    """

    how: str
    patient: str
    outcomes: tuple[Outcome, ...]
    picture: ColourImage


def failures(bundle: Bundle, sources: Sequence[Source], looks: int, seed: int = SEED) -> tuple[Failure, ...]:
    """Return the worst look at frontal sources for each way of spoiling them, by the mean Dice of SHOWN.

    Args:
        bundle: With curves of trust.
        sources: With known truth.
        looks: How many are looked at for each way.
        seed: Draws how they are spoilt; sources are taken in turn.

    Raises:
        EvaluationError: If the bundle has no curves, or no look shows one of SHOWN.
    """
    segmenter = OnnxSegmenter(bundle)
    frontal = [source for source in sources if source.view == FRONTAL]
    if not frontal:
        raise EvaluationError("there is no frontal projection to look at")
    return tuple(_worst(segmenter, frontal, how, looks, seed) for how in ("", *SPOILERS))


def _worst(segmenter: OnnxSegmenter, sources: Sequence[Source], how: str, looks: int, seed: int) -> Failure:
    labels = [NAMES.index(name) for name in segmenter.manifest.labels]
    found: list[tuple[float, Failure]] = []
    for look in range(looks):
        generator = np.random.default_rng([seed, look])
        source = sources[look * len(sources) // looks]
        sample = spoilt(source, how, labels, segmenter.manifest.input_size, generator)
        said = answered(segmenter, sample)
        outcomes = _outcomes(segmenter.manifest, said, sample.known.tolist())
        if outcomes:
            mean = float(np.mean([each.dice for each in outcomes]))
            picture = _drawn(sample.image[0].numpy(), said, segmenter.manifest.labels)
            found.append((mean, Failure(how, source.patient, outcomes, picture)))
    if not found:
        raise EvaluationError(f"no look shows any of {', '.join(SHOWN)}")
    return min(found, key=lambda pair: pair[0])[1]


def _outcomes(manifest: Manifest, said: Answered, known: Sequence[bool]) -> tuple[Outcome, ...]:
    """Return what became of those of SHOWN of which the look tells LEAST_CELLS or more."""
    signs = {sign.structure: sign for sign in said.signs}
    outcomes = []
    for name in SHOWN:
        index = manifest.labels.index(name) if name in manifest.labels else None
        if index is None or not known[index] or said.truth[index].sum() < LEAST_CELLS:
            continue
        sign, curve = signs.get(name), manifest.reliability.get(name)
        if sign is None or curve is None:
            outcomes.append(Outcome(name, sign.dice if sign else 0.0, None, sign is not None))
        else:
            trust = Trust(curve.probability(sign.expected, sign.agreement), curve.bar)
            outcomes.append(Outcome(name, sign.dice, trust))
    return tuple(outcomes)


def _drawn(image: npt.NDArray[np.float32], said: Answered, labels: Sequence[str]) -> ColourImage:
    size = (TILE, TILE)
    grey = Image.fromarray((image * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    drawn = np.array(grey.convert("RGB"))
    factor = len(image) // said.truth.shape[-1]
    for masks, colour in ((said.truth, TRUTH_COLOUR), (said.found, FOUND_COLOUR)):
        for name in SHOWN:
            if name in labels:
                mask = Image.fromarray(enlarged(masks[labels.index(name)], factor))
                drawn[border(np.asarray(mask.resize(size, Image.Resampling.NEAREST)))] = colour
    return drawn


def failure_sheet(found: Sequence[Failure]) -> ColourImage:
    """Return all pictures as one, uint8 (rows, columns, 3), ACROSS beside each other, each with its name."""
    rows = -(-len(found) // ACROSS)
    sheet = np.zeros((rows * (CAPTION + TILE), ACROSS * TILE, 3), np.uint8)
    for place, each in enumerate(found):
        top, left = place // ACROSS * (CAPTION + TILE), place % ACROSS * TILE
        sheet[top + CAPTION : top + CAPTION + TILE, left : left + TILE] = each.picture
    written = Image.fromarray(sheet)
    pen = ImageDraw.Draw(written)
    for place, each in enumerate(found):
        corner = place % ACROSS * TILE + 4, place // ACROSS * (CAPTION + TILE) + 3
        pen.text(corner, f"{each.how or AS_IT_IS} ({each.patient})", fill="white")
    return np.asarray(written)


def failure_page(
    bundle: Bundle, found: Sequence[Failure], looks: int, picture: str, sources: Sequence[str] = ()
) -> str:
    """Return the page that shows them, in Markdown.

    Args:
        bundle: Whose failures they are.
        found: What `failures` found.
        looks: Of how many each is the worst.
        picture: Path of the sheet, seen from the page.
        sources: Where the bodies come from, and under which licence.
    """
    model = bundle.identity
    rows = [_row(each, outcome) for each in found for outcome in each.outcomes]
    told = f"Bodies: {'; '.join(sources)}.\n\n" if sources else ""
    head = HEAD.format(model=f"{model.id} {model.version}", looks=looks, picture=picture, sources=told)
    return "\n".join([head, *rows]) + "\n"


def _row(found: Failure, outcome: Outcome) -> str:
    bar, told, remark = "-", "-", "not judged" if outcome.is_found else "not found"
    if outcome.trust:
        bar, told = f"{outcome.trust.bar:.2f}", f"{outcome.trust.probability:.2f}"
        remark = "**unnoticed**" if outcome.is_unnoticed else ""
    cells = found.how or AS_IT_IS, found.patient, outcome.structure, f"{outcome.dice:.2f}", bar, told, remark
    return f"| {' | '.join(cells)} |"
