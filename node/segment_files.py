"""Radiographs from files to files: what `paxnode segment` does, without any network.

For each input a folder is written with measurements.json, overlay.png and the objects of a destination
profile, such as seg.dcm and sr.dcm.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from PIL import Image

from ai.errors import AiError, NotAChestError
from ai.overlay import draw_overlay
from ai.segmenter import Segmenter
from node.appearance import Examiner
from node.attributes import CONVERSION_ERRORS
from node.errors import NodeError, RefusedImageError
from node.logs import place_of
from node.measurements_file import measurements_json
from node.options import OutputOptions
from node.pipeline import Processed, process
from node.result_header import file_name

PREAMBLE_BYTES = 128
PREFIX = b"DICM"
"""A DICOM file holds these 4 bytes after its preamble (PS3.10 7.1)."""

RESULT_FILES = ("*.dcm", "measurements.json", "overlay.png")
"""Patterns of what a run writes."""

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})
"""Files in a folder with one of these are read even without the prefix: some writers leave it out."""


@dataclass(frozen=True)
class Inputs:
    """What was found under the paths given by the user.

    Attributes:
        files: Files to read, each once, in order.
        ignored: Files in the folders that are not DICOM; a file that the user names is never ignored.
    """

    files: tuple[Path, ...]
    ignored: tuple[Path, ...]


@dataclass(frozen=True)
class SegmentedFile:
    """An input whose results are written.

    Attributes:
        path: The input.
        folder: Where its results are.
        seconds: By stage of the pipeline, and "overlay".
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
    """Return the files named, and the DICOM files below the folders named, hidden ones left out."""
    files: dict[Path, None] = {}
    ignored: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files[path] = None
            continue
        for found in _files_below(path):
            if _looks_like_dicom(found):
                files[found] = None
            else:
                ignored.append(found)
    return Inputs(tuple(files), tuple(ignored))


def result_folders(files: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return the folder below `out` for each input: its name without suffix, numbered where names repeat.

    >>> list(result_folders([Path("a/1.dcm"), Path("b/1.dcm")], Path("out")).values())
    [PosixPath('out/1'), PosixPath('out/1-2')]
    """
    folders: dict[Path, Path] = {}
    for path in files:
        wanted = path.stem or path.name
        numbered = (out / f"{wanted}-{number}" for number in count(2))
        folders[path] = next(f for f in chain([out / wanted], numbered) if f not in folders.values())
    return folders


def occupied(folders: Iterable[Path]) -> list[Path]:
    """Return those of the folders in which results stand already."""
    return [folder for folder in folders if any(any(folder.glob(name)) for name in RESULT_FILES)]


def segment_files(
    folders: Mapping[Path, Path],
    segmenter: Segmenter,
    options: OutputOptions,
    examiner: Examiner | None = None,
) -> Iterator[SegmentedFile | FailedFile]:
    """Yield what became of each input, in order; one that fails stops none of the others.

    Args:
        folders: By input, the folder for its results.
        segmenter: Finds the anatomy.
        options: What is written, and how.
        examiner: Looks at each picture before it is segmented.
    """
    for path, folder in folders.items():
        try:
            yield _segment_file(path, folder, segmenter, options, examiner)
        except (RefusedImageError, NotAChestError) as error:
            yield FailedFile(path, str(error), refused=True)
        except (NodeError, AiError) as error:
            yield FailedFile(path, str(error))
        except OSError as error:
            yield FailedFile(path, f"{error.strerror or error}: {error.filename or path}")
        except CONVERSION_ERRORS as error:  # of a library; it costs no other file
            yield FailedFile(path, f"{type(error).__name__} in {place_of(error)}")


def write_objects(processed: Processed, folder: Path) -> None:
    """Write the objects and measurements.json into the folder, which is made if missing.

    Objects of an earlier run are removed: another profile may write others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("*.dcm"):
        earlier.unlink()
    for result in processed.results:
        result.dataset.save_as(folder / file_name(result.kind), enforce_file_format=True)
    content = measurements_json(processed.source, processed.segmentation, processed.measurements)
    (folder / "measurements.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_overlay(processed: Processed, folder: Path) -> None:
    """Write overlay.png into the folder."""
    picture = draw_overlay(processed.source.radiograph, processed.segmentation, processed.measurements)
    Image.fromarray(picture).save(folder / "overlay.png")


def _segment_file(
    path: Path, folder: Path, segmenter: Segmenter, options: OutputOptions, examiner: Examiner | None
) -> SegmentedFile:
    processed = process(path, segmenter, options, examiner=examiner)
    start = time.perf_counter()
    write_objects(processed, folder)
    written = time.perf_counter()
    write_overlay(processed, folder)
    seconds = {"files": written - start, "overlay": time.perf_counter() - written}
    return SegmentedFile(path, folder, {**processed.timings, **seconds})


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _looks_like_dicom(path: Path) -> bool:
    if path.name.upper() == "DICOMDIR":
        return False
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    with path.open("rb") as file:
        file.seek(PREAMBLE_BYTES)
        return file.read(len(PREFIX)) == PREFIX
