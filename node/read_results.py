"""Reading results back: from DICOM SEG and SR objects to masks and measurements, as a viewer would."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import SegmentationStorage
from scipy import ndimage

from ai.labels import Code
from ai.measurement import Drawing, Finding, Measurement, Measurements, NotComputed, Unit
from ai.orientation import Orientation
from ai.segmentation import Mask, ModelIdentity, Segmentation
from node.codes import (
    CONCEPTS,
    FIELD,
    FINDINGS,
    LIMITATION,
    MASK_NOTE,
    MEASUREMENT_GROUP,
    MEASUREMENT_NOTE,
    NOT_COMPUTED,
    SOURCE_NOTE,
    YES,
)
from node.contexts import LABEL_MAP_STORAGE

TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")

NAMES_APART = ", "
"""Between the measurements of one line, in its Tracking Identifier."""

SEGMENTATIONS = frozenset({SegmentationStorage, LABEL_MAP_STORAGE})

NOT_TOLD = "not told: "
"""How `ai.measurement.Finding.text` begins where there is no answer."""


@dataclass(frozen=True, eq=False)
class ReceivedSegment:
    """A segment of a SEG: its number, its Segment Label, and where it is on the source's pixels."""

    number: int
    label: str
    mask: Mask


@dataclass(frozen=True, eq=False)
class Received:
    """What an archive holds about one radiograph.

    Attributes:
        shape: (rows, columns) of the source; (0, 0) where no SEG came.
        segments: Of all SEG objects, in their order, on the source's stored pixels.
        measurements: Of all SR objects.
        notes: What the reports say was odd about the radiograph, and repaired in the masks.
    """

    shape: tuple[int, int]
    segments: tuple[ReceivedSegment, ...]
    measurements: Measurements
    notes: tuple[str, ...] = ()

    def segmentation(self, orientation: Orientation) -> Segmentation:
        """Return the segments by label on the radiograph's usual grid; the model is left unnamed."""
        dense = {segment.label: segment.mask.dense(self.shape) for segment in self.segments}
        turned = {name: Mask.from_dense(orientation.to_usual(pixels)) for name, pixels in dense.items()}
        shape = self.shape[::-1] if orientation.transpose else self.shape
        masks = {name: mask for name, mask in turned.items() if mask is not None}
        return Segmentation(shape, masks, ModelIdentity("received", "", ""))


def read_results(files: Sequence[Path]) -> Received:
    """Return what SEG and SR files hold.

    Args:
        files: Of one radiograph.
    """
    datasets = [dcmread(file) for file in files]
    segs = [dataset for dataset in datasets if dataset.SOPClassUID in SEGMENTATIONS]
    segments = [segment for dataset in segs for segment in read_segments(dataset)]
    reports = [dataset for dataset in datasets if dataset.Modality == "SR"]
    read = [read_measurements(dataset) for dataset in reports]
    measured = tuple(result for each in read for result in each)
    findings = tuple(finding for each in read for finding in each.findings)
    shape = (int(segs[0].Rows), int(segs[0].Columns)) if segs else (0, 0)
    notes = [note for dataset in reports for note in read_notes(dataset)]
    return Received(shape, tuple(segments), Measurements(measured, findings), tuple(notes))


def read_notes(report: Dataset) -> Iterator[str]:
    """Yield what one of our reports says about the radiograph and about the masks."""
    for item in _content(report):
        if item.ValueType == "TEXT" and (_is(item, SOURCE_NOTE) or _is(item, MASK_NOTE)):
            yield str(item.TextValue)


def read_segments(seg: Dataset) -> Iterator[ReceivedSegment]:
    """Yield the segments of a Segmentation or label map (PS3.3 A.51, A.96) of a single-frame source.

    One frame is decoded at a time: all of them would take a gigabyte.
    """
    labels = {int(item.SegmentNumber): str(item.SegmentLabel) for item in seg.SegmentSequence}
    if seg.SOPClassUID == LABEL_MAP_STORAGE:
        yield from _segments_of_map(next(iter_pixels(seg)), labels)
        return
    for frame, number in zip(iter_pixels(seg), _segment_numbers(seg), strict=True):
        mask = Mask.from_dense(frame > 0)
        if mask is not None:
            yield ReceivedSegment(number, labels[number], mask)


