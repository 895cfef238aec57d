"""DICOM segmentations, binary and label map ones, PS3.3 A.51."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.utils import iter_pixels

from ai.labels import Code
from pipeline_training.errors import VolumeError
from pipeline_training.intake.dicom_folder import Header, parsed, sequence
from pipeline_training.intake.dicom_slices import (
    ROUNDING,
    Slice,
    frame_place,
    functional,
    normal_of,
    one,
    plane_matrix,
)
from pipeline_training.intake.geometry import Grid, Placed
from pipeline_training.intake.labelling import Labelling, Painter, onto
from pipeline_training.intake.structures import by_code, by_name

EVEN = 0.1
"""Share of the distance of slices by which a frame may lie beside its place."""


def read_segmentation(case: str, header: Header, grid: Grid) -> Labelling:
    """Return a SEG object's segments on the working grid; where two overlap, the smaller one stays.

    A segment is taken for a structure by its Segment Label or, failing that, by its SNOMED CT property type
    and modifiers. Others are named in the remarks.

    Raises:
        VolumeError: If it is fractional, its frames make no stack, or it lies elsewhere than the CT.
    """
    return parsed(case, header.path, partial(_read, case, grid))


def _read(case: str, grid: Grid, path: Path) -> Labelling:
    dataset = pydicom.dcmread(path)
    kind = str(dataset.get("SegmentationType"))
    if kind not in ("BINARY", "LABELMAP"):
        raise VolumeError(f"{case}: {path.name} is a {kind} segmentation; BINARY and LABELMAP can be read")
    segments, remarks = _matched(dataset, path.name)
    planes, to_patient = _planes(case, dataset)
    shape = (int(planes.max()) + 1, int(dataset.Rows), int(dataset.Columns))
    masks = _label_map_masks if kind == "LABELMAP" else _binary_masks
    painter = Painter(case, shape)
    for name, mask in masks(dataset, planes, segments, shape):
        painter.paint(name, mask)
    labelling = painter.labelling(remarks)
    labels = onto(case, path.name, Placed(labelling.labels, to_patient), grid).astype(np.uint8)
    present = set(np.unique(labels).tolist())
    names = {number: name for number, name in labelling.names.items() if number in present}
    return Labelling(labels, names, labelling.vocabulary, remarks)


def _matched(dataset: pydicom.Dataset, name: str) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return the structure of each Segment Number, and words about the segments that are none of ours."""
    known, remarks = {}, []
    for segment in dataset.SegmentSequence:
        number, label = int(segment.SegmentNumber), str(segment.get("SegmentLabel", ""))
        structure = by_name(label) or _coded(segment)
        if structure is not None:
            known[number] = structure
        elif number:  # 0 is the background of a label map
            remarks.append(f"{name}: segment {number} {label!r} is no structure that is known")
    return known, tuple(remarks)


def _coded(segment: pydicom.Dataset) -> str | None:
    for kind in sequence(segment, "SegmentedPropertyTypeCodeSequence"):
        modifiers = sequence(kind, "SegmentedPropertyTypeModifierCodeSequence")
        return by_code(_code(kind), [_code(each) for each in modifiers])
    return None


def _code(item: pydicom.Dataset) -> Code:
    value, scheme, meaning = (
        str(item.get(keyword, "")) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    )
    return Code(value, scheme, meaning)


def _planes(case: str, dataset: pydicom.Dataset) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.float64]]:
    """Return the slice that each frame lies on, from the lowest, and the way from indices to LPS mm."""
    count = len(dataset.PerFrameFunctionalGroupsSequence)
    size = (int(dataset.Rows), int(dataset.Columns))
    frames = [Slice(Path(), number, *frame_place(case, dataset, number), size) for number in range(count)]
    one(case, "orientations in a segmentation", (tuple(np.round(each.orientation, 3)) for each in frames))
    one(case, "pixel spacings in a segmentation", (tuple(np.round(each.spacing, 3)) for each in frames))
    normal = normal_of(frames[0].orientation)
    along = np.array([float(each.position @ normal) for each in frames])
    step = _step(case, dataset, np.unique(np.round(along - along.min(), 3)))
    planes = np.rint((along - along.min()) / step).astype(int)
    return planes, plane_matrix(frames[int(along.argmin())], normal * step)


def _step(case: str, dataset: pydicom.Dataset, heights: npt.NDArray[np.float64]) -> float:
    """Return the distance of slices: what the object states, or else the least one that its frames have.

    Raises:
        VolumeError: If the frames do not lie at multiples of it.
    """
    measures = functional(dataset, 0, "PixelMeasuresSequence")
    stated = [measures.get("SpacingBetweenSlices"), measures.get("SliceThickness")]
    candidates = [abs(float(stated[0]))] if stated[0] else []
    candidates += [float(np.diff(heights).min())] if len(heights) > 1 else []
    candidates += [abs(float(stated[1]))] if stated[1] else []
    for step in candidates:
        if step > ROUNDING and (np.abs(heights / step - np.rint(heights / step)) < EVEN).all():
            return step
    raise VolumeError(
        f"{case}: the frames of the segmentation are not evenly spaced, or their distance is not stated: "
        f"{candidates} mm"
    )


Masks = Iterator[tuple[str, npt.NDArray[np.bool_]]]
Shape = tuple[int, int, int]


def _binary_masks(
    dataset: pydicom.Dataset, planes: npt.NDArray[np.int_], segments: dict[int, str], shape: Shape
) -> Masks:
    """Yield the mask of one segment after the other: all at once would be gigabytes."""
    frames: dict[int, list[int]] = {number: [] for number in segments}
    for frame in range(len(planes)):
        item = functional(dataset, frame, "SegmentIdentificationSequence")
        frames.get(int(item.ReferencedSegmentNumber), []).append(frame)
    for number, name in segments.items():
        mask = np.zeros(shape, np.bool_)
        if frames[number]:
            decoded = iter_pixels(dataset, indices=frames[number])
            for frame, pixels in zip(frames[number], decoded, strict=True):
                mask[planes[frame]] |= pixels != 0
        yield name, mask


def _label_map_masks(
    dataset: pydicom.Dataset, planes: npt.NDArray[np.int_], segments: dict[int, str], shape: Shape
) -> Masks:
    numbers = np.zeros(shape, np.uint16)
    for frame, pixels in enumerate(iter_pixels(dataset)):
        numbers[planes[frame]] = pixels
    for number, name in segments.items():
        yield name, numbers == number
