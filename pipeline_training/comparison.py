"""A fine-tuned bundle against its parent on corrected images of patients that neither was taught here.

Both answer as the node would, refusals and repairs included, on the image's own grid; a refused image has no
masks. The rule, on paired differences of Dice (fine-tuned minus parent):

* `MEAN`: the mean over images, of the mean over an image's corrected structures, must not be below 0;
* `SINGLE`: no corrected structure may fall by more than 0.01, on average over the images that it is
  corrected in.

And on what nobody corrected, of which no truth is known, but only what the parent finds:

* `AGREEMENT`: the fine-tuned bundle's answer for such a structure and the parent's must have a mean Dice of
  0.9 or more, over the images in which either of them finds it.

The rule looks at means, not at intervals: with the handful of patients that a site holds back, an interval
excludes 0 only for large effects. The intervals are told beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from ai.bundle import Bundle
from ai.errors import RadiographError
from ai.onnx_segmenter import OnnxSegmenter
from ai.radiograph import Radiograph
from ai.segmentation import Mask
from pipeline_training.corrected import Corrected
from pipeline_training.metrics import Interval, bootstrap_interval, dice

MEAN = 0.0
SINGLE = 0.01
"""Of Dice; two readers of one lung differ by more."""

AGREEMENT = 0.9
"""Of Dice. Ours: in the trial of docs/finetuning.md no structure fell below 0.92. Below 0.9 the mask is
another one, and nobody has looked at it."""

NAMED = 5
"""Structures that a refusal names; comparison.json has all."""


@dataclass(frozen=True)
class Pair:
    """One corrected structure of one image (its `Corrected.key`): Dice of both bundles with the mask."""

    image: str
    structure: str
    parent: float
    tuned: float

    @property
    def difference(self) -> float:
        """Above 0 where the fine-tuned bundle is nearer to the corrected mask."""
        return self.tuned - self.parent


@dataclass(frozen=True)
class Change:
    """One structure over the images that it is corrected in."""

    images: int
    parent: float
    tuned: float
    difference: Interval


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came of it.

    Attributes:
        pairs: One for each corrected structure of each image held back; never none.
        agreement: Mean Dice between the two bundles' answers, by structure that nobody corrected: how far
            fine-tuning moved what it was not asked to move.
    """

    pairs: tuple[Pair, ...]
    agreement: dict[str, float]

    def mean_difference(self) -> Interval:
        """Return the mean over images of an image's mean difference, and its bootstrap interval."""
        images = dict.fromkeys(pair.image for pair in self.pairs)
        return bootstrap_interval([_mean([p for p in self.pairs if p.image == image]) for image in images])

    def changes(self) -> dict[str, Change]:
        """Return how each corrected structure changed."""
        names = dict.fromkeys(pair.structure for pair in self.pairs)
        return {name: _change([p for p in self.pairs if p.structure == name]) for name in names}

    def reasons(self) -> tuple[str, ...]:
        """Return why the fine-tuned bundle is worse than its parent; nothing where it is not."""
        mean = self.mean_difference().mean
        found = [f"mean Dice changes by {mean:+.4f}"] if mean < MEAN else []
        found += [
            f"{name} changes by {change.difference.mean:+.4f}"
            for name, change in self.changes().items()
            if change.difference.mean < -SINGLE
        ]
        if moved := self.moved():
            names = ", ".join(f"{name} ({same:.3f})" for name, same in list(moved.items())[:NAMED])
            rest = f" and {len(moved) - NAMED} others" if len(moved) > NAMED else ""
            found.append(
                f"what nobody corrected agrees with the parent's by less than {AGREEMENT:g}: {names}{rest}"
            )
        return tuple(found)

    def moved(self) -> dict[str, float]:
        """Return the agreement of the structures below `AGREEMENT`, the worst first."""
        return {n: same for n, same in sorted(self.agreement.items(), key=itemgetter(1)) if same < AGREEMENT}

    def as_json(self) -> dict[str, Any]:
        """Return the figures; images by their keys."""
        return {
            "rule": f"mean difference of Dice at least {MEAN:g}, no structure below {-SINGLE:g}, structures "
            f"that nobody corrected agree with the parent's to {AGREEMENT:g} or more",
            "worse": list(self.reasons()),
            "mean_difference": asdict(self.mean_difference()),
            "structures": {name: asdict(change) for name, change in self.changes().items()},
            "agreement_of_uncorrected_structures": self.agreement,
            "images": [asdict(pair) for pair in self.pairs],
        }


def compare(
    parent: Bundle, tuned: Bundle, held_back: Sequence[Corrected], structures: Sequence[str]
) -> Comparison:
    """Return both bundles' scores on the images held back.

    A structure that is rightly found to be absent scores 1; where both find that, the pair tells nothing and
    is left out.

    Raises:
        RadiographSetError: If an image cannot be used.
    """
    segmenters = OnnxSegmenter(parent), OnnxSegmenter(tuned)
    pairs: list[Pair] = []
    agreement: dict[str, list[float]] = {}
    for image in held_back:
        drawn = image.read()
        shape = (drawn.radiograph.rows, drawn.radiograph.columns)
        before, after = (_answer(segmenter, drawn.radiograph) for segmenter in segmenters)
        for name in parent.manifest.labels:
            old, new = _dense(before, name, shape), _dense(after, name, shape)
            if name in structures and name in drawn.masks:
                pairs += _pair(image.key, name, dice(drawn.dense(name), old), dice(drawn.dense(name), new))
            elif name not in structures and (same := dice(old, new)) is not None:
                agreement.setdefault(name, []).append(same)
    return Comparison(tuple(pairs), {name: float(np.mean(each)) for name, each in agreement.items()})


def _answer(segmenter: OnnxSegmenter, radiograph: Radiograph) -> dict[str, Mask]:
    """Return what the node would send: nothing where it would refuse the image."""
    try:
        return dict(segmenter.segment([radiograph])[0].masks)
    except RadiographError:
        return {}


def _dense(masks: dict[str, Mask], name: str, shape: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return masks[name].dense(shape) if name in masks else np.zeros(shape, np.bool_)


def _pair(image: str, structure: str, parent: float | None, tuned: float | None) -> Iterator[Pair]:
    if parent is None and tuned is None:
        return
    yield Pair(image, structure, 1.0 if parent is None else parent, 1.0 if tuned is None else tuned)


def _mean(pairs: Sequence[Pair]) -> float:
    return float(np.mean([pair.difference for pair in pairs]))


def _change(pairs: Sequence[Pair]) -> Change:
    return Change(
        len(pairs),
        float(np.mean([pair.parent for pair in pairs])),
        float(np.mean([pair.tuned for pair in pairs])),
        bootstrap_interval([pair.difference for pair in pairs]),
    )