def _segments_of_map(frame: npt.NDArray[np.integer], labels: dict[int, str]) -> Iterator[ReceivedSegment]:
    boxes = ndimage.find_objects(frame.astype(np.int32))
    for number, label in labels.items():
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is not None:
            rows, columns = box
            yield ReceivedSegment(number, label, Mask(frame[box] == number, rows.start, columns.start))


def _segment_numbers(seg: Dataset) -> list[int]:
    """Return the segment of each frame (PS3.3 C.8.20.3.1)."""
    shared = seg.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
    groups = [
        item.get("SegmentIdentificationSequence", shared) for item in seg.PerFrameFunctionalGroupsSequence
    ]
    return [int(group[0].ReferencedSegmentNumber) for group in groups]


def read_measurements(report: Dataset) -> Measurements:
    """Return measurements and findings of one of our reports (TID 1500), in the order of `node.codes`.

    A measurement group's Tracking Identifier names its values in order; its line is the drawing of each.
    What the second report says of segments is left out.
    """
    texts = [item for item in _content(report) if item.ValueType == "TEXT"]
    results: list[Measurement | NotComputed] = []
    for item in _content(report):
        if item.ValueType == "CONTAINER" and _is(item, MEASUREMENT_GROUP):
            results += _values(item, texts)
    order = list(CONCEPTS)
    missing = (each for each in _sentences(texts, NOT_COMPUTED) if each[0] in order)
    results += [NotComputed(name, reason) for name, reason in missing]
    ordered = sorted(results, key=lambda result: order.index(result.name))
    return Measurements(tuple(ordered), tuple(_findings(report, texts)))


def read_drawings(report: Dataset) -> Iterator[Drawing]:
    """Yield every line of one of our reports, in stored pixels; its name is its Tracking Identifier."""
    for item in _content(report):
        if item.ValueType == "CONTAINER" and _is(item, MEASUREMENT_GROUP):
            yield from _drawings(list(_content(item)))


def _drawings(items: Sequence[Dataset]) -> Iterator[Drawing]:
    identifier = next(str(item.TextValue) for item in items if _is(item, TRACKING_IDENTIFIER))
    lines = (item for item in items if item.ValueType == "SCOORD")  # a group of a segment has none
    yield from (Drawing(identifier, tuple(points_of(line.GraphicData))) for line in lines)


def _findings(report: Dataset, texts: Sequence[Dataset]) -> Iterator[Finding]:
    for item in _content(report):
        name = next((name for name, code in FINDINGS.items() if _is(item, code)), None)
        if name is not None:
            yield Finding(name, bool(item.ConceptCodeSequence[0].CodeValue == YES.value))
    for name, words in _sentences(texts, FIELD):
        told = words.removeprefix(NOT_TOLD)
        yield Finding(name, None, told) if told != words else Finding(name, words == "yes")


def _values(group: Dataset, texts: Sequence[Dataset]) -> Iterator[Measurement]:
    items = list(_content(group))
    drawing = next(_drawings(items), None)
    if drawing is None:
        return
    numbers = [item for item in items if item.ValueType == "NUM"]
    for name, number in zip(drawing.name.split(NAMES_APART), numbers, strict=False):
        measured = number.MeasuredValueSequence[0]
        unit = Unit(measured.MeasurementUnitsCodeSequence[0].CodeValue)
        told = (*_sentences(texts, MEASUREMENT_NOTE), *_sentences(texts, LIMITATION))
        remarks = tuple(remark for about, remark in told if about == name)
        yield Measurement(name, float(measured.NumericValue), unit, (drawing,), (), remarks)


def points_of(graphic_data: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Yield the (column, row) pairs of Graphic Data (PS3.3 C.18.6.1.1).

    >>> list(points_of([1, 2, 3, 4]))
    [(1.0, 2.0), (3.0, 4.0)]
    """
    for column, row in zip(graphic_data[::2], graphic_data[1::2], strict=True):
        yield float(column), float(row)


def _sentences(texts: Sequence[Dataset], kind: Code) -> Iterator[tuple[str, str]]:
    for item in texts:
        if _is(item, kind):
            name, _, words = item.TextValue.partition(": ")
            yield name, words


def _content(item: Dataset) -> Iterator[Dataset]:
    """Yield every content item below one (PS3.3 C.17.3), at any depth."""
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _content(child)


def _is(item: Dataset, code: Code) -> bool:
    name = item.get("ConceptNameCodeSequence")
    return bool(name) and (name[0].CodeValue, name[0].CodingSchemeDesignator) == (code.value, code.scheme)
