"""Every profile on every kind of source, looked at by other people's programs: `make conformance`.

Sources are made: DX, CR and Secondary Capture, both polarities, odd sizes, attributes missing, names in
several character sets; with DICOM=folder every radiograph below it as well. What dciodvfy, dcentvfy, dcmpschk
and dsr2html say of a result is counted, and whether highdicom reads each Segmentation; dcentvfy sees each
result together with its source. Label maps are left to our own gate and to highdicom: dciodvfy does not know
their SOP class. Segmentations without pixel spacing are not given to highdicom, which reads none such.
Exit status 1: something was found.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import highdicom as hd
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
)
from rich.console import Console
from rich.table import Table

from ai.segmenter import Segmenter
from ai.stand_in import StandInSegmenter
from config.profiles import Profile, shipped_profiles
from config.settings import ModelSettings, ResultSettings
from node.contexts import LABEL_MAP_STORAGE
from node.errors import NodeError
from node.model import load_segmenter
from node.options import options_of
from node.pipeline import Understood, understand, write
from tests.conftest import _dx

PROGRAMS = ("dciodvfy", "dcentvfy", "dcmpschk", "dsr2html")
WRONG = re.compile(r"^(Error|Abort|E: |F: )")
COPIED = "PatientName"
"""dcmpschk knows no UTF-8; what it says of the name, which is the source's byte for byte, is left out."""
COPIED_TABLE = "LookupTableData bad - Modality LUT"
"""A presentation state carries the source's Modality LUT as it came: of what dciodvfy says of both nothing is
our doing."""
TYPE_2 = (
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)
LABEL_MAPS = Profile(name="labelmap", seg="labelmap", grouping="anatomy")
FRACTIONS = Profile(name="fractional", seg="fractional", orientation_shim=True, presentation_state=True)
"""Forms that no shipped profile has."""


def _without(dataset: Dataset, keywords: Sequence[str]) -> Dataset:
    for keyword in keywords:
        delattr(dataset, keyword)
    return dataset


def _named(character_set: object, name: str) -> Dataset:
    return _dx(SpecificCharacterSet=character_set, PatientName=name)


