"""Small pictures of projections with their masks, as a person would check them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ai.labels import label
from pipeline_training.augment import compose
from pipeline_training.metrics import border
from pipeline_training.projections import NAMES, StoredProjection, read_projection

TILE = 200
"""Width and height of a picture in pixels."""

SHOWN = (
    "right lung", "left lung", "heart", "aorta", "trachea", "clavicle left", "clavicle right", "spine",
    "left hemidiaphragm", "right hemidiaphragm", "breast left", "breast right",
    *(f"posterior {n} rib {side}" for n in ("3rd", "6th", "9th") for side in ("left", "right")),
    *(f"anterior {n} rib {side}" for n in ("3rd", "6th") for side in ("left", "right")),
)  # fmt: skip
"""Structures that are outlined: enough to see a mistake, not so many that nothing is seen."""

COMPOSED_WITH = 0
"""Seed of the look at every projection: pictures of two builds can be compared."""


def contact_sheet(files: Sequence[Path]) -> bytes:
    """Return a JPEG: above each projection as a radiograph, below it the same with outlines.

    Raises:
        pipeline_training.errors.DatasetError: If a file is no projection.
    """
    columns = [_column(read_projection(file)) for file in files]
    sheet = Image.fromarray(np.hstack(columns))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=82)
    return out.getvalue()


def _column(stored: StoredProjection) -> npt.NDArray[np.uint8]:
    """Return uint8 (2 * TILE, TILE, 3)."""
    image = compose(stored.tissues, np.random.default_rng(COMPOSED_WITH))
    grey = _resized((image * 255).astype(np.uint8), Image.Resampling.BILINEAR)
    plain = np.repeat(grey[:, :, None], 3, axis=2)
    outlined = plain.copy()
    masks = stored.masks()
    for name in SHOWN:
        index = NAMES.index(name)
        if stored.known[index] and masks[index].any():
            small = _resized(masks[index].astype(np.uint8), Image.Resampling.NEAREST)
            outlined[border(small.astype(np.bool_))] = label(name).colour
    return np.vstack([plain, outlined])


def _resized(pixels: npt.NDArray[np.uint8], how: Image.Resampling) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((TILE, TILE), how))
