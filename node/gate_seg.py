"""Rules of Segmentations and label maps (PS3.3 A.51, C.8.20), and what their viewers trip over."""

from collections.abc import Iterator

import numpy as np
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from node.attributes import CONVERSION_ERRORS
from node.gate import Violation, missing, value_of
from node.mask_encoding import runs

TYPE_1 = (
    *("ImageType", "ContentLabel", "Rows", "Columns", "BitsAllocated", "NumberOfFrames", "SegmentationType"),
    *("LossyImageCompression", "DimensionOrganizationSequence", "DimensionIndexSequence", "SegmentSequence"),
    *("ReferencedSeriesSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("PixelData", "ContentDate", "ContentTime"),
)
SEGMENT_TYPE_1 = (
    *("SegmentLabel", "SegmentAlgorithmType", "SegmentAlgorithmName", "TrackingID", "TrackingUID"),
    *("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"),
    "RecommendedDisplayCIELabValue",
)
BACKGROUND_TYPE = ("125040", "DCM")
"""The code that a label map may have for what is none of its structures."""


def segmentation(seg: Dataset) -> Iterator[Violation]:
    """Yield what is wrong with a Segmentation or a label map."""
    absent = list(missing(seg, TYPE_1))
    yield from absent
    if absent:
        return
    yield from _segments(seg)
    yield from _frames(seg)
    yield from _pixels(seg)
    yield from _geometry(seg)


def _segments(seg: Dataset) -> Iterator[Violation]:
    numbers = [value_of(segment, "SegmentNumber") for segment in seg.SegmentSequence]
    if 0 in numbers or any(_is_background(segment) for segment in seg.SegmentSequence):
        yield Violation("SEG-BACKGROUND", "a segment is the background")
    elif numbers != list(range(1, len(numbers) + 1)):
        yield Violation("SEG-NUMBERS", "Segment Numbers do not run from 1 without a gap")
    for segment in seg.SegmentSequence:
        yield from missing(segment, SEGMENT_TYPE_1, f"segment {value_of(segment, 'SegmentNumber')}: ")


def _is_background(segment: Dataset) -> bool:
    codes = value_of(segment, "SegmentedPropertyTypeCodeSequence") or []
    return any(
        (value_of(code, "CodeValue"), value_of(code, "CodingSchemeDesignator")) == BACKGROUND_TYPE
        for code in codes
    )


def _frames(seg: Dataset) -> Iterator[Violation]:
    frames = seg.PerFrameFunctionalGroupsSequence
    if len(frames) != seg.NumberOfFrames:
        words = f"Number of Frames {seg.NumberOfFrames} differs from {len(frames)} per-frame items"
        yield Violation("SEG-FRAMES", words)
    if seg.SegmentationType != "LABELMAP":
        groups = [value_of(frame, "SegmentIdentificationSequence") for frame in frames]
        shown = {value_of(group[0], "ReferencedSegmentNumber") for group in groups if group}
        if shown != {value_of(segment, "SegmentNumber") for segment in seg.SegmentSequence}:
            yield Violation("SEG-FRAMES", "segments and frames do not correspond")
    if not all(value_of(frame, "DerivationImageSequence") for frame in frames):
        yield Violation("SEG-SOURCE", "a frame does not name its source image (Derivation Image Sequence)")
    if seg.get("SegmentsOverlap") not in (("NO",) if seg.SegmentationType == "LABELMAP" else ("YES", "NO")):
        yield Violation("SEG-OVERLAP", f"Segments Overlap is {seg.get('SegmentsOverlap')!s}")


def _pixels(seg: Dataset) -> Iterator[Violation]:
    if seg.file_meta.TransferSyntaxUID.is_encapsulated:
        yield from _encapsulated_pixels(seg)
        return
    pixels_per_frame = seg.Rows * seg.Columns
    if seg.BitsAllocated == 1 and seg.NumberOfFrames > 1 and pixels_per_frame % 8:
        yield Violation("SEG-ALIGNED", "frames of one bit a pixel do not begin with a byte")
        return
    frame_bytes = -(-pixels_per_frame * seg.BitsAllocated // 8)
    wanted = frame_bytes * seg.NumberOfFrames
    if len(seg.PixelData) != wanted + wanted % 2:
        words = f"Pixel Data has {len(seg.PixelData)} bytes, {wanted + wanted % 2} belong there"
        yield Violation("SEG-LENGTH", words)
        return
    data = np.frombuffer(seg.PixelData, np.bool_, wanted).reshape(seg.NumberOfFrames, frame_bytes)
    empty = [index for index, frame in enumerate(data) if not frame.any()]  # reads up to the first pixel
    yield from (Violation("SEG-EMPTY", f"frame {index + 1} is empty") for index in empty)


def _encapsulated_pixels(seg: Dataset) -> Iterator[Violation]:
    if seg.BitsAllocated == 1:
        yield Violation("SEG-ENCAPSULATED", "one bit a pixel is encapsulated")
    try:
        frames = list(generate_frames(seg.PixelData, number_of_frames=seg.NumberOfFrames))
    except CONVERSION_ERRORS:
        frames = []
    if len(frames) != seg.NumberOfFrames:
        yield Violation("SEG-LENGTH", f"Pixel Data holds {len(frames)} frames, not {seg.NumberOfFrames}")
    elif seg.file_meta.TransferSyntaxUID == RLELossless:
        yield from _run_lengths(seg, frames)


def _run_lengths(seg: Dataset, frames: list[bytes]) -> Iterator[Violation]:
    """Yield what the pixels say that our own coder wrote: pairs of a count and a value (PS3.5 G.3)."""
    is_map = seg.SegmentationType == "LABELMAP"
    wanted = set(range(len(seg.SegmentSequence) + 1)) if is_map else None
    for number, frame in enumerate(frames, start=1):
        try:
            lengths, values = runs(frame)
        except ValueError as exc:
            yield Violation("SEG-LENGTH", f"frame {number}: {exc}")
            continue
        if int(lengths.sum()) != seg.Rows * seg.Columns:
            yield Violation("SEG-LENGTH", f"frame {number} holds {int(lengths.sum())} pixels")
        found = set(np.unique(values).tolist())
        if wanted is not None and not wanted - {0} <= found <= wanted:
            yield Violation("SEG-PIXELS", "the label map's pixels are not its segments")
        elif found == {0}:
            yield Violation("SEG-EMPTY", f"frame {number} is empty")


def _geometry(seg: Dataset) -> Iterator[Violation]:
    shared = seg.SharedFunctionalGroupsSequence[0]
    orientation = shared.get("PlaneOrientationSequence")
    if orientation:
        stated = [float(value) for value in orientation[0].ImageOrientationPatient]
        if stated != [1, 0, 0, 0, 1, 0] or "FrameOfReferenceUID" in seg:
            words = "an orientation in space is stated that the source does not have"
            yield Violation("SEG-ORIENTATION", words)
    series = seg.ReferencedSeriesSequence[0]
    yield from missing(series, ("SeriesInstanceUID", "ReferencedInstanceSequence"), "referenced series: ")
