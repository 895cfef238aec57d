"""A model against readers: every radiograph segmented once, compared, and never pooled across sets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ai.bundle import DEFAULT_BUNDLE, Bundle
from ai.measure import measure
from ai.measurement import Measurement
from ai.onnx_segmenter import OnnxSegmenter
from ai.radiograph import Radiograph
from ai.runtime import Way
from ai.segmentation import Mask, Segmentation
from ai.segmenter import Segmenter
from pipeline_training.answers import Answer, answers
from pipeline_training.compared import Compared, compared_of
from pipeline_training.errors import EvaluationError
from pipeline_training.evaluation_report import (
    Evaluation,
    RatioResult,
    RatioScore,
    Refusal,
    Score,
    SetResult,
    StructureResult,
    Summary,
)
from pipeline_training.metrics import (
    RESAMPLES,
    Interval,
    agreement,
    bootstrap_interval,
    diagonal,
    dice,
    hausdorff95,
    iou,
)
from pipeline_training.radiograph_folders import RadiographSet, read_sets
from pipeline_training.readings import READERS
from pipeline_training.spine_comparison import SpineScore, compare_spine, spine_result

RATIO = "cardiothoracic ratio"


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate on what.

    Attributes:
        data: A set, or a folder of sets, as `radiograph_folders` describes them.
        bundle: The model bundle: folder or .zip.
        sets: Names of the sets to take; none takes all.
        limit: At most so many images of each set, evenly spaced by name; None takes all.
        threads: CPU threads of the network; None leaves the choice to ONNX Runtime.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """

    data: Path
    bundle: Path = DEFAULT_BUNDLE
    sets: tuple[str, ...] = ()
    limit: int | None = None
    threads: int | None = None
    resamples: int = RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise EvaluationError(f"limit must be 1 or more images, found {self.limit}")
        if self.resamples < 1:
            raise EvaluationError(f"resamples must be 1 or more, found {self.resamples}")


def evaluate(options: EvaluateOptions, on_image: Callable[[], None] = lambda: None) -> Evaluation:
    """Return how the bundle does on the data; `on_image` is called after each image.

    Raises:
        ai.errors.BundleError: If the bundle cannot be trusted.
        EvaluationError: If the data cannot be compared.
    """
    return evaluate_sets(load_segmenter(options), chosen_sets(options), options, on_image)


def load_segmenter(options: EvaluateOptions) -> Segmenter:
    """Return the bundle's segmenter.

    Raises:
        ai.errors.BundleError: If the bundle cannot be trusted.
    """
    return OnnxSegmenter(Bundle.load(options.bundle), way=Way(options.threads or 0))


