"""What every labeller of others needs: a CT in their files and axes, their answer on our grid, clear words.

Their code and weights are theirs: nothing here downloads or ships them.
"""

import importlib
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError

from pipeline_training.case_writer import write_volume
from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.names import translate, unknown_words
from pipeline_training.volumes import MAX_LABEL

LOG = logging.getLogger(__name__)

FAILURES = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError,
    NameError, OSError, RuntimeError, TypeError, UnpicklingError, ValueError,
)  # fmt: skip
"""What the code of others was seen to raise where files, versions or volumes do not fit it."""

LAST_WORDS = 400

Numbers = npt.NDArray[np.integer[Any]]
AnyArray = npt.NDArray[Any]


class Axes(StrEnum):
    """Whither the indices (x, y, z) grow of the files that a network was trained on.

    LPS is what converters of DICOM write (left, posterior, superior), RAS is NIfTI's own (right, anterior).
    """

    LPS = "LPS"
    RAS = "RAS"


def turned(voxels: AnyArray, axes: Axes) -> AnyArray:
    """Return voxels (..., slices, rows, columns) between our axes, which are LPS, and others; either way."""
    return np.ascontiguousarray(voxels[..., ::-1, ::-1]) if axes is Axes.RAS else voxels


def in_short(words: object) -> str:
    """Return an error of others, which may go over many lines, in one of modest length.

    >>> in_short("cannot load:   key missing")
    'cannot load: key missing'
    """
    return " ".join(str(words).split())[-LAST_WORDS:]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what others print from our standard output."""
    with redirect_stdout(io.StringIO()):
        yield


def library(module: str, hint: str) -> Any:
    """Return a module of a library that may not be installed.

    Args:
        module: To import.
        hint: How to install it, and what else it needs.

    Raises:
        LabellerError: If it is not installed, or does not load.
    """
    try:
        return importlib.import_module(module)
    except FAILURES as exc:
        raise LabellerError(f"{module.partition('.')[0]} cannot be loaded ({in_short(exc)}); {hint}") from exc


def existing(path: Path, what: str, hint: str) -> Path:
    """Return a file or folder of weights.

    Raises:
        LabellerError: If it is not there.
    """
    if not path.exists():
        raise LabellerError(f"{what} is missing: {path}; {hint}")
    return path


def write_ct(path: Path, volume: CtVolume) -> None:
    """Write a CT as NIfTI with its place in the patient.

    Raises:
        LabellerError: If it cannot be written.
    """
    try:
        write_volume(path, volume.hu, volume.spacing_mm)
    except OSError as exc:
        raise LabellerError(f"{volume.case}: cannot write {path} for another labeller: {exc}") from exc


def read_numbers(path: Path) -> Numbers:
    """Return the class numbers of a NIfTI file of any orientation on our axes.

    Raises:
        LabellerError: If it is missing or cannot be read.
    """
    try:
        image: Any = nibabel.load(path)
        canonical: Any = nibabel.funcs.as_closest_canonical
        voxels = np.asanyarray(canonical(image).dataobj)
    except (OSError, EOFError, ValueError, ImageFileError) as exc:
        raise LabellerError(f"no answer can be read from {path}: {exc}") from exc
    return np.rint(turned(voxels.transpose(2, 1, 0), Axes.RAS)).astype(np.int32)


def vote_of(
    labeller: str,
    volume: CtVolume,
    numbers: Numbers,
    classes: Mapping[int, str],
    confidence: npt.NDArray[np.float32] | None = None,
) -> LabelVote:
    """Return an answer in class numbers as a vote in our words; classes without counterpart are logged.

    Raises:
        LabellerError: If the answer does not lie on the CT's grid, holds a class that it does not name, or
            more structures than fit.
    """
    if numbers.shape != volume.hu.shape:
        raise LabellerError(f"{labeller}: the answer has shape {numbers.shape}, the CT {volume.hu.shape}")
    strange = sorted(set(np.unique(numbers).tolist()) - set(classes) - {0})
    if strange:
        raise LabellerError(f"{labeller}: the answer holds class {strange[0]}, which it does not name")
    translation = translate(classes)
    ours = {name: n for n, name in enumerate(sorted(translation.vocabulary), start=1)}
    if len(ours) > MAX_LABEL:
        raise LabellerError(f"{labeller}: {len(ours)} structures, at most {MAX_LABEL} fit")
    table = np.zeros(max(classes, default=0) + 1, np.uint8)
    for theirs, name in translation.names.items():
        table[theirs] = ours[name]
    names = {n: name for name, n in ours.items()}
    vote = LabelVote(labeller, table[numbers], names, translation.vocabulary, confidence)
    if words := unknown_words(vote, translation):
        LOG.warning(words)
    return vote
