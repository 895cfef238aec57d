"""The picture of any image that came: one that the node does not serve is shown too, to whoever asks why."""

import numpy as np
from PIL import Image

from ai.overlay import contrast
from node.canvas import Canvas
from node.decode import Stored, decode, parse
from node.display_values import display_values
from node.errors import RefusedImageError
from node.job_store import JobStore
from node.kept_results import job_with_files
from node.limits import MAX_OBJECT_BYTES
from node.spool import Spool
from node.study_pictures import RadiographPicture, png_of, radiograph_of


def picture_of(store: JobStore, spool: Spool, job_id: int) -> RadiographPicture:
    """Return the picture of a job's image; errors as in `node.study_pictures.radiograph_of`.

    Of an image that is not served, such as a lateral view, it is made of the display values as they lie; a
    refusal is raised only where these make no picture: several frames, or every pixel alike.
    """
    try:
        return radiograph_of(store, spool, job_id)
    except RefusedImageError as refusal:
        content = spool.content(job_with_files(store, job_id).path, MAX_OBJECT_BYTES + 1)
        return _as_it_lies(content, refusal)


def _as_it_lies(content: bytes, refusal: RefusedImageError) -> RadiographPicture:
    dataset = parse(content)
    stored = _one_channel(decode(dataset))
    if stored.ndim != 2 or stored.min() == stored.max():
        raise refusal
    shown = contrast(display_values(stored, dataset).pixels)
    canvas = Canvas(int(stored.shape[0]), int(stored.shape[1]))
    grey = Image.fromarray(np.rint(shown * 255).astype(np.uint8))
    return RadiographPicture(canvas, png_of(grey.resize(canvas.size, Image.Resampling.BOX)))


def _one_channel(stored: Stored) -> Stored:
    """Return (rows, columns) of (rows, columns, 3): green, which is nearest to what an eye sees."""
    is_coloured = stored.ndim == 3 and stored.shape[2] == 3
    return stored[:, :, 1].astype(np.int32) if is_coloured else stored
