"""How far measurements move when a radiograph is moved a little: what of a change is noise.

A radiograph is shifted, turned and scaled by small seeded amounts, segmented and measured again each time.
The film was the same, so what the values differ by is the model's and the measurement's own doing.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from rich.table import Table
from scipy import ndimage

from ai.errors import AiError
from ai.measure import measure
from ai.measurement import Measurement
from ai.radiograph import PixelSpacing, Radiograph
from ai.segmentation import ModelIdentity
from ai.segmenter import Segmenter
from pipeline_training.errors import EvaluationError
from pipeline_training.radiograph_folders import RadiographSet, read_radiograph

MOVES = 8
MAX_SHIFT = 0.02
"""Of the picture's width, to any side."""

MAX_DEGREES = 3.0
SCALES = (0.97, 1.03)
"""Shifts, turns and scalings are our choice: what the position of one patient differs by between films."""

NORMAL_95 = 1.96
"""Standard deviations to either side that hold 95 % of a normal distribution."""

FEWEST_VALUES = 3
"""Fewer values of an image have no spread."""

GIVEN_WIDTH = "width of the picture as given"


@dataclass(frozen=True)
class Move:
    """How a picture is moved about its centre.

    Attributes:
        across: Shift to the right, in picture widths.
        down: Shift downwards, in picture widths.
        degrees: Turn, clockwise.
        scale: Of what is shown; above 1 it becomes larger.
    """

    across: float
    down: float
    degrees: float
    scale: float


