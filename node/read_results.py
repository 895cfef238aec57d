"""Reading results back: from DICOM SEG and SR objects to masks and measurements, as a viewer would."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import SegmentationStorage

from ai.labels import Code
from ai.measurement import Drawing, Measurement, Measurements, NotComputed, Unit
from ai.orientation import Orientation
from ai.segmentation import Mask, ModelIdentity, Segmentation
from node.codes import CONCEPTS, LIMITATION, MASK_NOTE, MEASUREMENT_GROUP, NOT_COMPUTED, SOURCE_NOTE

TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")


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
    segs = [dataset for dataset in datasets if dataset.SOPClassUID == SegmentationStorage]
    segments = [segment for dataset in segs for segment in read_segments(dataset)]
    reports = [dataset for dataset in datasets if dataset.Modality == "SR"]
    measured = [result for dataset in reports for result in read_measurements(dataset)]
    shape = (int(segs[0].Rows), int(segs[0].Columns)) if segs else (0, 0)
    notes = [note for dataset in reports for note in read_notes(dataset)]
    return Received(shape, tuple(segments), Measurements(tuple(measured)), tuple(notes))


def read_notes(report: Dataset) -> Iterator[str]:
    """Yield what one of our reports says about the radiograph and about the masks."""
    for item in _content(report):
        if item.ValueType == "TEXT" and (_is(item, SOURCE_NOTE) or _is(item, MASK_NOTE)):
            yield str(item.TextValue)


def read_segments(seg: Dataset) -> Iterator[ReceivedSegment]:
    """Yield the segments of a BINARY or FRACTIONAL Segmentation (PS3.3 A.51) of a single-frame source."""
    labels = {int(item.SegmentNumber): str(item.SegmentLabel) for item in seg.SegmentSequence}
    pixels = seg.pixel_array
    frames = pixels if pixels.ndim == 3 else pixels[None]
    for frame, number in zip(frames, _segment_numbers(seg), strict=True):
        mask = Mask.from_dense(frame > 0)
        if mask is not None:
            yield ReceivedSegment(number, labels[number], mask)


def _segment_numbers(seg: Dataset) -> list[int]:
    """Return the segment of each frame (PS3.3 C.8.20.3.1)."""
    shared = seg.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
    groups = [
        item.get("SegmentIdentificationSequence", shared) for item in seg.PerFrameFunctionalGroupsSequence
    ]
    return [int(group[0].ReferencedSegmentNumber) for group in groups]


def read_measurements(report: Dataset) -> Measurements:
    """Return the measurements of one of our reports (TID 1500), in the order of `node.codes.CONCEPTS`.

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
    return Measurements(tuple(sorted(results, key=lambda result: order.index(result.name))))


def _values(group: Dataset, texts: Sequence[Dataset]) -> Iterator[Measurement]:
    items = list(_content(group))
    identifier = next(item.TextValue for item in items if _is(item, TRACKING_IDENTIFIER))
    line = next((item for item in items if item.ValueType == "SCOORD"), None)
    if line is None:  # of a segment, in the second report
        return
    drawing = Drawing(identifier, tuple(points_of(line.GraphicData)))
    numbers = [item for item in items if item.ValueType == "NUM"]
    for name, number in zip(identifier.split(", "), numbers, strict=False):
        measured = number.MeasuredValueSequence[0]
        unit = Unit(measured.MeasurementUnitsCodeSequence[0].CodeValue)
        remarks = tuple(remark for about, remark in _sentences(texts, LIMITATION) if about == name)
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
