"""The masks of one image for a page: each a small picture that is laid over that of the radiograph.

They are read from the Segmentations that a destination has. Those of all destinations show the same masks in
other forms; the one that was sent most structures is taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.color import CIELabColor
from PIL import Image
from pydicom import Dataset

from ai.anatomy import group_of
from ai.errors import LabelError
from ai.labels import label
from node.canvas import Canvas
from node.job_store import JobStore
from node.jobs import StoredResult
from node.kept_results import job_with_files, read_header, read_result
from node.read_results import ReceivedSegment, read_segments
from node.result_sets import current_sets, none_of, version_of
from node.spool import Spool
from node.study_pictures import png_of

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class MaskPicture:
    """One structure.

    Attributes:
        label: Its Segment Label, a name of the label table.
        title: For people.
        group: The part of the anatomy that it belongs to; "" where the label table holds it no more.
        rgb: Its colour, 0 to 255.
        png: A bit a pixel, as large as the radiograph's picture: its colour, transparent elsewhere.
    """

    label: str
    title: str
    group: str
    rgb: Rgb
    png: bytes


@dataclass(frozen=True)
class Masks:
    """Every structure that was found.

    Attributes:
        pictures: In the order of their Segmentations.
        missing: Why there is none; empty: there are some.
        version: Of the results that they are read from, as `node.result_sets.version_of`.
    """

    pictures: tuple[MaskPicture, ...]
    missing: str = ""
    version: str = ""


def masks_of(store: JobStore, spool: Spool, job_id: int) -> Masks:
    """Return the masks of a job; each Segmentation is read and decoded once, one frame at a time.

    Raises:
        NotThereError: There is no such job, nothing was made of it, or its files were removed.
        StorageError: A file was changed, or cannot be read.
    """
    sets = current_sets(store, spool, job_with_files(store, job_id))
    chosen = max((each.segmentations for each in sets), key=lambda segs: _covered(spool, segs))
    if not chosen:
        return Masks((), f"no masks: {none_of(sets, 'Segmentation')}", version_of(sets))
    found: dict[str, MaskPicture] = {}
    for result in chosen:
        for picture in _pictures(read_result(spool, result)):
            found.setdefault(picture.label, picture)
    return Masks(tuple(found.values()), version=version_of(sets))


def _covered(spool: Spool, segs: Sequence[StoredResult]) -> int:
    """Return how many segments there are in Segmentations."""
    headers = (read_header(spool, seg, ["SegmentSequence"]) for seg in segs)
    return sum(len(header.SegmentSequence) for header in headers)


def _pictures(seg: Dataset) -> Iterator[MaskPicture]:
    canvas = Canvas(int(seg.Rows), int(seg.Columns))
    colours = {int(item.SegmentNumber): _colour(item) for item in seg.SegmentSequence}
    for segment in read_segments(seg):
        yield _picture(segment, canvas, colours[segment.number])


def _picture(segment: ReceivedSegment, canvas: Canvas, rgb: Rgb) -> MaskPicture:
    title = segment.label[:1].upper() + segment.label[1:].replace("_", " ")
    png = _transparent(canvas.shrunk(segment.mask), rgb)
    return MaskPicture(segment.label, title, _group(segment.label), rgb, png)


def _transparent(pixels: npt.NDArray[np.bool_], rgb: Rgb) -> bytes:
    """Return a PNG of two colours: nothing, and this one."""
    picture = Image.fromarray(pixels.astype(np.uint8), "P")
    picture.putpalette((*(0, 0, 0), *rgb))
    picture.info["transparency"] = 0
    return png_of(picture)


def _colour(segment: Dataset) -> Rgb:
    """Return the label table's colour; of a structure that it does not hold any more, the segment's own."""
    try:
        return label(str(segment.SegmentLabel)).colour
    except LabelError:
        lab = CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue)
        red, green, blue = lab.to_rgb()
        return int(red), int(green), int(blue)


def _group(name: str) -> str:
    try:
        return str(group_of(name))
    except LabelError:
        return ""
