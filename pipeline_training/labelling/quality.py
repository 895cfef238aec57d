"""Which structures of a labelled volume are sound, and whether the volume may be used at all.

What is dropped becomes unknown: its voxels are background and its name leaves the vocabulary, so that nothing
is learned of it, neither that it is there nor that it is not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import VolumeError
from pipeline_training.labelling.long_bones import CLAVICLES, misshapen, shape_of
from pipeline_training.labelling.plausible import LUNGS_ML, MAY_BE_ABSENT, Range, plausible_ml
from pipeline_training.labelling.prior_vertebrae import LEVELS
from pipeline_training.volumes import LUNGS, MAX_LABEL, LabelMap, check_orientation

RIBS = tuple(f"rib_{side}_{number}" for side in ("left", "right") for number in range(1, 13))
MIN_RIBS = 16
"""Of 24; with fewer, numbers cannot be trusted. Source: the filter "too few predicted ribs" of PAX-Ray++."""

MAX_GAPS = 2
"""Levels missing between the first and the last vertebra, beyond which numbers cannot be trusted."""

MIN_AGREEMENT = 0.6
"""Dice of the labellers with each other, below which a structure is believed of none of them."""

MIN_CONFIDENCE = 0.5
"""Mean over a structure's voxels."""

BONES = (
    "rib_left",
    "rib_right",
    "vertebrae_",
    "sternum",
    "scapula_",
    "clavicula_",
    "humerus_",
    "hip_",
    "sacrum",
)
MIN_BONE_SHARE = 0.3
"""Of a bone's voxels that are bone by their density. On lidc_0001 every bone has 0.56 or more, the median is
0.92; ribs moved by 12 mm have 0.16 or less."""

MAX_DROPPED_SHARE = 0.6
"""Of the structures found; where more are unsound, the rest is not believed either."""


