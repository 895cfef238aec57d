"""Two models on the same images: paired differences, so that what both find hard counts for neither."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from rich.table import Table

from ai.segmentation import ModelIdentity
from pipeline_training.errors import EvaluationError
from pipeline_training.evaluation_report import Evaluation, Score, SetResult, StructureResult
from pipeline_training.metrics import Interval, bootstrap_interval


class Finding(StrEnum):
    """What a paired interval says of the second model."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "no difference shown"


@dataclass(frozen=True)
class Difference:
    """A structure of a set, second model minus first.

    Attributes:
        set_name: The set.
        structure: Its mask folder.
        n: Images that both were scored on; a refused one has Dice 0.
        dice: Mean paired difference, with its 95 % bootstrap interval over images.
        hausdorff95_px: Likewise; below 0 the second model is nearer to the reader.
        finding: From the interval of Dice.
    """

    set_name: str
    structure: str
    n: int
    dice: Interval
    hausdorff95_px: Interval
    finding: Finding


@dataclass(frozen=True)
class RatioDifference:
    """Absolute errors of the cardiothoracic ratio, second model minus first, where both computed it."""

    set_name: str
    n: int
    absolute_error: Interval
    finding: Finding


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images.

    Attributes:
        first: The model compared with.
        second: The model that is judged.
        structures: In order of set and structure; those that only one model supports are not compared.
        ratios: For each set with ctr.csv.
    """

    first: ModelIdentity
    second: ModelIdentity
    structures: tuple[Difference, ...]
    ratios: tuple[RatioDifference, ...]

    def to_json(self) -> str:
        """Return every figure as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Return how the second model differs from the first on the images that both were evaluated on.

    Raises:
        EvaluationError: If nothing was scored by both.
    """
    sets = {found.name: found for found in first.sets}
    pairs = [(sets[found.name], found) for found in second.sets if found.name in sets]
    structures = tuple(each for pair in pairs for each in _structures(*pair, second.resamples, second.seed))
    ratios = tuple(each for pair in pairs for each in _ratios(*pair, second.resamples, second.seed))
    if not structures and not ratios:
        raise EvaluationError("the two models share no set, structure and image: there is nothing to compare")
    return Comparison(first.model, second.model, structures, ratios)


def _structures(first: SetResult, second: SetResult, resamples: int, seed: int) -> Iterator[Difference]:
    known = {result.structure: result for result in first.structures}
    for result in second.structures:
        if result.structure in known and (pairs := _paired(known[result.structure], result)):
            dice = bootstrap_interval([b.dice - a.dice for a, b in pairs], resamples, seed)
            apart = bootstrap_interval(
                [b.hausdorff95_px - a.hausdorff95_px for a, b in pairs], resamples, seed
            )
            finding = _finding(dice, more_is_better=True)
            yield Difference(second.name, result.structure, len(pairs), dice, apart, finding)


def _paired(first: StructureResult, second: StructureResult) -> list[tuple[Score, Score]]:
    scores: Mapping[str, Score] = {score.image: score for score in first.images}
    return [(scores[score.image], score) for score in second.images if score.image in scores]


def _ratios(first: SetResult, second: SetResult, resamples: int, seed: int) -> Iterator[RatioDifference]:
    if first.cardiothoracic_ratio is None or second.cardiothoracic_ratio is None:
        return
    errors = {
        s.image: abs(s.found - s.truth) for s in first.cardiothoracic_ratio.images if s.found is not None
    }
    both = [
        abs(score.found - score.truth) - errors[score.image]
        for score in second.cardiothoracic_ratio.images
        if score.found is not None and score.image in errors
    ]
    if both:
        change = bootstrap_interval(both, resamples, seed)
        yield RatioDifference(second.name, len(both), change, _finding(change, more_is_better=False))


def _finding(change: Interval, more_is_better: bool) -> Finding:
    if change.low > 0:
        return Finding.BETTER if more_is_better else Finding.WORSE
    if change.high < 0:
        return Finding.WORSE if more_is_better else Finding.BETTER
    return Finding.UNDECIDED


def comparison_table(comparison: Comparison) -> Table:
    """Return the comparison for people."""
    first, second = comparison.first, comparison.second
    title = f"{second.id} {second.version} minus {first.id} {first.version}"
    table = Table("set", "structure", title=title)
    for heading in ("n", "Dice", "HD95 px", "finding"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in comparison.structures:
        cells = (_cell(row.dice, 3), _cell(row.hausdorff95_px, 1))
        table.add_row(row.set_name, row.structure, str(row.n), *cells, str(row.finding))
    for ratio in comparison.ratios:
        error = f"error {_cell(ratio.absolute_error, 3)}"
        table.add_row(ratio.set_name, "cardiothoracic ratio", str(ratio.n), error, "", str(ratio.finding))
    return table


def _cell(interval: Interval, decimals: int) -> str:
    return f"{interval.mean:+.{decimals}f} [{interval.low:+.{decimals}f}, {interval.high:+.{decimals}f}]"
