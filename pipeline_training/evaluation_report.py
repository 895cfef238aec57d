"""What an evaluation found, as values, as JSON and as a table."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from ai.segmentation import ModelIdentity
from pipeline_training.metrics import COVERAGE, Agreement, Interval
from pipeline_training.spine_report import (
    SPINE_DEFINITIONS,
    SpineResult,
    spine_figures,
    spine_remarks,
)

HAUSDORFF95 = "larger of the two directed 95th percentile border distances, pixels of the image as stored"
DEFINITIONS: Mapping[str, str] = {
    "dice": "2 |A and B| / (|A| + |B|)",
    "iou": "|A and B| / |A or B|",
    "hausdorff95_px": HAUSDORFF95,
    "interval": f"{COVERAGE:.0%} percentile bootstrap over images",
    "answered": "images that the model did not refuse",
    "with_refusals": "all annotated images; a refused one scores Dice 0, IoU 0 and the image's diagonal",
    "empty": "one mask empty: Dice 0, IoU 0, the image's diagonal; both empty: not counted",
    "limits": "bias plus and minus 1.96 standard deviations of found - truth",
    **SPINE_DEFINITIONS,
}
"""What the figures mean; written into every report."""


@dataclass(frozen=True)
class Score:
    """One structure of one image; a refused image scores as if nothing had been found.

    `uncut_dice` is that of our whole mask, where a `Reading` cuts it before it is compared.
    """

    image: str
    dice: float
    iou: float
    hausdorff95_px: float
    refused: bool = False
    uncut_dice: float | None = None


@dataclass(frozen=True)
class Summary:
    """Means over images; n is how many."""

    n: int
    dice: Interval
    iou: Interval
    hausdorff95_px: Interval


@dataclass(frozen=True)
class StructureResult:
    """One mask folder of one set, or both of a pair as one.

    Attributes:
        structure: Name of the mask folder, or what `compared.Compared` calls the pair.
        labels: Ours whose union was compared.
        unsupported: Those of them that the model was not trained for. If it is all, nothing was scored.
        note: Where the reader's drawing differs by intention.
        answered: Over images that were not refused; None if there is none.
        with_refusals: Over all annotated images; None if there is none.
        images: One score for each image, refused ones included.
        empty: Images that neither the reader nor the model (or its refusal) has the structure in; not scored.
    """

    structure: str
    labels: tuple[str, ...]
    unsupported: tuple[str, ...]
    note: str
    answered: Summary | None
    with_refusals: Summary | None
    images: tuple[Score, ...]
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """An image that the model, or the reading of it, refused, and why."""

    image: str
    reason: str


@dataclass(frozen=True)
class RatioScore:
    """The cardiothoracic ratio of one image; `found` is None where it was not computed, `reason` says why."""

    image: str
    truth: float
    found: float | None
    reason: str = ""


@dataclass(frozen=True)
class RatioResult:
    """The cardiothoracic ratio over a set; agreement is None where none was computed."""

    agreement: Agreement | None
    not_computed: int
    images: tuple[RatioScore, ...]


@dataclass(frozen=True)
class SetResult:
    """One set; sets are never pooled. `patients` numbers the patient of each image; empty if nobody said.

    `spine` is None where no reader marked vertebrae.
    """

    name: str
    images: int
    refusals: tuple[Refusal, ...]
    structures: tuple[StructureResult, ...]
    cardiothoracic_ratio: RatioResult | None
    patients: Mapping[str, int] = field(default_factory=dict)
    spine: SpineResult | None = None


@dataclass(frozen=True)
class Evaluation:
    """A model on sets of radiographs.

    Attributes:
        model: The weights.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        sets: In order of name.
    """

    model: ModelIdentity
    resamples: int
    seed: int
    sets: tuple[SetResult, ...]

    @property
    def spines(self) -> tuple[tuple[str, SpineResult], ...]:
        """Name and result of the sets with landmarks of the spine."""
        return tuple((found.name, found.spine) for found in self.sets if found.spine is not None)

    def to_json(self) -> str:
        """Return the report: the values as they are, with the definitions of the figures."""
        return (
            json.dumps({"definitions": dict(DEFINITIONS), **asdict(self)}, indent=1, ensure_ascii=False)
            + "\n"
        )

    def figures(self) -> dict[str, Any]:
        """Return the means without the images, by set and structure: what a manifest's `metrics` carries."""
        return {found.name: _figures(found) for found in self.sets}