class Verdict(StrEnum):
    """What becomes of a volume."""

    KEPT = "kept"
    PARTLY = "kept with its sound structures only"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Quality:
    """The judgement of one labelled volume.

    Attributes:
        verdict: What becomes of it.
        reasons: Why it is rejected, in words; empty where it is not.
        dropped: Reason by structure that becomes unknown.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    dropped: Mapping[str, str]


def judge(
    volume: LabelMap,
    agreement: Mapping[str, float] | None = None,
    confidence: npt.NDArray[np.float32] | None = None,
    skeleton: npt.NDArray[np.bool_] | None = None,
) -> Quality:
    """Judge a volume after the anatomical priors.

    Args:
        volume: Labelled.
        agreement: Dice of the labellers with each other by structure, where several know it.
        confidence: In [0, 1], of the volume's shape.
        skeleton: What is bone by its density, of the volume's shape.
    """
    dropped: dict[str, str] = {}
    for found in (
        _missing(volume), _too_few_ribs(volume), _gaps(volume), _out_of_range(volume),
        _misshapen(volume), _disputed(volume, agreement or {}), _unsure(volume, confidence),
        _no_bone(volume, skeleton),
    ):  # fmt: skip
        for name, reason in found:
            dropped.setdefault(name, reason)
    reasons = tuple(_against(volume, dropped))
    verdict = Verdict.REJECTED if reasons else Verdict.PARTLY if dropped else Verdict.KEPT
    return Quality(verdict, reasons, dropped)


def keep_sound(volume: LabelMap, quality: Quality) -> LabelMap:
    """Return the volume without what was dropped, of which nothing is known from then on."""
    labels = volume.labels.copy()
    gone = np.zeros(MAX_LABEL + 1, np.bool_)
    gone[volume.ids(*quality.dropped)] = True
    labels[gone[labels]] = 0
    names = {number: name for number, name in volume.names.items() if name not in quality.dropped}
    return replace(volume, labels=labels, names=names, vocabulary=_told(volume) - set(quality.dropped))


Findings = Iterator[tuple[str, str]]
"""(structure, why it is not sound)."""


def _told(volume: LabelMap) -> frozenset[str]:
    return volume.vocabulary | set(volume.names.values())


def _missing(volume: LabelMap) -> Findings:
    for name in sorted(volume.absent):
        if not name.startswith(MAY_BE_ABSENT):
            yield name, "not found, though everybody has it"


def _too_few_ribs(volume: LabelMap) -> Findings:
    found = [name for name in RIBS if name in volume.names.values()]
    if 0 < len(found) < MIN_RIBS:
        for name in found:
            yield name, f"too few ribs: {len(found)} of {len(RIBS)}, at least {MIN_RIBS} are needed"


def _gaps(volume: LabelMap) -> Findings:
    found = [place for place, name in enumerate(LEVELS) if name in volume.names.values()]
    gaps = found[-1] - found[0] + 1 - len(found) if found else 0
    if gaps > MAX_GAPS:
        for place in found:
            yield LEVELS[place], f"{gaps} levels of the spine are missing in between"


def _out_of_range(volume: LabelMap) -> Findings:
    sizes, cut = volumes_ml(volume), cut_structures(volume)
    for name in sorted(sizes):
        allowed = plausible_ml(name)
        if allowed is not None and (reason := _outside(sizes[name], allowed, name in cut)):
            yield name, reason


def _outside(ml: float, allowed: Range, cut: bool) -> str:
    low = 0.0 if cut else allowed.low
    if low <= ml <= allowed.high:
        return ""
    return f"volume out of range: {ml:.1f} ml, plausible are {low:g} to {allowed.high:g} ml"


def _misshapen(volume: LabelMap) -> Findings:
    cut = cut_structures(volume)
    for name in sorted(name for name in set(volume.names.values()) if name.startswith(CLAVICLES)):
        mask = volume.mask(name)
        if mask.any() and (reason := misshapen(shape_of(mask, volume.spacing_mm), name in cut)):
            yield name, reason


def _disputed(volume: LabelMap, agreement: Mapping[str, float]) -> Findings:
    for name in sorted(set(volume.names.values()) & set(agreement)):
        if agreement[name] < MIN_AGREEMENT:
            yield name, f"the labellers disagree: Dice {agreement[name]:.2f}, needed is {MIN_AGREEMENT}"


def _unsure(volume: LabelMap, confidence: npt.NDArray[np.float32] | None) -> Findings:
    if confidence is None:
        return
    counts = np.bincount(volume.labels.ravel(), minlength=MAX_LABEL + 1)
    sums = np.bincount(volume.labels.ravel(), confidence.ravel(), MAX_LABEL + 1)
    for number, name in sorted(volume.names.items()):
        mean = sums[number] / max(int(counts[number]), 1)
        if counts[number] and mean < MIN_CONFIDENCE:
            yield name, f"mean confidence {mean:.2f}, needed is {MIN_CONFIDENCE}"


def _no_bone(volume: LabelMap, skeleton: npt.NDArray[np.bool_] | None) -> Findings:
    if skeleton is None:
        return
    counts = np.bincount(volume.labels.ravel(), minlength=MAX_LABEL + 1)
    dense = np.bincount(volume.labels[skeleton], minlength=MAX_LABEL + 1)
    for number, name in sorted(volume.names.items()):
        share = dense[number] / max(int(counts[number]), 1)
        if counts[number] and name.startswith(BONES) and share < MIN_BONE_SHARE:
            yield name, f"only {share:.0%} of it is as dense as bone, needed are {MIN_BONE_SHARE:.0%}"


def _against(volume: LabelMap, dropped: Mapping[str, str]) -> Iterator[str]:
    """Yield what speaks against the whole volume."""
    try:
        check_orientation(volume)
    except VolumeError as exc:
        yield str(exc)
    sizes = volumes_ml(volume)
    lungs = sum(sizes.get(name, 0.0) for name in LUNGS)
    cut = bool(cut_structures(volume) & set(LUNGS))
    if not lungs:
        yield "no lungs were found"
    elif reason := _outside(lungs, LUNGS_ML, cut):
        yield f"lungs: {reason}"
    found = set(volume.names.values())
    if found and len(found & set(dropped)) > MAX_DROPPED_SHARE * len(found):
        yield f"{len(found & set(dropped))} of {len(found)} structures are unsound"


def volumes_ml(volume: LabelMap) -> dict[str, float]:
    """Return the volume of each structure that has voxels."""
    counts = np.bincount(volume.labels.ravel(), minlength=MAX_LABEL + 1)
    ml = volume.spacing_mm**3 / 1000
    return {name: float(counts[number] * ml) for number, name in volume.names.items() if counts[number]}


def cut_structures(volume: LabelMap) -> frozenset[str]:
    """Return the structures that touch an edge of the volume: part of them may lie outside."""
    labels = volume.labels
    faces = [labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
    touching = {int(number) for face in faces for number in np.unique(face)}
    return frozenset(name for number, name in volume.names.items() if number in touching)
