"""Fits, and checks, the curves by which a bundle says how far its masks may be trusted.

The curves (`ai.uncertainty.Reliability`) are fitted on looks at projections and radiographs whose truth is
known, half of them spoilt in a way that happens to films, because a model that is only asked about good
pictures never learns what failing looks like.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from rich.table import Table
from scipy import optimize, stats

from ai.bundle import Bundle
from ai.manifest import Manifest
from ai.onnx_segmenter import OnnxSegmenter
from ai.postprocess import cutoff_of
from ai.segmentation import ModelIdentity
from ai.uncertainty import LEAST_PROBABILITY, Reliability, expected_dice, log_odds
from pipeline_training.dataset import FRONTAL, Sample, Source, make_sample
from pipeline_training.errors import EvaluationError
from pipeline_training.projections import NAMES
from pipeline_training.spoil import SPOILERS, spoilt

SEED = 40_000_000
"""Looks are drawn from here; training draws from the seed of its run."""

BAR = 0.7
BARS: Mapping[str, float] = MappingProxyType(
    {"visible lung right": 0.9, "visible lung left": 0.9, "right lung": 0.9, "left lung": 0.9, "heart": 0.85}
)
"""Dice that a mask should reach to be measured on: where structures are large their edges must be right, or
widths and areas are wrong; BAR for all others."""

SPOILT_SHARE = 0.5
RIDGE = 0.02
"""Weight of the squared slopes in the fit: keeps curves of structures that never fail finite."""

LEAST_LOOKS = 20
"""A structure seen in fewer looks gets no curve."""


@dataclass(frozen=True)
class Sign:
    """What was read off the network about one structure of one look, and how right its mask was."""

    structure: str
    expected: float
    agreement: float
    dice: float


@dataclass(frozen=True, eq=False)
class Answered:
    """What a segmenter says of one sample, beside what is true; nothing where the sample does not tell.

    Attributes:
        found: bool (L, G, G), L in the order of the manifest's labels.
        truth: Likewise.
        signs: Of every structure that is known and was found.
    """

    found: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.bool_]
    signs: tuple[Sign, ...]


def answered(segmenter: OnnxSegmenter, sample: Sample) -> Answered:
    """Ask a segmenter about a sample that was made for its labels, in their order, at its input size."""
    manifest = segmenter.manifest
    (output,) = segmenter.infer(sample.image[None].numpy(), [sample.film.numpy()])
    if output.agreement is None:
        raise EvaluationError("the bundle states no reliability: its network is not asked twice")
    cutoffs = np.array([cutoff_of(manifest.thresholds[name]) for name in manifest.labels], np.float32)
    finer = output.logits.shape[-1] // sample.told.shape[-1]
    told = enlarged(sample.truths.numpy(), finer)
    found = (output.logits > cutoffs[:, None, None]) & told
    truth = enlarged(sample.target.numpy() > 0.5, finer) & told
    sizes = found.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
    dice = 2 * (found & truth).sum(axis=(1, 2)) / np.maximum(sizes, 1)
    expected = expected_dice(output.logits, cutoffs)
    signs = tuple(
        Sign(name, float(expected[i]), float(output.agreement[i]), float(dice[i]))
        for i, name in enumerate(manifest.labels)
        if sample.known[i] and found[i].any()
    )
    return Answered(found, truth, signs)


def enlarged(masks: npt.NDArray[np.bool_], factor: int) -> npt.NDArray[np.bool_]:
    """Return masks (..., G, G) with every cell repeated `factor` times along both axes."""
    return masks.repeat(factor, axis=-2).repeat(factor, axis=-1)


def fit(bundle: Bundle, sources: Sequence[Source], looks: int, seed: int = SEED) -> Bundle:
    """Return the bundle with a curve for every structure that is found often enough.

    Args:
        bundle: Its weights are asked.
        sources: With known truth; frontal ones are taken, in turn.
        looks: How many in all.
        seed: Draws them.
    """
    asked = OnnxSegmenter(replace(bundle, manifest=_with_any_curve(bundle)))
    seen: dict[str, list[Sign]] = {name: [] for name in bundle.manifest.labels}
    for sign in _looks(asked, sources, looks, seed):
        seen[sign.structure].append(sign)
    curves = {
        name: fit_curve(each, BARS.get(name, BAR)) for name, each in seen.items() if len(each) >= LEAST_LOOKS
    }
    return replace(bundle, manifest=replace(bundle.manifest, reliability=curves))


def _with_any_curve(bundle: Bundle) -> Manifest:
    return replace(
        bundle.manifest, reliability=dict.fromkeys(bundle.manifest.labels, Reliability(BAR, 0.0, 1.0, 1.0))
    )


def _looks(segmenter: OnnxSegmenter, sources: Sequence[Source], looks: int, seed: int) -> Iterator[Sign]:
    frontal = [source for source in sources if source.view == FRONTAL]
    labels = [NAMES.index(name) for name in segmenter.manifest.labels]
    ways = list(SPOILERS)
    for look in range(looks):
        generator = np.random.default_rng([seed, look])
        source = frontal[look * len(frontal) // looks]
        if generator.random() < SPOILT_SHARE:
            sample = spoilt(
                source, str(generator.choice(ways)), labels, segmenter.manifest.input_size, generator
            )
        else:
            sample = make_sample(source, labels, segmenter.manifest.input_size, generator)
        yield from answered(segmenter, sample).signs


def fit_curve(seen: Sequence[Sign], bar: float) -> Reliability:
    """Return the logistic curve of most likelihood, slopes not below 0 and held small by a ridge.

    Where every mask passes the bar, or none does, the intercept is that of one more that did otherwise.
    """
    rows = np.array([[log_odds(each.expected), log_odds(each.agreement)] for each in seen])
    passed = np.array([each.dice >= bar for each in seen], np.float64)
    rows = np.vstack([rows, rows.mean(axis=0), rows.mean(axis=0)])
    passed = np.append(passed, [0.0, 1.0])

    def cost(w: npt.NDArray[np.float64]) -> float:
        odds = w[0] + rows @ w[1:]
        return float((np.logaddexp(0, odds) - passed * odds).mean() + RIDGE * (w[1:] ** 2).sum())

    found = optimize.minimize(cost, np.zeros(3), bounds=[(None, None), (0, None), (0, None)])
    intercept, expected, agreement = (float(value) for value in found.x)
    return Reliability(bar, intercept, expected, agreement)


@dataclass(frozen=True)
class Ranking:
    """How well trust told right masks from wrong ones, for a structure of a set, spoilt in one way or not.

    Attributes:
        set_name: Where the pictures come from.
        structure: Label name.
        spoilt: A key of SPOILERS, or "" for pictures as they are.
        n: Masks.
        probability: Mean of what was said.
        share: That passed the bar.
        dice: Mean.
        rank_correlation: Spearman's, of probability and Dice; None if one of them does not vary.
        accepted: How many were trusted.
        accepted_dice: Their mean Dice; None if none was.
        refused_dice: Of the others.
    """

    set_name: str
    structure: str
    spoilt: str
    n: int
    probability: float
    share: float
    dice: float
    rank_correlation: float | None
    accepted: int
    accepted_dice: float | None
    refused_dice: float | None


@dataclass(frozen=True)
class Check:
    """A bundle's trust in itself, put to the test."""

    model: ModelIdentity
    rankings: tuple[Ranking, ...]

    def to_json(self) -> str:
        """Return every figure as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def check(bundle: Bundle, sets: Mapping[str, Sequence[Source]], seed: int = SEED) -> Check:
    """Return how a bundle's trust ranks its errors, on pictures as they are and on spoilt ones.

    Args:
        bundle: With curves.
        sets: Sources by the name of their set, which the curves were not fitted on.
        seed: Draws how they are spoilt.

    Raises:
        EvaluationError: If the bundle has no curves.
    """
    segmenter = OnnxSegmenter(bundle)
    labels = [NAMES.index(name) for name in bundle.manifest.labels]
    rankings: list[Ranking] = []
    for name, sources in sets.items():
        for how in ("", *SPOILERS):
            seen: dict[str, list[Sign]] = {}
            for number, source in enumerate(sources):
                generator = np.random.default_rng([seed, number])
                sample = spoilt(source, how, labels, bundle.manifest.input_size, generator)
                for sign in answered(segmenter, sample).signs:
                    seen.setdefault(sign.structure, []).append(sign)
            rankings += [
                _ranking(name, how, each, bundle.manifest.reliability[structure])
                for structure, each in seen.items()
                if structure in bundle.manifest.reliability
            ]
    return Check(bundle.identity, tuple(rankings))


def _ranking(set_name: str, how: str, seen: Sequence[Sign], curve: Reliability) -> Ranking:
    said = np.array([curve.probability(each.expected, each.agreement) for each in seen])
    dice = np.array([each.dice for each in seen])
    trusted = said >= LEAST_PROBABILITY
    varies = len(seen) > 2 and np.ptp(said) > 0 and np.ptp(dice) > 0
    return Ranking(
        set_name=set_name,
        structure=seen[0].structure,
        spoilt=how,
        n=len(seen),
        probability=float(said.mean()),
        share=float((dice >= curve.bar).mean()),
        dice=float(dice.mean()),
        rank_correlation=float(stats.spearmanr(said, dice).statistic) if varies else None,
        accepted=int(trusted.sum()),
        accepted_dice=float(dice[trusted].mean()) if trusted.any() else None,
        refused_dice=float(dice[~trusted].mean()) if not trusted.all() else None,
    )


def check_table(found: Check) -> Table:
    """Return a line for each structure of each set and way of spoiling."""
    table = Table("set", "structure", "spoilt", "n", "P", "passed", "Dice", "rank", "accepted", "refused")
    for each in found.rankings:
        table.add_row(
            each.set_name,
            each.structure,
            each.spoilt or "-",
            str(each.n),
            f"{each.probability:.2f}",
            f"{each.share:.2f}",
            f"{each.dice:.3f}",
            _figure(each.rank_correlation),
            f"{each.accepted}: {_figure(each.accepted_dice)}",
            f"{each.n - each.accepted}: {_figure(each.refused_dice)}",
        )
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
