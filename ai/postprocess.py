"""From logits on the network's grid to masks on the radiograph's grid, cleaned, with every repair told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ai.labels import LABELS
from ai.preprocess import Letterbox, positive_box, separable_bilinear
from ai.segmentation import Mask

MARGIN = 2
"""Network pixels around a structure inside which its logits are upsampled; interpolation reaches one."""

MIN_PIXELS = 4
"""A structure of fewer network pixels is noise, not anatomy (at 512 pixels to 400 mm: less than 2.5 mm2)."""

PIECE_FRACTION = 0.1
"""A piece with this fraction of the largest one's pixels stays, in structures that may have several."""

HOLE_FRACTION = 0.02
"""A hole is filled if it is smaller than this fraction of its structure."""

EPSILON = 1e-3
"""How far, in logits, a removed or filled pixel is put below or above the threshold."""

_OFTEN_IN_PIECES = frozenset({
    "spine", "cervical spine", "thoracic spine", "lumbar spine", "rib_cartilage", "diaphragm", "small bowel",
    "pulmonary artery", "visible lung right", "visible lung left",
})  # fmt: skip

MAY_BE_SEVERAL = _OFTEN_IN_PIECES | {
    item.name for item in LABELS if any(modifier.meaning == "Bilateral" for modifier in item.modifiers)
}
"""Structures that may be seen as more than one piece; of every other one the largest piece is kept."""

_CONNECTED_4 = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.bool_)
_CONNECTED_8 = np.ones((3, 3), np.bool_)
"""Pixels of one bilinear cell belong together: removing one piece never moves the edge of another."""


@dataclass(frozen=True, eq=False)
class Cleaned:
    """One structure after post-processing: its mask, or None if it was not found, and what was changed."""

    mask: Mask | None
    repairs: tuple[str, ...] = ()


def to_mask(name: str, logits: npt.NDArray[np.float32], threshold: float, box: Letterbox) -> Cleaned:
    """Return one structure on the radiograph's grid.

    Args:
        name: Label name; decides whether several pieces may stay.
        logits: (S, S) on the network grid.
        threshold: Probability from which a pixel belongs to the structure, in (0, 1).
        box: How the radiograph lies on the network grid.
    """
    padding_top, padding_left = int(box.top), int(box.left)
    picture = logits[padding_top : box.size - padding_top, padding_left : box.size - padding_left]
    cutoff = cutoff_of(threshold)
    extent = _bounds(picture > cutoff)
    if extent is None:
        return Cleaned(None)
    top, left = (max(0, edge.start - MARGIN) for edge in extent)
    field = picture[top : extent[0].stop + MARGIN, left : extent[1].stop + MARGIN] - cutoff
    found = field > 0
    if np.count_nonzero(found) < MIN_PIXELS:
        return Cleaned(None, (f"{name}: fewer than {MIN_PIXELS} network pixels, taken as noise",))
    repairs = _drop_pieces(name, field, found) + _fill_holes(name, field)
    return Cleaned(_upsample(field, top + padding_top, left + padding_left, box), repairs)


def cutoff_of(threshold: float) -> np.float32:
    """Return the logit of a probability in (0, 1)."""
    return np.float32(np.log(threshold / (1 - threshold)))


