"""The way of one image: read, look at it, segment, measure, write, check."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset

from ai.errors import NotAChestError, RadiographError
from ai.measure import measure
from ai.measurement import Measurements
from ai.segmentation import Segmentation
from ai.segmenter import Segmenter
from node.appearance import Examiner
from node.attributes import CONVERSION_ERRORS
from node.conformance import check_conformance
from node.errors import RefusedImageError, ResultError, UndecodableError
from node.options import OutputOptions
from node.reader import Source, read_radiograph
from node.seg_writer import write_segmentation
from node.sr_writer import write_report

Observe = Callable[[str, float], None]
"""Told the name of a stage and the seconds that it took."""


@dataclass(frozen=True, eq=False)
class ResultObject:
    """A finished result: "SEG" or "SR", and its data set with file meta information."""

    kind: str
    dataset: Dataset


@dataclass(frozen=True, eq=False)
class Processed:
    """What became of one radiograph.

    Attributes:
        source: The radiograph.
        segmentation: What was found in it, on `source.radiograph`'s grid.
        measurements: What was measured there.
        results: To be delivered, each checked.
        timings: Seconds by stage: read, judge (where one looks), segment, measure, write.
    """

    source: Source
    segmentation: Segmentation
    measurements: Measurements
    results: tuple[ResultObject, ...]
    timings: Mapping[str, float]


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
    with _timed("read", timings, observe):
        source = read_radiograph(path, guess_polarity=examiner is None)
    if examiner is not None:
        options = replace(options, judged=examiner.digest)
        with _timed("judge", timings, observe):
            source = examiner.examine(source)
    with _timed("segment", timings, observe):
        segmentation = _segment(segmenter, source)
    with _timed("measure", timings, observe):
        measurements = measure(source.radiograph, segmentation)
    with _timed("write", timings, observe):
        results = write(source, segmentation, measurements, options)
    return Processed(source, segmentation, measurements, results, timings)


def write(
    source: Source, segmentation: Segmentation, measurements: Measurements, options: OutputOptions
) -> tuple[ResultObject, ...]:
    """Return the results that the options ask for.

    Raises:
        ResultError: If one of them cannot be made or breaks a rule; none is returned then.
    """
    try:
        results = _write(source, segmentation, measurements, options)
    except CONVERSION_ERRORS as exc:  # of highdicom and pydicom, for what they cannot express
        raise ResultError(f"a result cannot be made ({type(exc).__name__})") from exc
    for result in results:
        check_conformance(result.dataset)
    return tuple(results)


def _write(
    source: Source, segmentation: Segmentation, measurements: Measurements, options: OutputOptions
) -> list[ResultObject]:
    results: list[ResultObject] = []
    seg = write_segmentation(source, segmentation, options) if options.seg and segmentation.masks else None
    if seg is not None:
        results.append(ResultObject("SEG", seg))
    if options.sr:
        results.append(ResultObject("SR", write_report(source, segmentation, measurements, seg, options)))
    return results


def _segment(segmenter: Segmenter, source: Source) -> Segmentation:
    try:
        return segmenter.segment([source.radiograph])[0]
    except NotAChestError as exc:
        raise RefusedImageError(str(exc)) from exc
    except RadiographError as exc:
        raise UndecodableError(str(exc)) from exc


@contextmanager
def _timed(stage: str, timings: dict[str, float], observe: Observe | None) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
    if observe is not None:
        observe(stage, timings[stage])
