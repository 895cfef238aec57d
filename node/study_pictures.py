"""Pictures of one image for a page: the radiograph, and the lines of what was measured on it.

The file comes from a stranger: it is read as a worker reads it (`node.reader`), compressed pixels in a
process of their own (`node.decoders`). The picture lies as the stored pixels do.
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from ai.orientation import Point
from ai.overlay import contrast
from node.attributes import number
from node.canvas import Canvas
from node.decode import parse
from node.errors import NotThereError
from node.job_store import JobStore
from node.jobs import Job
from node.kept_results import job_with_files
from node.limits import MAX_OBJECT_BYTES
from node.read_results import NAMES_APART
from node.reader import read_radiograph
from node.spool import Spool
from node.study_reading import Reading


@dataclass(frozen=True)
class RadiographPicture:
    """A radiograph as a person sees it.

    Attributes:
        canvas: How it is scaled.
        png: 8 bits, grey; bone is bright.
    """

    canvas: Canvas
    png: bytes


@dataclass(frozen=True)
class Line:
    """A line on the picture.

    Attributes:
        names: What it shows: measurements, or parts of them.
        values: Those of the measurements among these that have one, with their units.
        points: (x, y) in pixels of the picture, whose top left one covers [0, 1) x [0, 1); an outline ends
            where it begins.
    """

    names: tuple[str, ...]
    values: tuple[str, ...]
    points: tuple[Point, ...]


def radiograph_of(store: JobStore, spool: Spool, job_id: int) -> RadiographPicture:
    """Return the picture of a job's image: the display values and contrast of `ai.overlay.draw_overlay`.

    Raises:
        NotThereError: There is no such job, or its file was removed.
        ImageError: The node does not serve such an image, or cannot decode it; the message says why.
        StorageError: The data folder is away.
    """
    source = read_radiograph(BytesIO(_content(spool, job_with_files(store, job_id))))
    canvas = Canvas(*source.shape)
    shown = source.orientation.to_stored(contrast(source.radiograph.pixels))
    grey = Image.fromarray(np.rint(shown * 255).astype(np.uint8))
    return RadiographPicture(canvas, png_of(grey.resize(canvas.size, Image.Resampling.BOX)))


def canvas_of(store: JobStore, spool: Spool, job_id: int) -> Canvas:
    """Return how the picture of a job's image is scaled, without decoding a pixel; errors as above."""
    header = parse(_content(spool, job_with_files(store, job_id)))
    rows, columns = (int(number(header, keyword, 0)) for keyword in ("Rows", "Columns"))
    if min(rows, columns) < 1:
        raise NotThereError(f"the image of job {job_id} has no pixels")
    return Canvas(rows, columns)


def lines_of(reading: Reading, canvas: Canvas) -> tuple[Line, ...]:
    """Return the lines of what was measured, as they lie on the picture."""
    texts = {each.name: each.text for each in reading.measurements.computed}
    lines = []
    for drawing in reading.drawings:
        names = tuple(drawing.name.split(NAMES_APART))
        values = tuple(texts[name] for name in names if name in texts)
        lines.append(Line(names, values, tuple(canvas.point(point) for point in drawing.points)))
    return tuple(lines)


def png_of(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file, without a word beside the pixels."""
    content = BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _content(spool: Spool, job: Job) -> bytes:
    try:
        return spool.content(job.path, MAX_OBJECT_BYTES + 1)
    except FileNotFoundError as error:
        raise NotThereError(f"the image of job {job.id} is gone from the data folder") from error
