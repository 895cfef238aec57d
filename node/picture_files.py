"""The way of a picture that is no DICOM object: read, look at it, segment, measure.

Nothing can be sent back for it: Segmentation and Structured Report refer to the object that they were made
of, and a picture is none.
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID

from ai.errors import RadiographError
from ai.measure import measure
from ai.pictures import given_spacing, read_picture
from ai.segmenter import Segmenter
from node.appearance import Examiner
from node.pipeline import Processed
from node.polarity import looks_turned_over
from node.reader import Source

Spacing = tuple[float, float]
"""Distance in mm between rows and between columns of the stored pixels."""

TURNED_OVER = "bone is dark in the picture: the grey scale was turned over"


def parse_spacing(text: str) -> Spacing:
    """Return the pixel spacing that a user wrote: one number, or those between rows and between columns.

    Raises:
        ValueError: If it is neither.

    >>> parse_spacing("0.143"), parse_spacing("0.2,0.1")
    ((0.143, 0.143), (0.2, 0.1))
    """
    rule = "pixel spacing is MM or ROW,COLUMN in mm"
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as exc:
        raise ValueError(f"{rule}, found {text!r}") from exc
    if len(numbers) > 2:
        raise ValueError(f"{rule}, found {text!r}")
    spacing = numbers[0], numbers[-1]
    try:
        given_spacing(spacing)
    except RadiographError as exc:
        raise ValueError(f"{rule}: {exc}") from exc
    return spacing


def process_picture(
    path: Path, spacing: Spacing | None, segmenter: Segmenter, examiner: Examiner | None = None
) -> Processed:
    """Return what was found and measured on a picture, without any result object.

    Args:
        path: A PNG, JPEG or TIFF file.
        spacing: Its pixel spacing in mm, where the user gives one.
        segmenter: Finds the anatomy.
        examiner: Looks at the picture before it is segmented.

    Raises:
        RefusedImageError: If the settings say that such a picture is refused.
        NotAChestError: If it is coloured, or is no chest radiograph of a supported view.
        RadiographError: If it cannot be decoded, is too small, or every pixel has the same value.
        OSError: If the file cannot be read.
    """
    marks = [time.perf_counter()]
    source = _read(path, spacing, guess_polarity=examiner is None)
    marks.append(time.perf_counter())
    if examiner is not None:
        source = examiner.examine(source)
    marks.append(time.perf_counter())
    [segmentation] = segmenter.segment([source.radiograph])
    marks.append(time.perf_counter())
    measurements = measure(source.radiograph, segmentation)
    marks.append(time.perf_counter())
    stages = zip(("read", "judge", "segment", "measure"), np.diff(marks).tolist(), strict=True)
    return Processed(source, segmentation, measurements, timings=dict(stages))


def _read(path: Path, spacing: Spacing | None, guess_polarity: bool) -> Source:
    """Return a picture as a source of which no attribute is known."""
    film = read_picture(path, spacing)
    radiograph = film.radiograph
    if guess_polarity and looks_turned_over(radiograph.pixels):
        notes = (*radiograph.notes, TURNED_OVER)
        radiograph = replace(radiograph, pixels=np.asarray(1 - radiograph.pixels, np.float32), notes=notes)
    return Source(radiograph, Dataset(), Dataset(), film.shape, film.orientation, UID(""))
