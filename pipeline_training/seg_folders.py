"""Corrected masks as they come back from a viewer: DICOM SEG objects and the radiographs that they lie on.

A folder holds both, in any order and depth. A SEG points to its radiograph by Referenced SOP Instance UID (in
the Source Image Sequence of its frames, PS3.3 C.7.6.16.2.6, or in its Referenced Series Sequence). A segment
is the structure whose name its Segment Label is, as the node writes it. Every segment that a SEG has counts
as corrected; one without a frame says that the structure is not there; of a structure without a segment
nothing is known. A SEG of another grid than its radiograph's is refused: a projection states no plane to map
it by.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import SegmentationStorage

from ai.errors import LabelError, RadiographError
from ai.labels import label
from ai.segmentation import Mask
from pipeline_training.corrected import Corrected, Drawn, read_pictures
from pipeline_training.dicom_picture import check_picture, picture_of
from pipeline_training.errors import RadiographSetError

PARSE_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
"""What pydicom and its decoders raise on broken files."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Seg:
    """A SEG without its pixels: which radiograph it lies on, and its segments by number."""

    path: Path
    source: str
    shape: tuple[int, int]
    segments: Mapping[int, str]


def read_corrected(folder: Path) -> tuple[Corrected, ...]:
    """Return the corrected images of a folder: pictures with masks, or DICOM SEG with their radiographs.

    Raises:
        RadiographSetError: If it holds neither, or something that cannot be used, which is named.
    """
    if (folder / "images").is_dir():
        return read_pictures(folder)
    segs, radiographs = _sorted_out(folder)
    if not segs:
        raise RadiographSetError(f"{folder} holds neither an images/ folder nor a DICOM SEG")
    by_source: dict[str, list[_Seg]] = {}
    for seg in segs:
        if seg.source not in radiographs:
            raise RadiographSetError(f"{seg.path.name}: its radiograph {seg.source} is not in {folder}")
        by_source.setdefault(seg.source, []).append(seg)
    return tuple(_corrected(*radiographs[uid], each) for uid, each in sorted(by_source.items()))


def patient_hash(name: str, dataset: pydicom.Dataset) -> str:
    """Return a hash of Patient ID (0010,0020) and its issuer: the same for all images of a patient.

    Raises:
        RadiographSetError: If there is none: two images of one patient could not be told as such.
    """
    patient = str(dataset.get("PatientID") or "").strip()
    if not patient:
        raise RadiographSetError(f"{name}: Patient ID is empty, images cannot be held back by patient")
    issuer = str(dataset.get("IssuerOfPatientID") or "").strip()
    return hashlib.sha256(f"{issuer}\\{patient}".encode()).hexdigest()


def image_hash(uid: str) -> str:
    """Return the first 16 digits of the sha256 of a SOP Instance UID (0008,0018), which it does not tell.

    >>> image_hash("1.2.3")
    'c47f5b18b8a430e6'
    """
    return hashlib.sha256(uid.encode()).hexdigest()[:16]


