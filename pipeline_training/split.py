"""Who is learned from and who is only looked at: by patient, always.

A patient's place is a function of the patient and the seed alone. It does not depend on what else is in the
data, so that it stays when data are added, and so that all volumes, bodies, poses and views of one patient
are on one side.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pipeline_training.dataset import Source
from pipeline_training.errors import DatasetError


def is_held_back(patient: str, share: float, seed: int) -> bool:
    """Return whether a patient is only looked at; so are about `share` of all.

    >>> [is_held_back(name, 0.5, 1) for name in ("anna", "berta", "cecilia", "dora")]
    [True, True, True, False]
    """
    digest = hashlib.sha256(f"{seed}:{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def patient_of(case: Path) -> str:
    """Return whose volume a case folder holds, its voxels not read; the case where labels.json names nobody.

    Raises:
        DatasetError: If it is no case.
    """
    try:
        described = json.loads((case / "labels.json").read_text(encoding="utf-8"))
        return str(described.get("patient") or case.name)
    except (OSError, ValueError, AttributeError) as exc:
        raise DatasetError(f"{case} is not a case with a labels.json: {exc}") from exc


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
