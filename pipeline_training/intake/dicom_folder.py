"""What a folder of DICOM files holds: CT series, segmentations, structure sets, and other things."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from pipeline_training.errors import VolumeError

CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
LABEL_MAP_SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
"""PS3.4 B.5, Label Map Segmentation Storage; pydicom 3.0 has no name for it."""

SEGMENTATION_CLASSES = (SegmentationStorage, LABEL_MAP_SEGMENTATION_STORAGE)

T = TypeVar("T")

PARSE_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
"""What pydicom and its decoders raise on broken files."""


@dataclass(frozen=True, eq=False)
class Header:
    """A DICOM file without its pixels."""

    path: Path
    dataset: pydicom.Dataset


@dataclass(frozen=True, eq=False)
class DicomFolder:
    """The contents of a folder.

    Attributes:
        case: Its name.
        series: The images of each CT series, by Series Instance UID; without localisers.
        segmentations: DICOM SEG objects.
        structure_sets: RTSTRUCT objects.
        localisers: How many images are localisers.
        others: How many DICOM objects of other modalities there are, by modality.
        no_dicom: How many files are not DICOM.
    """

    case: str
    series: Mapping[str, tuple[Header, ...]]
    segmentations: tuple[Header, ...]
    structure_sets: tuple[Header, ...]
    localisers: int
    others: Mapping[str, int]
    no_dicom: int

    def choose(self, uid: str = "") -> tuple[str, tuple[Header, ...]]:
        """Return the Series Instance UID and the images of the series that is meant.

        Args:
            uid: Series Instance UID; "" takes the only one.

        Raises:
            VolumeError: If there is none, or several and none is named.
        """
        if not self.series:
            raise VolumeError(f"{self.case}: no CT series: found {self._other_words()}")
        if uid and uid not in self.series:
            raise VolumeError(f"{self.case}: there is no CT series {uid}; {self._series_words()}")
        if not uid and len(self.series) > 1:
            raise VolumeError(
                f"{self.case}: {len(self.series)} CT series, name one by its Series Instance UID: "
                f"{self._series_words()}"
            )
        uid = uid or next(iter(self.series))
        return uid, self.series[uid]

    def _other_words(self) -> str:
        words = [f"{count} of modality {kind}" for kind, count in sorted(self.others.items())]
        words += [f"{self.localisers} localisers"] if self.localisers else []
        return ", ".join([*words, f"{self.no_dicom} files that are not DICOM"])

    def _series_words(self) -> str:
        return "; ".join(
            f"{uid} ({len(images)} images, {images[0].dataset.get('SeriesDescription', 'no description')!r})"
            for uid, images in self.series.items()
        )


def read_folder(folder: Path) -> DicomFolder:
    """Return what lies in a folder and the folders below it; hidden files are passed over."""
    found = _Found()
    for path in _files(folder):
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, *PARSE_ERRORS):
            found.no_dicom += 1
        else:
            found.add(Header(path, dataset))
    return DicomFolder(
        folder.name,
        {uid: tuple(images) for uid, images in sorted(found.series.items())},
        tuple(found.segmentations),
        tuple(found.structure_sets),
        found.localisers,
        found.others,
        found.no_dicom,
    )


def holds_dicom(folder: Path) -> bool:
    """Return whether any file of the folder, or of those below it, begins as DICOM files do, PS3.10 7.1."""
    return any(map(is_dicom, _files(folder)))


def is_dicom(path: Path) -> bool:
    """Return whether the file has the prefix of PS3.10 7.1 after its preamble."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


class _Found:
    def __init__(self) -> None:
        self.series: dict[str, list[Header]] = {}
        self.segmentations: list[Header] = []
        self.structure_sets: list[Header] = []
        self.others: Counter[str] = Counter()
        self.localisers = self.no_dicom = 0

    def add(self, header: Header) -> None:
        kind = header.dataset.get("SOPClassUID", "")
        if kind in SEGMENTATION_CLASSES:
            self.segmentations.append(header)
        elif kind == RTStructureSetStorage:
            self.structure_sets.append(header)
        elif kind not in CT_CLASSES:
            self.others[str(header.dataset.get("Modality", "none"))] += 1
        elif "LOCALIZER" in (header.dataset.get("ImageType") or ()):  # PS3.3 C.8.2.1.1.1
            self.localisers += 1
        else:
            self.series.setdefault(str(header.dataset.get("SeriesInstanceUID", "")), []).append(header)


def parsed(case: str, path: Path, read: Callable[[Path], T]) -> T:
    """Return what `read` makes of a file; a missing or broken attribute is told as ours.

    Raises:
        VolumeError: Naming the file.
    """
    try:
        return read(path)
    except PARSE_ERRORS as exc:
        raise VolumeError(f"{case}: {path.name} cannot be read: {exc!r}") from exc


def sequence(dataset: Any, keyword: str) -> list[pydicom.Dataset]:
    """Return the items of a sequence, none where it is missing."""
    return list(dataset.get(keyword) or [])
