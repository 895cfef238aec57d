"""What `paxnode segment --format` adds to the results of each input: docs/formats.md describes the files."""

import difflib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path

from ai.coco import coco_json
from ai.film import Film
from ai.labels import LABELS
from ai.mask_files import write_npz, write_pngs
from node.picture_files import Spacing
from node.pipeline import Processed

MASKS_NPZ, MASKS_FOLDER, COCO_JSON = "masks.npz", "masks", "coco.json"
MEASUREMENTS_JSON = "measurements.json"
RESULT_FILES = (
    *("seg.dcm", "seg-*.dcm", "sr.dcm", "sr-*.dcm", "pr.dcm", "sc.dcm"),
    *(MEASUREMENTS_JSON, "overlay.png", MASKS_NPZ, COCO_JSON),
)
"""Patterns of files in the folder of an input; some stand there for certain inputs, profiles and formats."""


class Format(StrEnum):
    """Beside the usual files: masks in one file, a PNG for each mask, annotations, a table of all inputs."""

    NPZ = "npz"
    PNG = "png"
    COCO = "coco"
    CSV = "csv"


def parse_formats(words: Sequence[str]) -> frozenset[Format]:
    """Return the formats named, each word holding one or several between commas.

    Raises:
        ValueError: If one is not known; the message names the nearest one.

    >>> sorted(parse_formats(["npz,coco", "npz"]))
    [<Format.COCO: 'coco'>, <Format.NPZ: 'npz'>]
    """
    named = [name.strip().lower() for word in words for name in word.split(",")]
    for name in named:
        if name not in set(Format):
            near = difflib.get_close_matches(name, list(Format), n=1, cutoff=0.0)[0]
            known = ", ".join(Format)
            raise ValueError(f"unknown format {name!r}; the nearest of {known} is {str(near)!r}")
    return frozenset(map(Format, named))


@dataclass(frozen=True)
class FileOptions:
    """What a user says about the files of a run, beside what the settings say about objects.

    Attributes:
        force: Whether results that stand there already are replaced.
        formats: What is written beside the usual files.
        spacing: Pixel spacing in mm of the pictures among the inputs; None where none was given.
    """

    force: bool = False
    formats: frozenset[Format] = frozenset()
    spacing: Spacing | None = None


USUAL = FileOptions()


def write_masks(
    processed: Processed, folder: Path, formats: Collection[Format], name: str, number: int
) -> None:
    """Write the masks of an input, on its stored grid, into the folder of its results.

    Args:
        processed: What became of the input.
        folder: Where its results are.
        formats: Those asked for.
        name: Of the input's file.
        number: Its place among the inputs, from 1.
    """
    film = Film(processed.source.radiograph, processed.source.orientation)
    stored = film.stored_segmentation(processed.segmentation)
    if Format.NPZ in formats:
        write_npz(folder / MASKS_NPZ, stored)
    if Format.PNG in formats:
        write_pngs(folder / MASKS_FOLDER, stored)
    if Format.COCO in formats:
        content = json.dumps(coco_json(stored, name, number))
        (folder / COCO_JSON).write_text(content + "\n", encoding="utf-8")


def occupied(folders: Iterable[Path], formats: Collection[Format] = ()) -> list[Path]:
    """Return those of the folders in which results stand already, or something else where masks would go."""
    names = (*RESULT_FILES, MASKS_FOLDER) if Format.PNG in formats else RESULT_FILES
    return [folder for folder in folders if any(any(folder.glob(name)) for name in names)]


def remove_results(folder: Path) -> None:
    """Remove the results of an earlier run from the folder of an input, and nothing else."""
    if not (folder / MEASUREMENTS_JSON).exists():
        return
    slugs = [f"{item.slug}.png" for item in LABELS]
    masks = folder / MASKS_FOLDER
    standing = [path for pattern in RESULT_FILES for path in folder.glob(pattern)]
    for path in (*standing, *(masks / name for name in slugs)):
        path.unlink(missing_ok=True)
    if masks.is_dir() and not any(masks.iterdir()):
        masks.rmdir()


def is_result(path: Path) -> bool:
    """Whether a file is a result of this command, so that it is no input when the folder is given to it."""
    folder = path.parent
    if any(fnmatch(path.name, pattern) for pattern in RESULT_FILES):
        return (folder / MEASUREMENTS_JSON).exists()
    return folder.name == MASKS_FOLDER and (folder.parent / MEASUREMENTS_JSON).exists()
