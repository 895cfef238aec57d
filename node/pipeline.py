"""The way of one image: read, look at it, segment, measure, write, check."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset

from ai.anatomy import chosen
from ai.errors import NotAChestError, RadiographError
from ai.measure import measure
from ai.measurement import Measurements
from ai.segmentation import Segmentation
from ai.segmenter import Segmenter
from node.appearance import Examiner
from node.attributes import CONVERSION_ERRORS
from node.conformance import check_conformance, encoded
from node.errors import RefusedImageError, ResultError, UndecodableError
from node.options import OutputOptions
from node.presentation_state import can_be_presented, write_presentation_state
from node.reader import Source, read_radiograph
from node.report_frame import Predecessor, ReportFrame
from node.result_header import PRESENTATION_STATE, REPORT, SECONDARY_CAPTURE, STRUCTURE_REPORT
from node.secondary_capture import write_secondary_capture
from node.seg_writer import write_segmentations
from node.sr_writer import write_report
from node.structure_report import write_structure_report

Observe = Callable[[str, float], None]
"""Told the name of a stage and the seconds that it took."""


@dataclass(frozen=True, eq=False)
class ResultObject:
    """A finished result: `str(ResultKind)`, and its data set with file meta information."""

    kind: str
    dataset: Dataset

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The result as a DICOM file, in pieces; ResultError where it cannot be encoded."""
        return encoded(self.dataset)

    @property
    def content(self) -> bytes:
        """The pieces together, copied."""
        return b"".join(self.pieces)


@dataclass(frozen=True, eq=False)
class Understood:
    """What was found on one radiograph, before any result is written.

    Attributes:
        source: The radiograph.
        segmentation: What was found in it, on `source.radiograph`'s grid.
        measurements: What was measured there.
        judged: Digest of the examiner that looked at the picture; "" where none did.
    """

    source: Source
    segmentation: Segmentation
    measurements: Measurements
    judged: str = ""


@dataclass(frozen=True, eq=False)
class Processed(Understood):
    """What became of one radiograph.

    Attributes:
        results: To be delivered, each checked.
        timings: Seconds by stage: read, judge (where one looks), segment, measure, write.
    """

    results: tuple[ResultObject, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)


def process(
    path: Path | BinaryIO,
    segmenter: Segmenter,
    options: OutputOptions,
    observe: Observe | None = None,
    examiner: Examiner | None = None,
) -> Processed:
    """Return the results of one radiograph.

    Args:
        path: A DICOM file.
        segmenter: Finds the anatomy.
        options: What is written, and how.
        observe: Told how long each stage took.
        examiner: Looks at the picture before it is segmented; None leaves that to the model and the tags.

    Raises:
        RefusedImageError: If the node does not serve such an image.
        UndecodableError: If its bytes cannot be parsed or decoded.
        ResultError: If a result breaks a rule of the Standard or of a viewer.
        OSError: If the file cannot be read.
    """
    timings: dict[str, float] = {}

    def note(stage: str, seconds: float) -> None:
        timings[stage] = seconds
        if observe is not None:
            observe(stage, seconds)

    found = understand(path, segmenter, note, examiner)
    with _timed("write", note):
        results = write(found, options)
    return Processed(found.source, found.segmentation, found.measurements, found.judged, results, timings)


def understand(
    path: Path | BinaryIO, segmenter: Segmenter, observe: Observe, examiner: Examiner | None = None
) -> Understood:
    """Return what one radiograph shows; arguments and errors as in `process`."""
    with _timed("read", observe):
        source = read_radiograph(path, guess_polarity=examiner is None)
    if examiner is not None:
        with _timed("judge", observe):
            source = examiner.examine(source)
    with _timed("segment", observe):
        segmentation = _segment(segmenter, source)
    with _timed("measure", observe):
        measurements = measure(source.radiograph, segmentation)
    return Understood(source, segmentation, measurements, examiner.digest if examiner else "")


def write(
    found: Understood, options: OutputOptions, predecessors: Sequence[Predecessor] = ()
) -> tuple[ResultObject, ...]:
    """Return the results that the options ask for.

    Args:
        found: What the radiograph shows.
        options: What is written, and how.
        predecessors: Reports on the same radiograph that were made before, the oldest first.

    Raises:
        ResultError: If one of them cannot be made or breaks a rule; none is returned then.
    """
    try:
        results = _write(found, replace(options, judged=found.judged), predecessors)
    except CONVERSION_ERRORS as exc:  # of highdicom and pydicom, for what they cannot express
        raise ResultError(f"a result cannot be made ({type(exc).__name__})") from exc
    for result in results:
        check_conformance(result.dataset)
        assert result.pieces, "what leaves has been encoded"
    return tuple(results)


def _write(
    found: Understood, options: OutputOptions, predecessors: Sequence[Predecessor]
) -> list[ResultObject]:
    found = replace(found, measurements=found.measurements.chosen(options.measurements))
    source, segmentation = found.source, found.segmentation
    segs = write_segmentations(source, segmentation, options)
    results = [ResultObject(str(kind), seg) for kind, seg in segs]
    frame = ReportFrame(source, segmentation, [seg for _, seg in segs], options, predecessors)
    if options.report != "none":
        results.append(ResultObject(str(REPORT), write_report(frame, found.measurements)))
    if options.structure_report and segs:
        results.append(ResultObject(str(STRUCTURE_REPORT), write_structure_report(frame)))
    return [*results, *_pictures(found, options)]


def _pictures(found: Understood, options: OutputOptions) -> Iterator[ResultObject]:
    """Yield what shows the chosen structures to viewers without SEG."""
    wanted = chosen(options.structures)
    masks = {name: mask for name, mask in found.segmentation.masks.items() if name in wanted}
    shown = (found.source, replace(found.segmentation, masks=masks), found.measurements, options)
    if options.presentation_state and can_be_presented(found.source):
        yield ResultObject(str(PRESENTATION_STATE), write_presentation_state(*shown))
    if options.secondary_capture:
        yield ResultObject(str(SECONDARY_CAPTURE), write_secondary_capture(*shown))


def _segment(segmenter: Segmenter, source: Source) -> Segmentation:
    try:
        return segmenter.segment([source.radiograph])[0]
    except NotAChestError as exc:
        raise RefusedImageError(str(exc)) from exc
    except RadiographError as exc:
        raise UndecodableError(str(exc)) from exc


@contextmanager
def _timed(stage: str, observe: Observe) -> Iterator[None]:
    start = time.perf_counter()
    yield
    observe(stage, time.perf_counter() - start)
