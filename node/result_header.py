"""What every result has: identity, equipment, series, times (PS3.3 C.7.1 to C.7.5, C.12.1)."""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ai.segmentation import ModelIdentity
from node.attributes import text
from node.identity import UidMaker, copy_identity
from node.options import OutputOptions
from node.reader import Source

MANUFACTURER = "paxnode"
IMPLEMENTATION_VERSION_NAME = "PAXNODE"
SERIES_OFFSET = {"SEG": 0, "SR": 1, "PR": 2, "SC": 3}
"""Added to the Series Number that the options state, by kind of result."""

MODALITY = {"SEG": "SEG", "SR": "SR", "PR": "PR", "SC": "OT"}
"""By kind of result (PS3.3 C.7.3.1.1.1); no modality made a picture of results."""


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
    result: Dataset, kind: str, source: Source, model: ModelIdentity, options: OutputOptions
) -> None:
    """Put into a result what is the same for all kinds of them, in place of what it has.

    Args:
        result: A Segmentation, a report, a presentation state or a secondary capture.
        kind: "SEG", "SR", "PR" or "SC", a key of `MODALITY`: the kind of its UIDs too.
        source: The radiograph that it was made of.
        model: The weights that made it.
        options: What is written, and how.
    """
    uids = uids_of(source, model, options)
    copy_identity(source.identity, result)
    result.SOPInstanceUID, result.SeriesInstanceUID = uids(kind), uids(f"{kind} series")
    result.Modality = MODALITY[kind]
    result.SeriesNumber = options.series_number_base + SERIES_OFFSET[kind]
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
    meta.ImplementationClassUID = UID("2.25.220204471444902736902730368850413526241")
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    result.file_meta = meta
