"""Two models on the same images: paired differences, so that what both find hard counts for neither."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from rich.table import Table

from ai.segmentation import ModelIdentity
from pipeline_training.errors import EvaluationError
from pipeline_training.evaluation_report import Evaluation, Score, SetResult, StructureResult
from pipeline_training.metrics import Interval, t_interval


class Finding(StrEnum):
    """What a paired interval says of the second model."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "no difference shown"
    TOO_FEW = "too few images"


FEWEST = 15
"""Patients (images, where nobody said who is who) below which nothing is found."""

Pairs = Mapping[str, tuple[Score | None, Score | None]]


@dataclass(frozen=True)
class Difference:
    """A structure of a set, second model minus first.

    Attributes:
        set_name: The set.
        structure: Its mask folder.
        n: Images that either was scored on; a refused one has Dice 0, one rightly found empty Dice 1.
        units: Patients that these are of; images, where nobody said who is who.
        refused: Images of the set that the first and the second model refused.
        dice: Mean over units of the paired difference, with its 95 % t interval.
        hausdorff95_px: Likewise; below 0 the second model is nearer to the reader; None if it has no image.
        hausdorff95_n: Images of it: neither refused nor rightly found empty by a model.
        finding: From the interval of Dice.
    """

    set_name: str
    structure: str
    n: int
    units: int
    refused: tuple[int, int]
    dice: Interval
    hausdorff95_px: Interval | None
    hausdorff95_n: int
    finding: Finding


@dataclass(frozen=True)
class RatioDifference:
    """Absolute errors of the cardiothoracic ratio, second model minus first, where both computed it."""

    set_name: str
    n: int
    units: int
    refused: tuple[int, int]
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
    structures = tuple(each for pair in pairs for each in _structures(*pair))
    ratios = tuple(each for pair in pairs for each in _ratios(*pair))
    if not structures and not ratios:
        raise EvaluationError("the two models share no set, structure and image: there is nothing to compare")
    return Comparison(first.model, second.model, structures, ratios)


def _structures(first: SetResult, second: SetResult) -> Iterator[Difference]:
    known = {result.structure: result for result in first.structures}
    for result in second.structures:
        if result.structure in known and (pairs := _paired(known[result.structure], result)):
            yield _difference(first, second, result.structure, pairs)


def _difference(first: SetResult, second: SetResult, structure: str, pairs: Pairs) -> Difference:
    overlaps = {image: _dice(b) - _dice(a) for image, (a, b) in pairs.items()}
    apart = {
        image: b.hausdorff95_px - a.hausdorff95_px
        for image, (a, b) in pairs.items()
        if a is not None and b is not None and not a.refused and not b.refused
    }
    units = _by_patient(overlaps, second.patients)
    dice = t_interval(units)
    return Difference(
        set_name=second.name,
        structure=structure,
        n=len(pairs),
        units=len(units),
        refused=(len(first.refusals), len(second.refusals)),
        dice=dice,
        hausdorff95_px=t_interval(_by_patient(apart, second.patients)) if apart else None,
        hausdorff95_n=len(apart),
        finding=_finding(dice, len(units), more_is_better=True),
    )


def _paired(first: StructureResult, second: StructureResult) -> Pairs:
    """Return the scores of images that either was scored on; None where a model rightly found nothing."""
    before = _scores(first)
    after = _scores(second)
    both = {image: (before[image], score) for image, score in after.items() if image in before}
    return {image: pair for image, pair in both.items() if pair != (None, None)}


def _scores(result: StructureResult) -> dict[str, Score | None]:
    return {**{score.image: score for score in result.images}, **dict.fromkeys(result.empty)}


def _dice(score: Score | None) -> float:
    return 1.0 if score is None else score.dice


def _by_patient(differences: Mapping[str, float], patients: Mapping[str, int]) -> list[float]:
    """Return the mean of each patient: images of one patient are not independent."""
    groups: dict[str | int, list[float]] = {}
    for image, value in differences.items():
        groups.setdefault(patients.get(image, image), []).append(value)
    return [sum(values) / len(values) for values in groups.values()]


def _ratios(first: SetResult, second: SetResult) -> Iterator[RatioDifference]:
    if first.cardiothoracic_ratio is None or second.cardiothoracic_ratio is None:
        return
    errors = {
        s.image: abs(s.found - s.truth) for s in first.cardiothoracic_ratio.images if s.found is not None
    }
    both = {
        score.image: abs(score.found - score.truth) - errors[score.image]
        for score in second.cardiothoracic_ratio.images
        if score.found is not None and score.image in errors
    }
    if both:
        units = _by_patient(both, second.patients)
        change, refused = t_interval(units), (len(first.refusals), len(second.refusals))
        finding = _finding(change, len(units), more_is_better=False)
        yield RatioDifference(second.name, len(both), len(units), refused, change, finding)


def _finding(change: Interval, units: int, more_is_better: bool) -> Finding:
    if units < FEWEST:
        return Finding.TOO_FEW
    if change.low > 0:
        return Finding.BETTER if more_is_better else Finding.WORSE
    if change.high < 0:
        return Finding.WORSE if more_is_better else Finding.BETTER
    return Finding.UNDECIDED


def comparison_table(comparison: Comparison) -> Table:
    """Return the comparison for people; n in parentheses: the images of the Hausdorff distance."""
    first, second = comparison.first, comparison.second
    title = f"{second.id} {second.version} minus {first.id} {first.version}"
    table = Table("set", "structure", title=title)
    for heading in ("n", "patients", "refused", "Dice", "HD95 px (n)", "finding"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in comparison.structures:
        distance = "-" if row.hausdorff95_px is None else _cell(row.hausdorff95_px, 1)
        cells = (*_counts(row), _cell(row.dice, 3), f"{distance} ({row.hausdorff95_n})")
        table.add_row(row.set_name, row.structure, *cells, str(row.finding))
    for ratio in comparison.ratios:
        error = f"error {_cell(ratio.absolute_error, 3)}"
        cells = (*_counts(ratio), error, "")
        table.add_row(ratio.set_name, "cardiothoracic ratio", *cells, str(ratio.finding))
    return table


def _counts(row: Difference | RatioDifference) -> tuple[str, str, str]:
    return str(row.n), str(row.units), f"{row.refused[0]} then {row.refused[1]}"


def _cell(interval: Interval, decimals: int) -> str:
    return f"{interval.mean:+.{decimals}f} [{interval.low:+.{decimals}f}, {interval.high:+.{decimals}f}]"
