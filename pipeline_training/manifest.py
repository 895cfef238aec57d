"""What a data set of projections holds: one line of JSON for each file, in a manifest for each case.

A case's manifest is written when the case is complete. So cases can be made by any number of processes, the
data set is the sum of its complete folders, and a change in one of its files is found.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_training.errors import DatasetError

MANIFEST_FILE = "manifest.jsonl"


@dataclass(frozen=True)
class Entry:
    """One projection.

    Attributes:
        file: Its path below the data set's folder, with "/".
        case: The volume that it was made from.
        patient: The unit that data are split by.
        body: Number of the body; 0 is the scanned one.
        pose: Number of the pose of this body.
        view: "frontal" or "lateral".
        geometry: The pose in millimetres and degrees, see `pipeline_training.geometry.Pose`.
        known: Ids (ai/labels.csv) of the structures of which it tells something.
        sha256: Of the file.
    """

    file: str
    case: str
    patient: str
    body: int
    pose: int
    view: str
    geometry: dict[str, Any]
    known: tuple[int, ...]
    sha256: str


def entry_of(file: Path, folder: Path) -> Entry:
    """Return what the manifest of the data set in `folder` says of a file.

    Raises:
        DatasetError: If it cannot be read.
    """
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        with np.load(file) as arrays:
            described = json.loads(str(arrays["described"]))
            known = tuple(int(i) for i in np.flatnonzero(arrays["known"]))
        body, pose = (int(number) for number in file.stem.split("_"))
        view = "lateral" if described["lateral"] else "frontal"
        name = file.relative_to(folder).as_posix()
        return Entry(
            name, described["case"], described["patient"], body, pose, view, described["pose"], known, digest
        )
    except (OSError, ValueError, KeyError) as exc:
        raise DatasetError(f"{file} is not a projection of a data set: {exc}") from exc


def write_manifest(folder: Path, entries: Sequence[Entry]) -> None:
    """Write a case's manifest into its folder; it appears only when it is complete."""
    torn = folder / (MANIFEST_FILE + ".part")
    lines = (json.dumps(asdict(entry), sort_keys=True) for entry in entries)
    torn.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    torn.rename(folder / MANIFEST_FILE)


def read_manifest(folder: Path, check: bool = True) -> tuple[Entry, ...]:
    """Return all entries of a data set, case after case.

    Args:
        folder: Of the data set.
        check: Read every file and compare it with its entry.

    Raises:
        DatasetError: If there is no manifest, a line cannot be read, or a file is missing or changed.
    """
    manifests = sorted(folder.glob(f"*/{MANIFEST_FILE}"))
    if not manifests:
        raise DatasetError(f"{folder} holds no complete case: no {MANIFEST_FILE} in any folder")
    entries = tuple(entry for path in manifests for entry in _lines(path))
    for entry in entries if check else ():
        _check(folder, entry)
    return entries


def _lines(path: Path) -> list[Entry]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [Entry(**(row | {"known": tuple(row["known"])})) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise DatasetError(f"{path} is not a manifest: {exc}") from exc


def _check(folder: Path, entry: Entry) -> None:
    file = folder / entry.file
    if not file.is_file():
        raise DatasetError(f"{file} is in the manifest, but not there")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != entry.sha256:
        raise DatasetError(f"{file} was changed: its sha256 is {found}, the manifest says {entry.sha256}")
