"""Label maps with a labels.json, and TotalSegmentator's folders of one file for each class."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import VolumeError
from pipeline_training.intake.files import SUFFIXES, read_volume, stem
from pipeline_training.intake.geometry import Grid
from pipeline_training.intake.labelling import MAX_LABEL, Labelling, Painter, onto
from pipeline_training.intake.structures import by_name

SHAPE_OF_JSON = '{"labels": {id: name}}'


@dataclass(frozen=True)
class Described:
    """The contents of a labels.json.

    Attributes:
        names: Structure by id.
        vocabulary: What was looked for: the key "vocabulary"; empty where it is not stated.
        patient: The key "patient", or "".
    """

    names: dict[int, str]
    vocabulary: frozenset[str]
    patient: str


def read_described(path: Path) -> Described:
    """Return what a labels.json says.

    Raises:
        VolumeError: If it is missing or reads otherwise.
    """
    case = path.parent.name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = {int(number): str(name) for number, name in content["labels"].items()}
        return Described(names, _vocabulary(content), stated_patient(content))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise VolumeError(f"{case}: labels.json must read {SHAPE_OF_JSON}: {exc!r}") from exc


def stated_patient(content: dict[str, Any]) -> str:
    """Return the patient that a labels.json names; "" where it names nobody.

    >>> stated_patient({"patient": 7}), stated_patient({"patient": None}), stated_patient({})
    ('7', '', '')
    """
    patient = content.get("patient")
    return "" if patient is None else str(patient)


def _vocabulary(content: dict[str, Any]) -> frozenset[str]:
    stated = content.get("vocabulary", [])
    if not isinstance(stated, list):
        raise ValueError("vocabulary is a list of names")
    return frozenset(map(str, stated))


def read_label_map(path: Path, described: Described, grid: Grid) -> Labelling:
    """Return a label map on the working grid.

    Raises:
        VolumeError: If it cannot be read, its values are no ids, or it lies elsewhere than the CT.
    """
    case, placed = path.parent.name, read_volume(path)
    low, high = float(np.min(placed.voxels)), float(np.max(placed.voxels))
    if low < 0 or high > MAX_LABEL or not np.array_equal(placed.voxels, np.rint(placed.voxels)):
        raise VolumeError(f"{case}: label ids lie in 0..{MAX_LABEL}, found {low:g} to {high:g}")
    labels = onto(case, path.name, placed, grid).astype(np.uint8)
    present = set(np.unique(labels).tolist()) - {0}
    names = {number: name for number, name in described.names.items() if number in present}
    return Labelling(labels, names, described.vocabulary, patient=described.patient)


def class_files(folder: Path) -> list[Path]:
    """Return the volumes of a folder whose file name is a structure's name."""
    return sorted(path for path in folder.glob("*") if path.name.endswith(SUFFIXES) and by_name(stem(path)))


def read_class_folder(case: str, folder: Path, grid: Grid) -> Labelling:
    """Return TotalSegmentator's masks as one label map; where two overlap, the smaller structure stays.

    An empty file is a structure that was looked for and not found.

    Raises:
        VolumeError: If a file cannot be read or lies elsewhere than the CT.
    """
    painter = Painter(case, grid.shape)
    files = class_files(folder)
    for path in files:
        mask: npt.NDArray[np.bool_] = onto(case, path.name, read_volume(path), grid) != 0
        painter.paint(by_name(stem(path)) or "", mask)
    known = {path.name for path in files}
    others = sorted(path.name for path in folder.glob("*") if path.name.endswith(SUFFIXES))
    unknown = tuple(f"{name}: no structure of that name is known" for name in others if name not in known)
    return painter.labelling(unknown)
