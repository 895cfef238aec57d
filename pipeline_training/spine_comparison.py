"""A model's vertebrae against those that a reader marked: centres, and the angle of the spine."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ai.availability import trusted_part
from ai.measure_spine import VERTEBRAE, spine_angle, whole_vertebrae
from ai.measurement import Measurement, NotComputed
from ai.segmentation import Segmentation
from pipeline_training.answers import Answer
from pipeline_training.metrics import agreement, bootstrap_interval
from pipeline_training.radiograph_folders import RadiographSet
from pipeline_training.spine_landmarks import SpineReading
from pipeline_training.spine_report import (
    MODEL,
    NEAR,
    AngleResult,
    AngleScore,
    CentreResult,
    CentreScore,
    SpineResult,
)

READERS_PARTS = (("vertebrae T1", "vertebrae T12"), ("vertebrae T1", "vertebrae L5"))
"""First and last of the reader's vertebrae that our method is tried on: what a chest radiograph can show, and
all that are marked."""

REFUSED = "image refused"
NOT_SUPPORTED = "not supported"
NOT_TRUSTED = "not trusted"
NOT_FOUND = "not found"
CUT_OFF = "cut off at the edge of the image"
NOT_MARKED = "the reader marked no vertebrae there"
LEAST_FIELD = 2
"""Vertebrae of the reader's, at least, between which there is an angle."""


@dataclass(frozen=True)
class SpineScore:
    """One image against its landmarks; `angles` are the model's and those of READERS_PARTS."""

    centres: CentreScore
    angles: tuple[AngleScore, ...]
    table_difference: float


def compare_spine(found: RadiographSet, answer: Answer) -> list[SpineScore]:
    """Return the score of one image, or nothing if no spine was marked on it.

    Raises:
        RadiographSetError: If a vertebra was marked outside the image.
    """
    shape = None if answer.radiograph is None else (answer.radiograph.rows, answer.radiograph.columns)
    reading = None if found.spine is None else found.spine.reading(answer.image, shape)
    if reading is None:
        return []
    angles = (_models_angle(reading, answer), *(_readers_angle(reading, answer, p) for p in READERS_PARTS))
    difference = abs(reading.largest_angle(tuple(reading.corners)) - max(reading.cobb))
    return [SpineScore(_centres(reading, answer), angles, difference)]


def spine_result(
    found: RadiographSet, scores: Sequence[SpineScore], resamples: int, seed: int
) -> SpineResult | None:
    """Return the result of a set, given the scores of its images; None if no spine was marked on any."""
    if found.spine is None or not scores:
        return None
    whose = (MODEL, *(f"reader's vertebrae {_levels(part)}, measured by us" for part in READERS_PARTS))
    angles = zip(whose, zip(*(score.angles for score in scores), strict=True), strict=True)
    return SpineResult(
        centres=_centre_result([score.centres for score in scores], resamples, seed),
        angles=tuple(_angle_result(name, each, resamples, seed) for name, each in angles),
        table_difference=max(score.table_difference for score in scores),
        without_picture=found.spine.without_picture,
        unmarked=len(found.images) - len(scores),
    )


def _centres(reading: SpineReading, answer: Answer) -> CentreScore:
    lost = {name: _why_lost(answer.segmentation, name) for name in reading.corners}
    lost = {name: reason for name, reason in lost.items() if reason}
    distances: dict[str, float] = {}
    another: list[str] = []
    if answer.segmentation is not None:
        theirs = np.array([reading.centre(name) for name in reading.corners])
        for place, name in enumerate(reading.corners):
            if name not in lost:
                ways = np.hypot(*(theirs - answer.segmentation.masks[name].centroid).T)
                distances[name] = float(ways[place]) / answer.segmentation.shape[0]
                another += [name] if ways.min() < ways[place] else []
    return CentreScore(answer.image.name, distances, tuple(another), lost)