def evaluate_sets(
    segmenter: Segmenter,
    sets: Sequence[RadiographSet],
    options: EvaluateOptions,
    on_image: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Return how any segmenter does on sets that have been read."""
    results = tuple(_evaluate_set(segmenter, each, options, on_image) for each in sets)
    return Evaluation(segmenter.model, options.resamples, options.seed, results)


def chosen_sets(options: EvaluateOptions) -> tuple[RadiographSet, ...]:
    """Return the sets and images that the options ask for.

    Raises:
        EvaluationError: If a set asked for is not there.
    """
    found = {each.name: each for each in read_sets(options.data)}
    absent = [name for name in options.sets if name not in found]
    if absent:
        raise EvaluationError(f"{options.data} holds no set {absent}, only {sorted(found)}")
    names = options.sets or tuple(found)
    return tuple(_limited(found[name], options.limit) for name in names)


def _limited(found: RadiographSet, limit: int | None) -> RadiographSet:
    if limit is None or limit >= len(found.images):
        return found
    places = np.linspace(0, len(found.images) - 1, limit).round().astype(int)
    images = tuple(found.images[place] for place in places)
    return replace(found, images=images)


def _evaluate_set(
    segmenter: Segmenter, found: RadiographSet, options: EvaluateOptions, on_image: Callable[[], None]
) -> SetResult:
    refusals: list[Refusal] = []
    ratios: list[RatioScore] = []
    spines: list[SpineScore] = []
    compared = compared_of(found.structures)
    scores: dict[str, list[Score]] = {each.name: [] for each in compared}
    empty: dict[str, list[str]] = {each.name: [] for each in compared}
    unsupported: frozenset[str] = frozenset()
    for answer in answers(segmenter, found.images):
        if answer.segmentation is None:
            refusals.append(Refusal(answer.image.name, answer.reason))
        else:
            unsupported = frozenset(answer.segmentation.unsupported)
        for each in compared:
            scored = _score(found, each, answer)
            scores[each.name] += scored
            if not scored and each.is_annotated(found, answer.image):
                empty[each.name].append(answer.image.name)
        ratios += _ratio(found, answer)
        spines += compare_spine(found, answer)
        on_image()
    return SetResult(
        name=found.name,
        images=len(found.images),
        refusals=tuple(refusals),
        structures=tuple(
            _structure_result(each, unsupported, scores[each.name], empty[each.name], options)
            for each in compared
        ),
        cardiothoracic_ratio=ratio_result(ratios, options),
        patients=_patients(found),
        spine=spine_result(found, spines, options.resamples, options.seed),
    )


def _patients(found: RadiographSet) -> dict[str, int]:
    """Return a number for each patient, by image: who they are is no matter of a report."""
    if found.patients is None:
        return {}
    numbers = {p: n for n, p in enumerate(dict.fromkeys(map(found.patient_of, found.images)))}
    return {image.name: numbers[found.patient_of(image)] for image in found.images}


def _score(found: RadiographSet, compared: Compared, answer: Answer) -> list[Score]:
    """Return the score of one structure in one image, or nothing if there is nothing to compare."""
    if answer.segmentation is None:
        return _miss(found, compared, answer.image)
    truth = compared.truth(found, answer.image, answer.segmentation.shape)
    if truth is None:
        return []
    mask = compared.ours(answer.segmentation)
    overlap, union, distance = dice(truth, mask), iou(truth, mask), hausdorff95(truth, mask)
    if overlap is None or union is None or distance is None:
        return []
    uncut = dice(truth, compared.uncut(answer.segmentation)) if compared.cutters else None
    return [Score(answer.image.name, overlap, union, distance, uncut_dice=uncut)]


def _miss(found: RadiographSet, compared: Compared, image: Path) -> list[Score]:
    """Return the score of a refused image: that of an empty mask."""
    truth = compared.truth(found, image)
    if truth is None or not truth.any():
        return []
    return [Score(image.name, 0.0, 0.0, diagonal((truth.shape[0], truth.shape[1])), refused=True)]


def _structure_result(
    compared: Compared,
    unsupported: frozenset[str],
    scores: Sequence[Score],
    empty: Sequence[str],
    options: EvaluateOptions,
) -> StructureResult:
    missing = tuple(name for name in compared.labels if name in unsupported)
    uncut = [name for name in compared.cutters if name in unsupported]
    known = len(missing) < len(compared.labels)
    counted = tuple(scores) if known else ()
    return StructureResult(
        structure=compared.name,
        labels=compared.labels,
        unsupported=missing,
        note=f"{compared.note}; not cut by what the model does not support: {', '.join(uncut)}"
        if uncut
        else compared.note,
        answered=summary([score for score in counted if not score.refused], options),
        with_refusals=summary(counted, options),
        images=counted,
        empty=tuple(empty) if known else (),
    )


def summary(scores: Sequence[Score], options: EvaluateOptions) -> Summary | None:
    """Return the means over images with their intervals; None of no image."""
    if not scores:
        return None

    def interval(values: list[float]) -> Interval:
        return bootstrap_interval(values, options.resamples, options.seed)

    return Summary(
        n=len(scores),
        dice=interval([score.dice for score in scores]),
        iou=interval([score.iou for score in scores]),
        hausdorff95_px=interval([score.hausdorff95_px for score in scores]),
    )


def _ratio(found: RadiographSet, answer: Answer) -> list[RatioScore]:
    truth = _true_ratio(found, answer)
    if truth is None:
        return []
    if answer.radiograph is None or answer.segmentation is None:
        return [RatioScore(answer.image.name, truth, None, f"refused: {answer.reason}")]
    result = measure(answer.radiograph, answer.segmentation)[RATIO]
    if isinstance(result, Measurement):
        return [RatioScore(answer.image.name, truth, result.value)]
    return [RatioScore(answer.image.name, truth, None, result.reason)]


def _true_ratio(found: RadiographSet, answer: Answer) -> float | None:
    """Return the reader's ratio: that of ctr.csv, or, without such a table, ours of the reader's masks."""
    if found.ratios is not None:
        return found.ratios.get(answer.image.name)
    if answer.radiograph is None:
        return None
    result = measure(answer.radiograph, _drawn(found, answer.image, answer.radiograph))[RATIO]
    return result.value if isinstance(result, Measurement) else None


def _drawn(found: RadiographSet, image: Path, radiograph: Radiograph) -> Segmentation:
    """Return the reader's masks of the structures that are one label of ours, drawn as we mean it."""
    shape = (radiograph.rows, radiograph.columns)
    masks: dict[str, Mask] = {}
    for structure in found.structures:
        if len(structure.labels) == 1 and not structure.note:
            truth = found.truth(structure, image, shape)
            mask = None if truth is None else Mask.from_dense(truth)
            masks |= {} if mask is None else {structure.labels[0]: mask}
    return Segmentation(shape, masks, READERS)


def ratio_result(scores: Sequence[RatioScore], options: EvaluateOptions) -> RatioResult | None:
    """Return how ratios agree with the readers'; None of no image."""
    if not scores:
        return None
    pairs = [(score.truth, score.found) for score in scores if score.found is not None]
    agreed = (
        agreement([t for t, _ in pairs], [f for _, f in pairs], options.resamples, options.seed)
        if pairs
        else None
    )
    return RatioResult(agreed, len(scores) - len(pairs), tuple(scores))