def _bounds(found: npt.NDArray[np.bool_]) -> tuple[slice, slice] | None:
    rows = np.flatnonzero(found.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(found[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _drop_pieces(name: str, field: npt.NDArray[np.float32], found: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Push what does not belong to the structure below the threshold, in place; the largest piece stays."""
    pieces, _ = ndimage.label(found, _CONNECTED_8)
    areas = np.bincount(pieces.ravel())
    areas[0] = 0  # the background
    dropped = (areas > 0) & (areas < areas.max() * PIECE_FRACTION if name in MAY_BE_SEVERAL else areas > 0)
    dropped[areas.argmax()] = False
    if not dropped.any():
        return ()
    field[dropped[pieces]] = -EPSILON
    share = 100 * areas[dropped].sum() / areas.sum()
    return (f"{name}: {np.count_nonzero(dropped)} detached piece(s) removed, {share:.1f} % of its pixels",)


def _fill_holes(name: str, field: npt.NDArray[np.float32]) -> tuple[str, ...]:
    """Lift small holes above the threshold, in place."""
    found = field > 0
    enclosed = _enclosed(found)
    if enclosed is None:
        return ()
    holes, _ = ndimage.label(enclosed, _CONNECTED_8)
    small = np.bincount(holes.ravel()) < HOLE_FRACTION * np.count_nonzero(found)
    small[0] = False
    if not small.any():
        return ()
    field[small[holes]] = EPSILON
    return (f"{name}: {np.count_nonzero(small)} hole(s) filled",)


def _enclosed(found: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Return what is not found and not joined, side by side, to the border of the grid; None: nothing."""
    rest, count = ndimage.label(~found, _CONNECTED_4)
    is_hole = np.ones(count + 1, np.bool_)
    is_hole[0] = False  # what was found
    for border in (rest[0], rest[-1], rest[:, 0], rest[:, -1]):
        is_hole[border] = False
    return is_hole[rest] if is_hole.any() else None


def _upsample(field: npt.NDArray[np.float32], top: int, left: int, box: Letterbox) -> Mask:
    """Return where the field, whose first pixel is (top, left) of the network grid, is above 0 natively.

    A field that is nowhere above 0 at the centre of a native pixel gives the pixel where it is highest.
    """
    rows = _native_range(top, field.shape[0], box.top, box.scale, box.rows)
    columns = _native_range(left, field.shape[1], box.left, box.scale, box.columns)
    at_rows = box.network_rows(rows.start, rows.stop) - top
    at_columns = box.network_columns(columns.start, columns.stop) - left
    found = positive_box(field, at_rows, at_columns)
    if found is None:
        native = separable_bilinear(field, at_rows, at_columns)
        above = native > np.nextafter(native.max(), np.float32(-np.inf))
        height, width = _bounds(above) or (slice(0, 0), slice(0, 0))  # of no number: no mask
        found = above[height, width].copy(), height.start, width.start
    inside, first_row, first_column = found
    return Mask(inside, rows.start + first_row, columns.start + first_column)


def _native_range(start: int, length: int, offset: float, scale: float, limit: int) -> range:
    """Return the native rows (or columns) whose centres lie on `length` network pixels from `start`."""
    first = int((start - offset) / scale)
    last = int((start + length - offset) / scale)
    return range(min(max(0, first), limit - 1), min(limit, last + 1))


def put_sides_right(
    masks: dict[str, Mask], pairs: Sequence[tuple[str, str]]
) -> tuple[dict[str, Mask], tuple[str, ...]]:
    """Return the masks, right and left exchanged where a pair lies the wrong way round, and what was done.

    In a frontal view the patient's right is at the image's left. Where the lungs themselves lie the wrong way
    round the picture may be mirrored: that is told and nothing is exchanged.

    Args:
        masks: By label name.
        pairs: (right name, left name), as of `side_pairs`; the lungs among them are the reference.
    """
    swapped = [pair for pair in pairs if _swapped(masks, pair)]
    if any(right in {"right lung", "visible lung right"} for right, _ in swapped):
        return masks, ("the right lung lies on the left of the left lung: the image may be mirrored",)
    exchanged = dict(masks)
    for right, left in swapped:
        exchanged[right], exchanged[left] = masks[left], masks[right]
    return exchanged, tuple(
        f"{right} and {left} lay on each other's side and were exchanged" for right, left in swapped
    )


def _swapped(masks: dict[str, Mask], pair: tuple[str, str]) -> bool:
    right, left = (masks.get(name) for name in pair)
    if right is None or left is None or right.right <= left.left:  # then so do the centres
        return False
    return right.centroid[0] > left.centroid[0]


def side_pairs() -> tuple[tuple[str, str], ...]:
    """Return (right name, left name) of every structure that the label table holds for both sides.

    >>> ("clavicle right", "clavicle left") in side_pairs()
    True
    """
    names = {item.name for item in LABELS}
    twins = (
        (name, name.replace("right", "left")) for name in (item.name for item in LABELS) if "right" in name
    )
    return tuple(pair for pair in twins if pair[1] in names and not pair[0].startswith("heart"))
