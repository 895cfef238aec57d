"""Who is learned from and who is only looked at: by patient, always.

A patient's place is a function of the patient and the seed alone. It does not depend on what else is in the
data, so that it stays when data are added, and so that all volumes, bodies, poses and views of one patient
are on one side.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pipeline_training.dataset import Source
from pipeline_training.errors import DatasetError
from pipeline_training.intake.case import load_case
from pipeline_training.intake.label_map import read_described


def is_held_back(patient: str, share: float, seed: int) -> bool:
    """Return whether a patient is only looked at; so are about `share` of all.

    >>> [is_held_back(name, 0.5, 1) for name in ("anna", "berta", "cecilia", "dora")]
    [True, True, True, False]
    """
    digest = hashlib.sha256(f"{seed}:{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def patient_of(case: Path) -> str:
    """Return whose volume a case is, its name where nothing names a patient; voxels are read only of DICOM.

    Raises:
        VolumeError: If it is no case.
    """
    described = case / "labels.json"
    patient = read_described(described).patient if described.exists() else load_case(case).patient
    return patient or case.name


def split(sources: Sequence[Source], share: float, seed: int) -> tuple[list[Source], list[Source]]:
    """Return what is learned from, and what is held back.

    Raises:
        DatasetError: If a share is to be held back and it, or what is left, is empty.
    """
    taught = [source for source in sources if not is_held_back(source.patient, share, seed)]
    held = [source for source in sources if is_held_back(source.patient, share, seed)]
    if share and not (taught and held):
        side = "held back" if taught else "learned from"
        patients = len({source.patient for source in sources})
        raise DatasetError(
            f"of {patients} patients none is {side} with validation_share {share} and seed {seed}: "
            "take another seed or share, or 0"
        )
    check_no_leak(taught, held)
    return taught, held


def check_no_leak(taught: Sequence[Source], held: Sequence[Source]) -> None:
    """Refuse a split that has a patient on both sides.

    Raises:
        DatasetError: Naming one.
    """
    if both := {source.patient for source in taught} & {source.patient for source in held}:
        raise DatasetError(f"patient {min(both)!r} is on both sides of the split: scores would be flattered")
