"""A set of radiographs in folds: each patient is kept from one network, and teaches all the others."""

import csv
import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from pipeline_training.errors import OutputError, RadiographSetError
from pipeline_training.out_folders import make_folders
from pipeline_training.radiograph_folders import RadiographSet, read_set

TAUGHT, KEPT = "taught", "kept"
"""Folders of a fold: what its network learns from, and what it is asked about afterwards."""


def write_folds(folder: Path, count: int, out: Path, seed: int = 0) -> list[Path]:
    """Write a set as `out`/fold_1 to fold_`count`, each with `taught`/<set> and `kept`/<set>; return them.

    Pictures and masks are symbolic links, tables hold the rows of the pictures beside them. Patients are put
    in the order of a hash of seed and name and dealt out in turn, so that folds are of equal size, give or
    take a patient; all pictures of one patient are kept in the same fold.

    Args:
        folder: The set, as `radiograph_folders` describes it; its name says how masks were drawn.
        count: Folds, 2 or more.
        out: Must hold no folds yet.
        seed: Which of the ways to deal them out.

    Raises:
        RadiographSetError: If the set cannot be read, or has fewer patients than there are folds.
        OutputError: If the folds cannot be written, or there are some.
    """
    found = read_set(folder)
    patients = sorted({found.patient_of(image) for image in found.images}, key=lambda name: _rank(name, seed))
    if not 2 <= count <= len(patients):
        raise RadiographSetError(
            f"{len(patients)} patients of {found.name} cannot be dealt into {count} folds"
        )
    folds = [out / f"fold_{number}" for number in range(1, count + 1)]
    if there := [fold for fold in folds if fold.exists()]:
        raise OutputError(f"{there[0]} is there already: name another folder")
    for number, fold in enumerate(folds):
        kept = set(patients[number::count])
        _write_part(found, kept, fold / KEPT / found.name)
        _write_part(found, set(patients) - kept, fold / TAUGHT / found.name)
    return folds


def _rank(patient: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{patient}".encode()).digest()


def _write_part(found: RadiographSet, patients: Collection[str], out: Path) -> None:
    """Write the set as far as it is these patients'."""
    images = [image for image in found.images if found.patient_of(image) in patients]
    masks = [path for path in (found.folder / "masks").glob("*") if path.is_dir()]
    make_folders(out / "images", *(out / "masks" / path.name for path in masks))
    try:
        for image in images:
            os.symlink(image, out / "images" / image.name)
            for mask in (path / name for path in masks for name in {image.name, f"{image.stem}.png"}):
                if mask.is_file():
                    os.symlink(mask, out / "masks" / mask.parent.name / mask.name)
        for table in sorted(found.folder.glob("*.csv")):
            _write_rows(table, {image.name for image in images}, out / table.name)
        if (stated := found.folder / "protocol.json").is_file():
            shutil.copyfile(stated, out / stated.name)
    except OSError as exc:
        raise OutputError(f"cannot write {out}: {exc}") from exc


def _write_rows(table: Path, images: Collection[str], out: Path) -> None:
    """Write the rows of a table whose `file` is one of the images; a table without that column as it is."""
    with table.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    names = list(rows[0]) if rows else []
    if "file" not in names:
        shutil.copyfile(table, out)
        return
    with out.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, names)
        writer.writeheader()
        writer.writerows(row for row in rows if row["file"] in images)
