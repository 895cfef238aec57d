"""CT series from DICOM files, sorted by where their slices lie."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from pipeline_training.intake.dicom_folder import DicomFolder, Header, parsed
from pipeline_training.intake.dicom_slices import Slice, Stack, one, slices_of, stacked
from pipeline_training.intake.geometry import Placed
from pipeline_training.intake.scan import AIR_HU, Scan, as_hu, check_hu

HASH_DIGITS = 16
"""64 bits: two of a million patients share a hash with a probability of 3e-8."""


def patient_of(dataset: pydicom.Dataset) -> str:
    """Return a hash of Patient ID and its issuer; "" where there is none.

    It keeps a patient's volumes together without naming the patient. It is no protection against someone who
    can try every identifier.
    """
    number = str(dataset.get("PatientID") or "").strip()
    issuer = str(dataset.get("IssuerOfPatientID") or "").strip()
    if not number:
        return ""
    return hashlib.sha256(f"paxnode patient\0{issuer}\0{number}".encode()).hexdigest()[:HASH_DIGITS]


def read_series(folder: DicomFolder, uid: str = "") -> Scan:
    """Return a CT series of a folder.

    Args:
        folder: Its contents.
        uid: Series Instance UID; "" takes the only one.

    Raises:
        VolumeError: If the series is not named, or is no even stack of CT slices in HU.
    """
    uid, headers = folder.choose(uid)
    case = folder.case if len(folder.series) == 1 else f"{folder.case}-{_short(uid)}"
    first = headers[0].dataset
    one(case, "patients", (patient_of(header.dataset) for header in headers))
    one(case, "frames of reference", (str(each.dataset.get("FrameOfReferenceUID", "")) for each in headers))
    stack = stacked(case, list(_slices(case, headers)))
    voxels = _hounsfield(case, stack)
    check_hu(case, voxels)
    frame = str(first.get("FrameOfReferenceUID", ""))
    return Scan(case, Placed(voxels, stack.to_patient), patient_of(first), frame, uid)


def _short(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:8]


def _slices(case: str, headers: Iterable[Header]) -> Iterator[Slice]:
    for header in headers:
        yield from parsed(case, header.path, partial(slices_of, case, header.dataset))


def _hounsfield(case: str, stack: Stack) -> npt.NDArray[np.int16]:
    """Return int16 HU (slices, rows, columns)."""
    voxels = np.empty((len(stack.slices), *stack.slices[0].size), np.int16)
    frames_of: dict[Path, list[int]] = {}
    for place, each in enumerate(stack.slices):
        frames_of.setdefault(each.path, []).append(place)
    for places in frames_of.values():
        path = stack.slices[places[0]].path
        stored, padding = parsed(case, path, _pixels)
        for place in places:
            each = stack.slices[place]
            slope, intercept = each.rescale
            frame = stored[each.frame]
            hu = as_hu(frame.astype(np.float64) * slope + intercept)
            voxels[place] = np.where(_padded(frame, padding), np.int16(AIR_HU), hu)
    return voxels


def _pixels(path: Path) -> tuple[npt.NDArray[np.int64], tuple[int, int] | None]:
    """Return the stored values (frames, rows, columns) and the range of those that are padding."""
    dataset = pydicom.dcmread(path)
    if dataset.PhotometricInterpretation != "MONOCHROME2":
        raise ValueError(f"PhotometricInterpretation is {dataset.PhotometricInterpretation}, not MONOCHROME2")
    stored = dataset.pixel_array
    stored = stored[None] if stored.ndim == 2 else stored
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return stored, None
    limit = dataset.get("PixelPaddingRangeLimit", value)
    return stored, (min(value, limit), max(value, limit))


def _padded(frame: npt.NDArray[np.int64], padding: tuple[int, int] | None) -> npt.NDArray[np.bool_]:
    """Return where nothing was measured, PS3.3 C.7.5.1.1.2."""
    if padding is None:
        return np.zeros(frame.shape, np.bool_)
    inside: npt.NDArray[np.bool_] = (frame >= padding[0]) & (frame <= padding[1])
    return inside