def _sorted_out(folder: Path) -> tuple[list[_Seg], dict[str, tuple[Path, pydicom.Dataset]]]:
    """Return the SEGs, and all other objects by SOP Instance UID."""
    segs: list[_Seg] = []
    others: dict[str, tuple[Path, pydicom.Dataset]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            continue  # not DICOM: a note, a DICOMDIR's companion
        except PARSE_ERRORS as exc:
            raise RadiographSetError(f"{path.name} cannot be read: {exc!r}") from exc
        if dataset.get("SOPClassUID") == SegmentationStorage:
            segs.append(_parsed(path.name, partial(_seg, path, dataset)))
        else:
            others[str(dataset.get("SOPInstanceUID", ""))] = (path, dataset)
    return segs, others


def _seg(path: Path, dataset: pydicom.Dataset) -> _Seg:
    sources = set(_source_uids(dataset))
    if len(sources) != 1:
        raise RadiographSetError(f"{path.name}: it points to {len(sources)} images, a radiograph is one")
    segments: dict[int, str] = {}
    for item in dataset.SegmentSequence:
        try:
            name = label(str(item.SegmentLabel)).name
        except LabelError as exc:
            raise RadiographSetError(f"{path.name}: Segment Label: {exc}") from exc
        if name in segments.values():
            raise RadiographSetError(f"{path.name}: two segments are labelled {name!r}")
        segments[int(item.SegmentNumber)] = name
    return _Seg(path, sources.pop(), (int(dataset.Rows), int(dataset.Columns)), segments)


def _source_uids(dataset: pydicom.Dataset) -> Iterator[str]:
    """Yield the images that frames were drawn on; where no frame says so, those that the SEG refers to."""
    groups = [*_items(dataset, "SharedFunctionalGroupsSequence"), *_frames(dataset)]
    images = [
        image
        for group in groups
        for derivation in _items(group, "DerivationImageSequence")
        for image in _items(derivation, "SourceImageSequence")
    ]
    if not images:
        images = [
            image
            for series in _items(dataset, "ReferencedSeriesSequence")
            for image in _items(series, "ReferencedInstanceSequence")
        ]
    for image in images:
        yield str(image.ReferencedSOPInstanceUID)


def _corrected(path: Path, dataset: pydicom.Dataset, segs: list[_Seg]) -> Corrected:
    check_picture(path.name, dataset)
    shape = (int(dataset.Rows), int(dataset.Columns))
    seen: dict[str, _Seg] = {}
    for seg in segs:
        if seg.shape != shape:
            raise RadiographSetError(
                f"{seg.path.name} has {seg.shape} rows and columns, its radiograph {path.name} {shape}"
            )
        for name in seg.segments.values():
            if name in seen:
                raise RadiographSetError(
                    f"{seen[name].path.name} and {seg.path.name} both say where {name!r} is: keep one"
                )
            seen[name] = seg
    key, patient = image_hash(segs[0].source), patient_hash(path.name, dataset)
    return Corrected(key, path.name, patient, frozenset(seen), lambda: _read(path, segs))


def _read(path: Path, segs: list[_Seg]) -> Drawn:
    try:
        radiograph = _parsed(path.name, lambda: picture_of(pydicom.dcmread(path)))
    except RadiographError as exc:
        raise RadiographSetError(f"{path.name}: {exc}") from exc
    masks: dict[str, Mask | None] = {}
    for seg in segs:
        masks |= _parsed(seg.path.name, partial(_masks, seg))
    return Drawn(radiograph, masks)


def _masks(seg: _Seg) -> dict[str, Mask | None]:
    """Return the masks of a SEG, one frame in memory at a time; fractions count from one half on."""
    dataset = pydicom.dcmread(seg.path)
    half = int(dataset.get("MaximumFractionalValue") or 1) / 2
    seen: set[str] = set()
    masks: dict[str, Mask | None] = dict.fromkeys(seg.segments.values())
    shared = _items(dataset, "SharedFunctionalGroupsSequence")
    for group, frame in zip(_frames(dataset), iter_pixels(dataset), strict=True):
        (number,) = {
            int(item.ReferencedSegmentNumber)
            for each in (*shared, group)
            for item in _items(each, "SegmentIdentificationSequence")
        }
        name = seg.segments[number]
        if name in seen:
            raise RadiographSetError(f"{seg.path.name}: two frames show {name!r} of one radiograph")
        seen.add(name)
        masks[name] = Mask.from_dense(np.asarray(frame > half))
    return masks


def _frames(dataset: pydicom.Dataset) -> list[pydicom.Dataset]:
    return _items(dataset, "PerFrameFunctionalGroupsSequence")


def _items(dataset: Any, keyword: str) -> list[pydicom.Dataset]:
    return list(dataset.get(keyword) or [])


def _parsed(name: str, read: Callable[[], T]) -> T:
    """Return what `read` makes of a file; a missing or broken attribute is told as ours."""
    try:
        return read()
    except PARSE_ERRORS as exc:
        raise RadiographSetError(f"{name} cannot be read: {exc!r}") from exc
