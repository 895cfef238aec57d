"""What every result has: identity, equipment, series, times (PS3.3 C.7.1 to C.7.5, C.12.1)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ai.segmentation import ModelIdentity
from node.attributes import text
from node.identity import UidMaker, copy_identity
from node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.options import OutputOptions
from node.reader import Source

MANUFACTURER = "paxnode"
KINDS = {"SEG": ("SEG", 0), "SR": ("SR", 1), "PR": ("PR", 3), "SC": ("OT", 4)}
"""Segmentation, report, presentation state, secondary capture: their Modality, and the Series Number of the
first, counted from the first of the radiograph's results."""

FURTHER_SEGMENTATIONS = 10
"""The same of the second of several Segmentations."""


@dataclass(frozen=True)
class ResultKind:
    """What a result is, among all that are made of one radiograph.

    Attributes:
        kind: One of `KINDS`.
        part: What tells it from the others of its kind; "" for the first or only one.
        place: Its place among those of its kind, from 0.
    """

    kind: str
    part: str = ""
    place: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.part}".strip()

    @property
    def series_offset(self) -> int:
        """Its Series Number, counted from the first of the radiograph's results."""
        if self.kind == "SEG" and self.place > 0:
            return FURTHER_SEGMENTATIONS + self.place - 1
        return KINDS[self.kind][1] + self.place


SEG, REPORT, STRUCTURE_REPORT = ResultKind("SEG"), ResultKind("SR"), ResultKind("SR", "structures", 1)
PRESENTATION_STATE, SECONDARY_CAPTURE = ResultKind("PR"), ResultKind("SC")


def file_name(kind: str) -> str:
    """Return what the file of a result is called.

    Args:
        kind: `str(ResultKind)`.

    >>> file_name("SEG lungs and airways")
    'seg-lungs_and_airways.dcm'
    """
    return f"{kind.lower().replace(' ', '-', 1).replace(' ', '_')}.dcm"


@cache
def software_version() -> str:
    """Return the version of this program."""
    try:
        return version("paxnode")
    except PackageNotFoundError:
        return "unknown"


def uids_of(source: Source, model: ModelIdentity, options: OutputOptions) -> UidMaker:
    """Return what makes the UIDs of the source's results."""
    return UidMaker(str(source.dataset.SOPInstanceUID), model, options)


def model_version(model: ModelIdentity) -> str:
    """Return the model's version with the beginning of its hash: what tells two weights apart."""
    return f"{model.version} ({model.sha256[:12]})"


def write_header(
    result: Dataset, kind: ResultKind, source: Source, model: ModelIdentity, options: OutputOptions
) -> None:
    """Put into a result what is the same for all kinds of them, in place of what it has.

    Args:
        result: A result of any kind.
        kind: What it is; its Modality, series and UIDs follow from it.
        source: The radiograph that it was made of.
        model: The weights that made it.
        options: What is written, and how.
    """
    uids = uids_of(source, model, options)
    copy_identity(source.identity, result)
    result.SOPInstanceUID, result.SeriesInstanceUID = uids(str(kind)), uids(f"{kind} series")
    result.Modality = KINDS[kind.kind][0]
    result.SeriesNumber = options.series_number_base + kind.series_offset
    result.InstanceNumber = 1
    result.ContentQualification = options.content_qualification
    _write_equipment(result, model)
    _write_times(result, datetime.now(_time_zone(source)))


def _write_equipment(result: Dataset, model: ModelIdentity) -> None:
    result.Manufacturer = MANUFACTURER
    result.ManufacturerModelName = model.id[:64]
    result.DeviceSerialNumber = model.sha256[:16]
    result.SoftwareVersions = [f"paxnode {software_version()}"[:64], f"model {model_version(model)}"[:64]]


def _write_times(result: Dataset, now: datetime) -> None:
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    result.ContentDate = result.SeriesDate = result.InstanceCreationDate = date
    result.ContentTime = result.SeriesTime = result.InstanceCreationTime = time


def _time_zone(source: Source) -> tzinfo | None:
    """Return the time zone in which the source states its times; None: that of this machine."""
    stated = text(source.dataset, "TimezoneOffsetFromUTC")
    if not re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", stated):
        return None
    offset = timedelta(hours=int(stated[1:3]), minutes=int(stated[3:]))
    return timezone(-offset if stated[0] == "-" else offset)


def write_file_meta(result: Dataset, transfer_syntax: UID = ExplicitVRLittleEndian) -> None:
    """Give a finished result its file meta information (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = result.SOPClassUID
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    result.file_meta = meta