def score_table(evaluation: Evaluation) -> Table:
    """Return Dice, IoU and 95 % Hausdorff distance for each set and structure."""
    table = Table(
        "set", "structure", "compared with", title=f"{evaluation.model.id} {evaluation.model.version}"
    )
    for heading in ("n", "Dice", "IoU", "HD95 px", "refused", "Dice with refusals"):
        table.add_column(heading, justify="right", no_wrap=True)
    for found in evaluation.sets:
        for structure in found.structures:
            table.add_row(found.name, *_score_cells(structure))
        table.add_section()
    return table


def ratio_table(evaluation: Evaluation) -> Table:
    """Return the agreement of cardiothoracic ratios for each set that has them."""
    table = Table("set", title="cardiothoracic ratio")
    for heading in ("n", "not computed", "mean absolute error", "bias", "limits of agreement"):
        table.add_column(heading, justify="right", no_wrap=True)
    for found in evaluation.sets:
        if found.cardiothoracic_ratio is not None:
            table.add_row(found.name, *_ratio_cells(found.cardiothoracic_ratio))
    return table


def remarks(sets: Sequence[SetResult]) -> Iterator[str]:
    """Yield a line for each thing that the tables do not say: refusals, notes, unsupported labels."""
    for found in sets:
        if found.refusals:
            (reason, times), *_ = Counter(refusal.reason for refusal in found.refusals).most_common(1)
            refused = f"{found.name}: {len(found.refusals)} of {found.images} images refused"
            yield f"{refused}, {times} of them: {reason}"
        elif not found.structures and found.spine is None:
            yield f"{found.name}: none of {found.images} images refused; no masks to compare"
        for structure in found.structures:
            if structure.unsupported:
                yield f"{found.name}/{structure.structure}: not supported: {', '.join(structure.unsupported)}"
            if structure.note and structure.with_refusals is not None:
                yield f"{found.name}/{structure.structure}: {structure.note}"
        if found.spine is not None:
            yield from spine_remarks(found.name, found.spine)


def _figures(found: SetResult) -> dict[str, Any]:
    scores = {
        s.structure: {
            "labels": s.labels,
            "note": s.note,
            "answered": _plain(s.answered),
            "with_refusals": _plain(s.with_refusals),
        }
        for s in found.structures
        if s.with_refusals is not None
    }
    ratio = found.cardiothoracic_ratio
    agreed = {} if ratio is None else {"cardiothoracic_ratio": _plain(ratio.agreement)}
    spine = {} if found.spine is None else {"spine": spine_figures(found.spine)}
    return {"images": found.images, "refused": len(found.refusals), "structures": scores, **agreed, **spine}


def _plain(value: Summary | Agreement | None) -> dict[str, Any] | None:
    return None if value is None else asdict(value)


def _score_cells(result: StructureResult) -> tuple[str, ...]:
    names = " + ".join(result.labels)
    refused = str(sum(score.refused for score in result.images))
    if result.with_refusals is None:
        return (
            result.structure,
            names,
            "0",
            *["not supported" if result.unsupported else "-"] * 3,
            refused,
            "-",
        )
    if result.answered is None:
        return result.structure, names, "0", "-", "-", "-", refused, _cell(result.with_refusals.dice)
    means = (result.answered.dice, result.answered.iou)
    distance = _cell(result.answered.hausdorff95_px, decimals=1)
    everything = _cell(result.with_refusals.dice)
    return result.structure, names, str(result.answered.n), *map(_cell, means), distance, refused, everything


def _ratio_cells(result: RatioResult) -> tuple[str, ...]:
    if result.agreement is None:
        return "0", str(result.not_computed), "-", "-", "-"
    found = result.agreement
    limits = f"{found.lower_limit:+.3f} to {found.upper_limit:+.3f}"
    return (
        str(found.n),
        str(result.not_computed),
        _cell(found.mean_absolute_error),
        _cell(found.bias),
        limits,
    )


def _cell(interval: Interval, decimals: int = 3) -> str:
    if interval.low == interval.high:  # a single image, or all alike: nothing is known of the spread
        return f"{interval.mean:.{decimals}f}"
    return f"{interval.mean:.{decimals}f} [{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"