def _why_lost(segmentation: Segmentation | None, name: str) -> str:
    """Return why a vertebra has no centre, or "": the same that keep it from being measured on."""
    if segmentation is None:
        return REFUSED
    if name in segmentation.unsupported:
        return NOT_SUPPORTED
    if name not in segmentation.masks:
        return NOT_FOUND
    trusted = trusted_part(segmentation)
    if name not in trusted.masks:
        return NOT_TRUSTED
    return "" if name in whole_vertebrae(trusted) else CUT_OFF


def _models_angle(reading: SpineReading, answer: Answer) -> AngleScore:
    """Return our angle beside the reader's, from the first to the last vertebra that ours was measured on."""
    if answer.radiograph is None or answer.segmentation is None:
        return AngleScore(answer.image.name, None, None, reason=REFUSED)
    trusted = trusted_part(answer.segmentation)
    unmarked = set(VERTEBRAE) - set(reading.corners)  # ours may not see more of the spine than the reader
    seen = {name: mask for name, mask in trusted.masks.items() if name not in unmarked}
    result = spine_angle(answer.radiograph, replace(trusted, masks=seen))
    return _angle(reading, answer, result)


def _readers_angle(reading: SpineReading, answer: Answer, part: tuple[str, str]) -> AngleScore:
    """Return our angle of the reader's vertebrae, drawn as masks."""
    if answer.radiograph is None:
        return AngleScore(answer.image.name, None, None, reason=REFUSED)
    shape = (answer.radiograph.rows, answer.radiograph.columns)
    drawn = reading.drawn(_between(reading, part), shape)
    return _angle(reading, answer, spine_angle(answer.radiograph, drawn))


def _angle(reading: SpineReading, answer: Answer, result: Measurement | NotComputed) -> AngleScore:
    if isinstance(result, NotComputed):
        return AngleScore(answer.image.name, None, None, reason=result.reason)
    ends = (result.structures[0], result.structures[-1])
    field = _between(reading, ends)
    if len(field) < LEAST_FIELD:
        return AngleScore(answer.image.name, None, None, reason=NOT_MARKED)
    return AngleScore(answer.image.name, reading.largest_angle(field), result.value, _levels(ends))


def _between(reading: SpineReading, ends: tuple[str, str]) -> tuple[str, ...]:
    """Return the reader's vertebrae from the first to the last of the ends."""
    first, last = (VERTEBRAE.index(name) for name in ends)
    return tuple(name for name in reading.corners if first <= VERTEBRAE.index(name) <= last)


def _levels(ends: tuple[str, str]) -> str:
    first, last = (name.removeprefix("vertebrae ") for name in ends)
    return f"{first} to {last}"


def _centre_result(scores: Sequence[CentreScore], resamples: int, seed: int) -> CentreResult:
    lost = Counter(reason for score in scores for reason in score.not_found.values())
    distances = [distance for score in scores for distance in score.distances.values()]
    means = [float(np.mean(list(score.distances.values()))) for score in scores if score.distances]
    return CentreResult(
        compared=len(distances),
        distance=bootstrap_interval(means, resamples, seed) if means else None,
        near=float(np.mean(np.array(distances) <= NEAR)) if distances else None,
        another_level=sum(len(score.another_level) for score in scores),
        not_found=dict(lost.most_common()),
        images=tuple(scores),
    )


def _angle_result(whose: str, scores: Sequence[AngleScore], resamples: int, seed: int) -> AngleResult:
    pairs = [(s.truth, s.found) for s in scores if s.truth is not None and s.found is not None]
    truth, found = [t for t, _ in pairs], [f for _, f in pairs]
    lost = Counter(score.reason for score in scores if score.found is None)
    return AngleResult(
        vertebrae=whose,
        agreement=agreement(truth, found, resamples, seed) if pairs else None,
        not_computed=dict(lost.most_common()),
        images=tuple(scores),
    )
