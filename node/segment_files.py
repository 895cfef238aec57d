"""Radiographs from files to files: what `paxnode segment` does, without any network.

For each input a folder is written with measurements.json, overlay.png and the objects of a destination
profile, such as seg.dcm and sr.dcm; a picture that is no DICOM object has no objects. `node.formats` adds
what the user asks for.
"""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import numpy as np
from PIL import Image

from ai.errors import AiError, NotAChestError
from ai.overlay import draw_overlay
from ai.pictures import SUFFIXES, is_picture
from ai.segmenter import Segmenter
from node.appearance import Examiner
from node.attributes import CONVERSION_ERRORS
from node.errors import NodeError, RefusedImageError
from node.formats import (
    MEASUREMENTS_JSON,
    USUAL,
    FileOptions,
    Format,
    is_result,
    remove_results,
    write_masks,
)
from node.logs import place_of
from node.measurements_file import measurements_json
from node.measurements_table import FAILED, REFUSED, MeasurementsTable
from node.options import OutputOptions
from node.picture_files import Spacing, process_picture
from node.pipeline import Processed, process
from node.result_header import file_name

PREAMBLE_BYTES = 128
PREFIX = b"DICM"
"""A DICOM file holds these 4 bytes after its preamble (PS3.10 7.1)."""

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})
"""Files in a folder with one of these are read even without the prefix: some writers leave it out."""


FILE_ERRORS = (NodeError, AiError, OSError, *CONVERSION_ERRORS)
"""What an input can break on; the last are those of a library. It costs no other input."""


@dataclass(frozen=True)
class Inputs:
    """What was found under the paths given by the user.

    Attributes:
        files: Files to read, each once, in order.
        ignored: Files in the folders that are neither DICOM nor pictures; a file that the user names is never
            ignored.
    """

    files: tuple[Path, ...]
    ignored: tuple[Path, ...]


@dataclass(frozen=True)
class SegmentedFile:
    """An input whose results are written.

    Attributes:
        path: The input.
        folder: Where its results are.
        seconds: By stage of the pipeline, "files", "overlay" and, where some were asked for, "formats".
    """

    path: Path
    folder: Path
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class FailedFile:
    """An input that gave no result, and why, in one sentence.

    Attributes:
        path: The input.
        reason: Why.
        refused: Whether a rule says that such an image is not served; otherwise something went wrong.
    """

    path: Path
    reason: str
    refused: bool = False


def find_inputs(paths: Sequence[Path]) -> Inputs:
    """Return the files named, and the DICOM files and pictures below the folders named.

    Hidden files are left out, and results of this command, for it may write into the folder that it reads.
    """
    files: dict[Path, None] = {}
    ignored: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files[path] = None
            continue
        for found in _files_below(path):
            if is_result(found):
                continue
            if found.suffix.lower() in SUFFIXES or _looks_like_dicom(found):
                files[found] = None
            else:
                ignored.append(found)
    return Inputs(tuple(files), tuple(ignored))


def is_read_as_picture(path: Path) -> bool:
    """Whether a file is a picture by suffix or content, and does not begin as a DICOM file does.

    Raises:
        OSError: If it cannot be read.
    """
    return is_picture(path) and not _begins_like_dicom(path)


def result_folders(files: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return the folder below `out` for each input: its name without suffix, numbered where names repeat.

    >>> list(result_folders([Path("a/1.dcm"), Path("b/1.dcm")], Path("out")).values())
    [PosixPath('out/1'), PosixPath('out/1-2')]
    """
    folders: dict[Path, Path] = {}
    for path in files:
        wanted = path.stem.strip(".") or path.name.strip(".") or "image"
        numbered = (out / f"{wanted}-{number}" for number in count(2))
        folders[path] = next(f for f in chain([out / wanted], numbered) if f not in folders.values())
    return folders


def segment_files(
    folders: Mapping[Path, Path],
    segmenter: Segmenter,
    options: OutputOptions,
    examiner: Examiner | None = None,
    files: FileOptions = USUAL,
    table: MeasurementsTable | None = None,
) -> Iterator[SegmentedFile | FailedFile]:
    """Yield what became of each input, in order; one that fails stops none of the others.

    Args:
        folders: By input, the folder for its results.
        segmenter: Finds the anatomy.
        options: What is written, and how.
        examiner: Looks at each picture before it is segmented.
        files: What the user says about inputs and results.
        table: Told of every measurement, and of every input without any.
    """
    for number, (path, folder) in enumerate(folders.items(), 1):
        try:
            processed = _process(path, segmenter, options, examiner, files.spacing)
            seconds = _write(processed, folder, files.formats, path.name, number)
            if table is not None:
                table.add(path, processed)
            yield SegmentedFile(path, folder, {**processed.timings, **seconds})
        except FILE_ERRORS as error:
            failed = _failed(path, error)
            if table is not None:
                table.add_without_result(path, REFUSED if failed.refused else FAILED, failed.reason)
            yield failed


def write_objects(processed: Processed, folder: Path) -> None:
    """Write the objects and measurements.json into the folder, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for result in processed.results:
        with (folder / file_name(result.kind)).open("wb") as file:
            file.writelines(result.pieces)
    content = measurements_json(processed.source, processed.segmentation, processed.measurements)
    (folder / MEASUREMENTS_JSON).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_overlay(processed: Processed, folder: Path) -> None:
    """Write overlay.png into the folder."""
    picture = draw_overlay(processed.source.radiograph, processed.segmentation, processed.measurements)
    Image.fromarray(picture).save(folder / "overlay.png")


def _process(
    path: Path,
    segmenter: Segmenter,
    options: OutputOptions,
    examiner: Examiner | None,
    spacing: Spacing | None,
) -> Processed:
    if is_read_as_picture(path):
        return process_picture(path, spacing, segmenter, examiner)
    return process(path, segmenter, options, examiner=examiner)


def _write(
    processed: Processed, folder: Path, formats: Collection[Format], name: str, number: int
) -> dict[str, float]:
    """Write all files of an input and return the seconds by stage."""
    remove_results(folder)
    marks = [time.perf_counter()]
    write_objects(processed, folder)
    marks.append(time.perf_counter())
    write_overlay(processed, folder)
    marks.append(time.perf_counter())
    write_masks(processed, folder, formats, name, number)
    marks.append(time.perf_counter())
    seconds = dict(zip(("files", "overlay", "formats"), np.diff(marks).tolist(), strict=True))
    return seconds if formats else {stage: seconds[stage] for stage in ("files", "overlay")}


def _failed(path: Path, error: Exception) -> FailedFile:
    if isinstance(error, RefusedImageError | NotAChestError):
        return FailedFile(path, str(error), refused=True)
    if isinstance(error, NodeError | AiError):
        return FailedFile(path, str(error))
    if isinstance(error, OSError):
        return FailedFile(path, f"{error.strerror or error}: {error.filename or path}")
    return FailedFile(path, f"{type(error).__name__} in {place_of(error)}")


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _looks_like_dicom(path: Path) -> bool:
    if path.name.upper() == "DICOMDIR":
        return False
    return path.suffix.lower() in DICOM_SUFFIXES or _begins_like_dicom(path)


def _begins_like_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(PREAMBLE_BYTES)
        return file.read(len(PREFIX)) == PREFIX