@dataclass(frozen=True)
class ImageSpread:
    """One measurement of one image.

    Attributes:
        set_name: The set.
        image: File name.
        name: Of the measurement.
        unit: UCUM.
        unmoved: The value of the picture as it is; None if it was not computed.
        moved: The value after each move; None where it was not computed.
    """

    set_name: str
    image: str
    name: str
    unit: str
    unmoved: float | None
    moved: tuple[float | None, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """Every value that was computed, the unmoved one first."""
        return tuple(value for value in (self.unmoved, *self.moved) if value is not None)

    @property
    def sd(self) -> float | None:
        """Standard deviation of the values; None of fewer than FEWEST_VALUES."""
        return float(np.std(self.values, ddof=1)) if len(self.values) >= FEWEST_VALUES else None

    @property
    def limits(self) -> tuple[float, float] | None:
        """Mean minus and plus 1.96 standard deviations: 95 % of the values of this image lie between."""
        if self.sd is None:
            return None
        mean = float(np.mean(self.values))
        return mean - NORMAL_95 * self.sd, mean + NORMAL_95 * self.sd


@dataclass(frozen=True)
class Summary:
    """One measurement over the images of one set.

    Attributes:
        set_name: The set.
        name: Of the measurement.
        unit: UCUM.
        images: That have a spread.
        mean: Of their values.
        within_sd: Root of the mean square of their standard deviations (Bland and Altman, Measurement error,
            BMJ 313:744, 1996).
        limit: 1.96 times that: 95 % of values lie so near to their image's mean.
        not_computed: Share of the looks at images that were not refused at every look that gave no value.
    """

    set_name: str
    name: str
    unit: str
    images: int
    mean: float
    within_sd: float
    limit: float
    not_computed: float


@dataclass(frozen=True)
class Repeatability:
    """How far a model's measurements move on sets of radiographs.

    Attributes:
        model: The weights.
        seed: Of the moves.
        moves: The same for all images.
        images: Every measurement of every image that was not refused at every look.
        refused: File names of the other images.
    """

    model: ModelIdentity
    seed: int
    moves: tuple[Move, ...]
    images: tuple[ImageSpread, ...]
    refused: tuple[str, ...] = ()

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """One for each set and measurement that has a spread in one image or more, in the report's order."""
        groups: dict[tuple[str, str], list[ImageSpread]] = {}
        for spread in self.images:
            groups.setdefault((spread.set_name, spread.name), []).append(spread)
        return tuple(summary for group in groups.values() for summary in _summary(group, len(self.moves)))

    def to_json(self) -> str:
        """Return every figure as JSON."""
        images = [
            {**asdict(spread), "sd": spread.sd, "limits": spread.limits}
            for spread in self.images
            if spread.values
        ]
        content = {
            "model": asdict(self.model),
            "seed": self.seed,
            "moves": [asdict(move) for move in self.moves],
            "refused": self.refused,
            "measurements": [asdict(summary) for summary in self.summaries],
            "images": images,
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def repeatability(
    segmenter: Segmenter,
    sets: Sequence[RadiographSet],
    seed: int = 0,
    width_mm: float | None = None,
    moves: int = MOVES,
) -> Repeatability:
    """Return how far every measurement moves.

    Args:
        segmenter: The model.
        sets: Radiographs; no masks are needed.
        seed: Of the moves, which are the same for all images.
        width_mm: What the pictures are wide in the patient; None measures what needs no pixel spacing.
        moves: How many.

    Raises:
        EvaluationError: If no measurement of any image has a spread.
        pipeline_training.errors.RadiographSetError: If a picture cannot be read.
    """
    drawn = draw_moves(moves, seed)
    spreads: list[ImageSpread] = []
    refused: list[str] = []
    for each, image in ((whole, image) for whole in sets for image in whole.images):
        radiograph = _with_width(read_radiograph(image), width_mm)
        found_here = [
            replace(spread, set_name=each.name, image=image.name)
            for spread in spreads_of(segmenter, radiograph, drawn)
        ]
        spreads += found_here
        refused += [] if found_here else [image.name]
    found = Repeatability(segmenter.model, seed, drawn, tuple(spreads), tuple(refused))
    if not found.summaries:
        raise EvaluationError("nothing could be measured on enough looks at any image")
    return found


def draw_moves(count: int, seed: int) -> tuple[Move, ...]:
    """Return so many moves, a function of the seed."""
    if count < FEWEST_VALUES - 1:
        raise EvaluationError(f"a spread needs {FEWEST_VALUES - 1} moves or more, found {count}")
    draw = np.random.default_rng(seed).uniform
    return tuple(
        Move(
            across=float(draw(-MAX_SHIFT, MAX_SHIFT)),
            down=float(draw(-MAX_SHIFT, MAX_SHIFT)),
            degrees=float(draw(-MAX_DEGREES, MAX_DEGREES)),
            scale=float(draw(*SCALES)),
        )
        for _ in range(count)
    )


def moved(radiograph: Radiograph, move: Move) -> Radiograph:
    """Return the picture moved, of the same size; what comes in from outside repeats the border.

    Pixels of a picture that shows everything larger are smaller in the patient: the spacing follows.
    """
    angle = np.radians(move.degrees)
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / move.scale
    centre = (np.array(radiograph.pixels.shape) - 1) / 2
    shift = np.array([move.down, move.across]) * radiograph.columns
    pixels = ndimage.affine_transform(
        radiograph.pixels, back, centre - back @ (centre + shift), order=1, mode="nearest"
    )
    old = radiograph.spacing
    spacing = old and replace(old, row_mm=old.row_mm / move.scale, column_mm=old.column_mm / move.scale)
    return replace(radiograph, pixels=pixels.clip(0, 1).astype(np.float32), spacing=spacing)


def spreads_of(segmenter: Segmenter, radiograph: Radiograph, moves: Sequence[Move]) -> Iterator[ImageSpread]:
    """Yield every measurement of one radiograph and of its moved copies; set and image are left empty."""
    looks = [_values(segmenter, radiograph), *(_values(segmenter, moved(radiograph, move)) for move in moves)]
    units = {name: unit for look in looks for name, (value, unit) in look.items() if value is not None}
    for name in dict.fromkeys(name for look in looks for name in look):
        first, *others = (look[name][0] if name in look else None for look in looks)
        yield ImageSpread("", "", name, units.get(name, ""), first, tuple(others))


def _values(segmenter: Segmenter, radiograph: Radiograph) -> dict[str, tuple[float | None, str]]:
    """Return value (None: not computed) and unit by measurement; nothing if the picture was refused."""
    try:
        [segmentation] = segmenter.segment([radiograph])
    except AiError:
        return {}
    results = measure(radiograph, segmentation)
    return {
        result.name: (result.value, str(result.unit)) if isinstance(result, Measurement) else (None, "")
        for result in results
    }


def _with_width(radiograph: Radiograph, width_mm: float | None) -> Radiograph:
    if width_mm is None:
        return radiograph
    pitch = width_mm / radiograph.columns
    return replace(radiograph, spacing=PixelSpacing(pitch, pitch, GIVEN_WIDTH, calibrated=True))


def _summary(group: Sequence[ImageSpread], moves: int) -> Iterator[Summary]:
    """Yield the summary of one measurement on one set, or nothing if no image has a spread."""
    spread = [(each, each.sd) for each in group if each.sd is not None]
    if not spread:
        return
    within = float(np.sqrt(np.mean([sd**2 for _, sd in spread])))
    looks = len(group) * (moves + 1)
    yield Summary(
        set_name=group[0].set_name,
        name=group[0].name,
        unit=next(each.unit for each, _ in spread),
        images=len(spread),
        mean=float(np.mean([value for each, _ in spread for value in each.values])),
        within_sd=within,
        limit=NORMAL_95 * within,
        not_computed=1 - sum(len(each.values) for each in group) / looks,
    )


def repeatability_table(found: Repeatability) -> Table:
    """Return the summaries as a table."""
    title = f"{found.model.id} {found.model.version}: spread over {len(found.moves)} moves and none"
    table = Table("set", "measurement", "unit", title=title, title_justify="left")
    for heading in ("images", "mean", "SD within an image", "95 % limits", "not computed"):
        table.add_column(heading, justify="right")
    for each in found.summaries:
        numbers = (
            f"{each.mean:.3g}",
            f"{each.within_sd:.2g}",
            f"± {each.limit:.2g}",
            f"{each.not_computed:.0%}",
        )
        table.add_row(each.set_name, each.name, each.unit, str(each.images), *numbers)
    return table
