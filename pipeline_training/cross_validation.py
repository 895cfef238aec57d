"""Several networks of one recipe, each asked about the patients that were kept from it, as one result."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from ai.segmentation import ModelIdentity
from pipeline_training.accuracy_page import TABLE_HEAD, ratio_lines, score_row
from pipeline_training.errors import EvaluationError
from pipeline_training.evaluate import EvaluateOptions, evaluate, ratio_result, summary
from pipeline_training.evaluation_report import Evaluation, SetResult, StructureResult, remarks
from pipeline_training.folds import KEPT


def cross_validate(folds: Path, bundles: Sequence[Path], options: EvaluateOptions) -> tuple[Evaluation, ...]:
    """Return how each bundle does on what its fold kept from it.

    Args:
        folds: Folder of `write_folds`.
        bundles: That of fold 1 first.
        options: Of every evaluation; its data and bundle are not looked at.

    Raises:
        EvaluationError: If there are more or fewer folds than bundles, or a bundle stands for two.
        ai.errors.BundleError: If a bundle cannot be trusted.
    """
    kept = [folds / f"fold_{number}" / KEPT for number in range(1, len(bundles) + 1)]
    there = sorted(folds.glob(f"fold_*/{KEPT}"))
    if len(bundles) < 2 or sorted(kept) != there:
        raise EvaluationError(f"{folds} holds {len(there)} folds, but {len(bundles)} bundles were named")
    found = tuple(
        evaluate(replace(options, data=data, bundle=bundle))
        for data, bundle in zip(kept, bundles, strict=True)
    )
    if len({each.model.sha256 for each in found}) < len(found):
        raise EvaluationError("two folds were named the same network: each needs the one it was kept from")
    return found


def pooled(evaluations: Sequence[Evaluation]) -> SetResult:
    """Return the set as a whole, each image answered by the network that it was kept from.

    Raises:
        EvaluationError: If they are of several sets, know different structures, or share an image.
    """
    parts = [part for each in evaluations for part in each.sets]
    if len(parts) != len(evaluations) or len({part.name for part in parts}) != 1:
        raise EvaluationError(f"folds are of one set, found {sorted({part.name for part in parts})}")
    if len({tuple((s.structure, s.unsupported) for s in part.structures) for part in parts}) != 1:
        raise EvaluationError("the networks of the folds know different structures")
    options = EvaluateOptions(Path(), resamples=evaluations[0].resamples, seed=evaluations[0].seed)
    ratios = [part.cardiothoracic_ratio for part in parts]
    scores = [score for ratio in ratios if ratio is not None for score in ratio.images]
    _check_once([score.image for score in scores])
    return SetResult(
        name=parts[0].name,
        images=sum(part.images for part in parts),
        refusals=tuple(chain.from_iterable(part.refusals for part in parts)),
        structures=tuple(
            _joined(results, options) for results in zip(*(part.structures for part in parts), strict=True)
        ),
        cardiothoracic_ratio=ratio_result(scores, options),
    )


def _joined(results: Sequence[StructureResult], options: EvaluateOptions) -> StructureResult:
    scores = tuple(score for result in results for score in result.images)
    _check_once([score.image for score in scores])
    return replace(
        results[0],
        answered=summary([score for score in scores if not score.refused], options),
        with_refusals=summary(scores, options),
        images=scores,
        empty=tuple(name for result in results for name in result.empty),
    )


def _check_once(images: Sequence[str]) -> None:
    if len(set(images)) < len(images):
        raise EvaluationError("an image is kept in two folds: write the folds again")


def cross_validation_page(evaluations: Sequence[Evaluation], recipe: str) -> str:
    """Return the page as Markdown.

    Args:
        evaluations: Of `cross_validate`.
        recipe: What the networks were made by, in words of Markdown.

    Raises:
        EvaluationError: As `pooled` raises it.
    """
    return "\n".join(_lines(pooled(evaluations), evaluations, recipe)) + "\n"


def _lines(found: SetResult, evaluations: Sequence[Evaluation], recipe: str) -> Iterator[str]:
    models: Sequence[ModelIdentity] = [each.model for each in evaluations]
    named = all(part.patients for each in evaluations for part in each.sets)
    yield from (f"# Cross-validation on {found.name}", "")
    yield (
        f"{found.images} images in {len(models)} folds: each was answered by a network that had not learned "
        + ("from its patient." if named else "from it. Nothing says which images are of one patient.")
    )
    yield from (recipe, "") if recipe else ("",)
    yield from TABLE_HEAD
    yield from (score_row(found, structure, found.name) for structure in found.structures)
    yield from ratio_lines(found, found.name)
    yield (
        "\nIntervals are those of images; how far networks of other folds would differ is not in them. "
        "Landmarks of the spine are not pooled.\n"
    )
    yield from (f"* {line}" for line in remarks([found]))
    yield from ("", "| fold | network | sha256 |", "|---|---|---|")
    for number, model in enumerate(models, start=1):
        yield f"| {number} | {model.id} {model.version} | `{model.sha256}` |"
