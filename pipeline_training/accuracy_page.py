"""An evaluation as a page of documentation, with what others reached beside it."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from pipeline_training.evaluation_report import Evaluation, SetResult, StructureResult, remarks
from pipeline_training.metrics import Interval
from pipeline_training.spine_report import spine_lines

READERS_LUNG = "second reader .972; HybridGNet .974; U-Net .981, both trained on JSRT"
READERS_HEART = "second reader .935; HybridGNet .933; U-Net .942, both trained on JSRT"
READERS_CLAVICLE = "second reader .945"
ANCHORS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("jsrt", "both lungs"): READERS_LUNG,
        ("jsrt", "heart"): READERS_HEART,
        ("jsrt", "both clavicles"): READERS_CLAVICLE,
        ("montgomery", "lungs"): "HybridGNet .954, U-Net .944, neither trained on it",
        ("shenzhen", "lungs"): "HybridGNet .935, U-Net .933, neither trained on it",
        ("v7-portable", "lungs"): "on all 952 images of its kind: CXAS .888, FleXray .918",
    }
)
"""Dice of others, as published (docs/method.md); on all images of a set or on another part of it, so that
they are marks, not rivals in one race. Those of lungs and clavicles are of both sides as one."""

SHOWN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "dual-energy": ("frontal", "ordinary and bone-suppressed"),
        "generalblockchain": ("frontal, not stated", "COVID-19"),
        "jsrt": ("PA", "adults"),
        "lateral": ("lateral", "facing both ways"),
        "montgomery": ("frontal, not stated", "some with tuberculosis; pictures squashed to a square"),
        "not-chest": ("-", "hands, knees, pelves of children"),
        "paediatric": ("frontal, not stated", "children of 1 to 5 years"),
        "shenzhen": (
            "frontal, not stated",
            "half with tuberculosis; scoliosis, tilted films; squashed to a square",
        ),
        "spine": ("AP, whole spine", "scoliosis, some with rods"),
        "v7-portable": ("AP, portable, supine", "intensive care"),
        "wingspan": ("frontal, not stated", "pictures squashed to a square"),
    }
)
"""Of sets that we know: views, and who is shown."""

TABLE_HEAD = (
    "| set | structure | n | refused | Dice | IoU | HD95, pixels | others |",
    "|---|---|---|---|---|---|---|---|",
)

RATIO_ANCHOR = "Published: mean absolute error .018 to .021, limits of agreement about -.026 to +.026."


def accuracy_page(evaluation: Evaluation, trained_on: tuple[str, ...] = ()) -> str:
    """Return the page as Markdown.

    Args:
        evaluation: What was found.
        trained_on: Sets that the model was trained on: their rows say so.
    """
    return "\n".join(_lines(evaluation, trained_on)) + "\n"


def _lines(evaluation: Evaluation, trained_on: tuple[str, ...]) -> Iterator[str]:
    model = evaluation.model
    yield from ("# Accuracy on radiographs", "")
    yield f"{model.id} {model.version}, sha256 `{model.sha256}`. Made by"
    taught = "".join(f" --trained-on {name}" for name in trained_on)
    asked = f"paxnode-train accuracy --data radiographs --page docs/accuracy.md{taught}"
    yield from ("", "```sh", asked, "```", "")
    yield (
        "Means over images with their 95 % bootstrap intervals; a refused image counts with Dice and IoU 0\n"
        "and the image's diagonal. Pixels are those of the image as stored. Sets are never pooled: their\n"
        "readers draw different things."
    )
    yield ""
    yield from TABLE_HEAD
    for found in evaluation.sets:
        for structure in found.structures:
            yield score_row(found, structure, _name(found.name, trained_on))
    for found in evaluation.sets:
        yield from ratio_lines(found, _name(found.name, trained_on))
    yield from spine_lines([(_name(name, trained_on), result) for name, result in evaluation.spines])
    yield from _shown([found.name for found in evaluation.sets])
    yield from ("", "## Remarks", "")
    yield from (f"* {remark}" for remark in remarks(evaluation.sets))


def _shown(names: Sequence[str]) -> Iterator[str]:
    yield from ("", "## Views and patients", "")
    yield (
        "Where a set is of one view, its rows above are figures by view. The tables at hand tell neither\n"
        "sex nor age: differences between groups of patients were not measured."
    )
    yield from ("", "| set | view | shown |", "|---|---|---|")
    yield from (f"| {name} | {' | '.join(SHOWN.get(name, ('not known', '')))} |" for name in names)


def _name(name: str, trained_on: tuple[str, ...]) -> str:
    return f"{name} (trained on)" if name in trained_on else name


def score_row(found: SetResult, structure: StructureResult, name: str) -> str:
    """Return the line of a structure under `TABLE_HEAD`; `name` is what the set is called there."""
    anchor = ANCHORS.get((found.name, structure.structure), "")
    scores = structure.with_refusals
    if scores is None:
        return f"| {name} | {structure.structure} | 0 | | not supported | | | {anchor} |"
    refused = sum(score.refused for score in structure.images)
    whole = [score.uncut_dice for score in structure.images if score.uncut_dice is not None]
    uncut = f"; not cut {np.mean(whole):.3f}" if whole else ""
    anchor += " (their masks not cut)" if whole and anchor else ""
    figures = f"{_cell(scores.dice)}{uncut} | {_cell(scores.iou)} | {_cell(scores.hausdorff95_px, 1)}"
    return f"| {name} | {structure.structure} | {scores.n} | {refused} | {figures} | {anchor} |"


def ratio_lines(found: SetResult, name: str) -> Iterator[str]:
    """Yield what is said of the cardiothoracic ratio on a set; nothing where none was computed."""
    ratio = found.cardiothoracic_ratio
    if ratio is None or ratio.agreement is None:
        return
    agreed = ratio.agreement
    yield ""
    yield (
        f"Cardiothoracic ratio on {name}, {agreed.n} images "
        f"({ratio.not_computed} not computed): mean absolute error {_cell(agreed.mean_absolute_error)}, bias "
        f"{_cell(agreed.bias)}, limits of agreement {agreed.lower_limit:+.3f} to {agreed.upper_limit:+.3f}. "
        f"{RATIO_ANCHOR}"
    )


def _cell(interval: Interval, decimals: int = 3) -> str:
    return f"{interval.mean:.{decimals}f} [{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"
