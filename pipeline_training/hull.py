"""The convex hull of a mask, drawn as a mask."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull, QhullError

MIN_PIXELS = 20


def convex_hull(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the convex hull of a mask (rows, columns), outline included; empty if small or on a line."""
    rows, columns = np.nonzero(mask)
    if len(rows) < MIN_PIXELS:
        return np.zeros_like(mask)
    points = np.column_stack([columns, rows])
    try:
        outline = points[ConvexHull(points).vertices]
    except QhullError:  # all on one line
        return np.zeros_like(mask)
    picture = Image.new("1", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(picture).polygon([(int(x), int(y)) for x, y in outline], fill=1, outline=1)
    return np.array(picture, dtype=np.bool_)