SOURCES: dict[str, Callable[[], Dataset]] = {
    "DX": _dx,
    "DX, MONOCHROME1": lambda: _dx(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "CR": lambda: _dx(SOPClassUID=ComputedRadiographyImageStorage, Modality="CR"),
    "CR, MONOCHROME1": lambda: _dx(
        SOPClassUID=ComputedRadiographyImageStorage, Modality="CR", PhotometricInterpretation="MONOCHROME1"
    ),
    "SC": lambda: _dx(SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", BodyPartExamined=""),
    "odd size": lambda: _dx(rows=251, columns=223),
    "odd size of an even number of pixels": lambda: _dx(rows=250, columns=223),
    "mirrored": lambda: _dx(PatientOrientation=["R", "F"]),
    "no type 2 attributes": lambda: _without(_dx(), TYPE_2),
    "no spacing": lambda: _without(_dx(), ["ImagerPixelSpacing"]),
    "impossible spacing": lambda: _dx(PixelSpacing=[0, 0], ImagerPixelSpacing=[0, 0]),
    "Japanese": lambda: _named(["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Korean": lambda: _named(["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "Greek": lambda: _named("ISO_IR 126", "Διονυσιος"),
    "Cyrillic": lambda: _named("ISO_IR 144", "Иванов^Пётр"),
    "UTF-8": lambda: _named("ISO_IR 192", "Wang^XiaoDong=王^小东"),
}


@dataclass
class Tally:
    """What the programs found in one profile's results.

    Attributes:
        objects: How many were looked at, by kind.
        looks: How many runs of each program there were.
        found: What was wrong, with the source and the result.
    """

    objects: Counter[str] = field(default_factory=Counter)
    looks: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)


def complaints(program: str, *files: Path) -> list[str]:
    """Return what a program says is wrong with files."""
    if program == "dsr2html":
        return _page(*files)
    done = subprocess.run([program, *map(str, files)], capture_output=True, check=False)
    told = (done.stdout + done.stderr).decode("utf-8", "replace")
    if program == "dcmpschk":
        told = "\n".join(block for block in told.split("\nE: \n") if COPIED not in block)
    return [line for line in told.split("\n") if WRONG.match(line)]


def _page(report: Path) -> list[str]:
    """Return why dsr2html writes no page; in UTF-8 it reads Korean, and as it is Japanese."""
    told: list[str] = []
    for options in ((), ("+U8",)):
        done = subprocess.run(["dsr2html", *options, str(report)], capture_output=True, check=False)
        told = done.stderr.decode("utf-8", "replace").splitlines()
        if b"</html>" in done.stdout:
            return []
    return [line for line in told if WRONG.match(line)] or ["F: no page was written"]


def checks(dataset: Dataset, path: Path, source: Path) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Yield the programs that know an object, with the files that they are given."""
    if dataset.SOPClassUID == LABEL_MAP_STORAGE:
        return
    yield "dciodvfy", (path,)
    yield "dcentvfy", (source, path)
    if dataset.Modality == "SR":
        yield "dsr2html", (path,)
    if dataset.SOPClassUID == GrayscaleSoftcopyPresentationStateStorage:
        yield "dcmpschk", (path,)


def look(found: Understood, source: Path, profile: Profile, folder: Path, tally: Tally) -> None:
    """Write a source's results in one profile and let the programs look at them."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs: list[tuple[str, str, tuple[Path, ...]]] = []
    for result in write(found, options_of(profile, ResultSettings())):
        path = folder / f"{result.kind.replace(' ', '_')}.dcm"
        result.dataset.save_as(path, enforce_file_format=True)
        tally.objects[result.kind.split()[0]] += 1
        if result.dataset.Modality == "SEG" and found.source.radiograph.spacing is not None:
            hd.seg.segread(path)  # raises where highdicom cannot read it
            tally.looks["highdicom"] += 1
        jobs += [(result.kind, *check) for check in checks(result.dataset, path, source)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda job: complaints(job[1], *job[2]), jobs)
        inherited = [line for line in complaints("dciodvfy", source) if COPIED_TABLE in line]
        for (kind, program, _), told in zip(jobs, results, strict=True):
            lines = [line for line in told if line not in inherited]
            tally.looks[program] += 1
            tally.found += [f"{source.stem}: {profile.name}: {kind}: {program}: {line}" for line in lines]


def sources(folder: Path, given: Sequence[Path]) -> Iterator[Path]:
    """Yield the made sources as files, then the DICOM files below the given folders."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in SOURCES.items():
        path = folder / f"{name}.dcm"
        make().save_as(path, enforce_file_format=True)
        yield path
    for place in given:
        yield from (
            (path for path in sorted(place.rglob("*")) if path.is_file()) if place.is_dir() else [place]
        )


def understood(path: Path, segmenter: Segmenter) -> Understood | None:
    """Return what a file shows; None for one that is no radiograph that the node serves."""
    try:
        return understand(path, segmenter, lambda _stage, _seconds: None)
    except (NodeError, InvalidDicomError):
        return None


def main() -> int:
    """Look at everything and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("given", nargs="*", type=Path, help="DICOM files, or folders of them")
    parser.add_argument("--out", type=Path, default=Path("out/conformance"))
    arguments = parser.parse_args()
    console = Console(width=140)
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        console.print(f"not installed: {', '.join(absent)} (Debian packages dicom3tools and dcmtk)")
        return 2
    shutil.rmtree(arguments.out, ignore_errors=True)
    profiles = [*shipped_profiles().values(), LABEL_MAPS, FRACTIONS]
    tallies = {profile.name: Tally() for profile in profiles}
    stand_in, model, left_out = StandInSegmenter(), load_segmenter(ModelSettings()), 0
    made = len(SOURCES)
    for number, path in enumerate(sources(arguments.out / "sources", arguments.given)):
        found = understood(path, stand_in if number < made else model)
        left_out += found is None
        if found is None:
            continue
        for profile in profiles:
            look(found, path, profile, arguments.out / profile.name / path.stem, tallies[profile.name])
    _print(console, tallies)
    seen = number + 1 - left_out
    console.print(f"{seen} sources ({made} made), {left_out} given files were none that the node serves")
    return 1 if any(tally.found for tally in tallies.values()) else 0


def _print(console: Console, tallies: dict[str, Tally]) -> None:
    table = Table("profile", "objects", *PROGRAMS, "highdicom", "complaints")
    for name, tally in tallies.items():
        objects = ", ".join(f"{count} {kind}" for kind, count in tally.objects.items())
        runs = (str(tally.looks[program]) for program in (*PROGRAMS, "highdicom"))
        table.add_row(name, objects, *runs, str(len(tally.found)))
    console.print(table)
    for tally in tallies.values():
        for line in tally.found[:20]:
            console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
