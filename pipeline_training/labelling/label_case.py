"""One CT, labelled: the labellers' answers merged, repaired by anatomy, judged, and written as a case.

A folder that holds `report.json` is done; it comes last, so that a labelling that was cut off is made again.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline_training.case_writer import write_case, write_volume
from pipeline_training.errors import LabellerError, OutputError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.consensus import Consensus, agree
from pipeline_training.labelling.labeller import Labeller, LabelVote
from pipeline_training.labelling.priors import apply_priors
from pipeline_training.labelling.quality import Quality, Verdict, judge, keep_sound
from pipeline_training.labelling.rules import bone
from pipeline_training.labelling.wholes import PARTS
from pipeline_training.volumes import LabelMap

REPORT = "report.json"


@dataclass(frozen=True, eq=False)
class Labelled:
    """A CT with the labels that are believed, and how they came about.

    Attributes:
        volume: Labels, CT, and the vocabulary that is left.
        confidence: float32 in [0, 1] of its shape; None where the labels are a person's.
        quality: The judgement; where it says rejected, the volume is not for training.
        changes: What the anatomical priors changed.
        labellers: Seconds by labeller that answered.
        failures: Labellers that could not answer, in words.
        agreement: Dice of the labellers with each other, by structure.
    """

    volume: LabelMap
    confidence: npt.NDArray[np.float32] | None
    quality: Quality
    changes: tuple[str, ...]
    labellers: Mapping[str, float]
    failures: tuple[str, ...]
    agreement: Mapping[str, float]


def label_case(ct: CtVolume, labellers: Sequence[Labeller]) -> Labelled:
    """Return the CT labelled by all labellers that can.

    Raises:
        LabellerError: If none of them can answer.
    """
    votes, seconds, failures = _votes(ct, labellers)
    if not votes:
        raise LabellerError(f"{ct.case}: no labeller could answer: {'; '.join(failures)}")
    consensus = agree(votes)
    repaired = apply_priors(_as_label_map(ct, consensus))
    quality = judge(repaired.volume, consensus.agreement, consensus.confidence, _skeleton(ct))
    volume = keep_sound(repaired.volume, quality)
    return Labelled(
        volume, consensus.confidence, quality, repaired.changes, seconds, failures, consensus.agreement
    )


def repair_case(volume: LabelMap) -> Labelled:
    """Return a volume that has labels already, repaired and judged as those of labellers are."""
    repaired = apply_priors(volume)
    ct = None if volume.hu is None else CtVolume(volume.case, volume.hu, volume.spacing_mm, volume.patient)
    quality = judge(repaired.volume, skeleton=None if ct is None else _skeleton(ct))
    return Labelled(keep_sound(repaired.volume, quality), None, quality, repaired.changes, {}, (), {})


def _votes(
    ct: CtVolume, labellers: Sequence[Labeller]
) -> tuple[list[LabelVote], dict[str, float], tuple[str, ...]]:
    votes, seconds, failures = [], {}, []
    for labeller in labellers:
        begun = time.monotonic()
        try:
            votes.append(labeller.label(ct))
        except LabellerError as exc:
            failures.append(f"{labeller.name}: {exc}")
        else:
            seconds[labeller.name] = round(time.monotonic() - begun, 2)
    return votes, seconds, tuple(failures)


def _skeleton(ct: CtVolume) -> npt.NDArray[np.bool_] | None:
    try:
        return bone(ct)
    except LabellerError:  # no body: nothing can be said of its bones
        return None


def _as_label_map(ct: CtVolume, consensus: Consensus) -> LabelMap:
    found = set(consensus.names.values())
    told_by_parts = {whole for whole, parts in PARTS.items() if whole not in found and parts & found}
    known = consensus.vocabulary - told_by_parts
    return LabelMap(ct.case, consensus.labels, consensus.names, ct.hu, ct.spacing_mm, ct.patient, known)


def is_done(folder: Path) -> bool:
    """Return whether a case was labelled to its end."""
    return (folder / REPORT).is_file()


def write_labelled(folder: Path, labelled: Labelled) -> None:
    """Write labels, names, CT, confidence (0 to 255) and the report; a rejected volume only its report.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if labelled.quality.verdict is not Verdict.REJECTED:
            if labelled.confidence is not None:
                shares = np.rint(np.clip(labelled.confidence, 0, 1) * 255).astype(np.uint8)
                write_volume(folder / "confidence.nii.gz", shares, labelled.volume.spacing_mm)
            write_case(folder, labelled.volume)
        text = json.dumps(report(labelled), indent=1)
        (folder / REPORT).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write the case {folder}: {exc}") from exc


def report(labelled: Labelled) -> dict[str, object]:
    """Return what happened to a case, ready for JSON."""
    quality, volume = labelled.quality, labelled.volume
    return {
        "case": volume.case,
        "verdict": str(quality.verdict),
        "reasons": list(quality.reasons),
        "present": sorted(volume.names.values()),
        "absent": sorted(volume.absent),
        "dropped": dict(quality.dropped),
        "changes": list(labelled.changes),
        "labellers_s": dict(labelled.labellers),
        "failures": list(labelled.failures),
        "agreement": {name: round(dice, 4) for name, dice in sorted(labelled.agreement.items())},
    }
