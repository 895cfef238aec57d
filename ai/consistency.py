"""Masks of a frontal view made consistent with anatomy and with each other, with every repair told.

The rules and their order: a rib or vertebra out of its series is withheld (`succession`), the visible
lungs are taken apart (here), parts are put inside their wholes (`containment`). No rule erases a mask but
the first, and that one only where both neighbours speak against it. Masks that break no rule come back as
the same objects.
"""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ai.containment import MOSTLY, put_parts_inside
from ai.labels import LABELS
from ai.mask_algebra import cropped, overlap, seen_through
from ai.segmentation import Mask
from ai.succession import put_in_order

VISIBLE_LUNGS = ("visible lung right", "visible lung left")
"""Lungs that cannot overlap: the mediastinum lies between what readers see of them. In 228 frontal
projections of eight labelled CTs they share up to 14 pixels of 102,400."""

WHOLE_LUNGS = ("right lung", "left lung")
MAX_SHARED = 0.4
"""Whole lungs do overlap in a projection, before and behind the mediastinum, the more the body is turned:
by up to 0.30 of the smaller one in the same projections. Beyond this share it is told; nothing is cut, and
their lobes and zones overlap with the same right."""


def make_consistent(
    masks: Mapping[str, Mask], supported: Collection[str]
) -> tuple[dict[str, Mask], tuple[str, ...]]:
    """Return the masks in label-table order, consistent with each other, and what was done, a sentence each.

    Args:
        masks: By label name, of a frontal view, on their sides.
        supported: Names that the model knows; nothing else is built.
    """
    ordered, disorders = put_in_order(masks)
    apart, shared = take_lungs_apart(ordered)
    inside, repairs = put_parts_inside(apart, supported)
    in_table_order = {item.name: inside[item.name] for item in LABELS if item.name in inside}
    return in_table_order, disorders + shared + repairs


def take_lungs_apart(masks: Mapping[str, Mask]) -> tuple[dict[str, Mask], tuple[str, ...]]:
    """Return the masks, what both visible lungs claim given to the nearer one, and what was done.

    Where a lung would lose more than MOSTLY of itself one of the two is wrong: both are kept and it is told.
    """
    apart = dict(masks)
    told = _told_of_whole_lungs(masks)
    if any(name not in masks for name in VISIBLE_LUNGS):
        return apart, told
    right, left = (masks[name] for name in VISIBLE_LUNGS)
    shared = overlap(right, left)
    if shared is None:
        return apart, told
    if shared.area > MOSTLY * min(right.area, left.area):
        return apart, (
            *told,
            f"{' and '.join(VISIBLE_LUNGS)}: lie on each other; one is wrong, both are kept",
        )
    for name, kept in zip(VISIBLE_LUNGS, _divided(right, left, shared), strict=True):
        apart[name] = kept
    return apart, (
        *told,
        f"{' and '.join(VISIBLE_LUNGS)}: {shared.area} shared pixels given to the nearer one",
    )


def _told_of_whole_lungs(masks: Mapping[str, Mask]) -> tuple[str, ...]:
    if any(name not in masks for name in WHOLE_LUNGS):
        return ()
    right, left = (masks[name] for name in WHOLE_LUNGS)
    shared = overlap(right, left)
    share = shared.area / min(right.area, left.area) if shared else 0.0
    if share <= MAX_SHARED:
        return ()
    return (f"{' and '.join(WHOLE_LUNGS)}: share {100 * share:.0f} % of the smaller one; both are kept",)


def _divided(right: Mask, left: Mask, shared: Mask) -> tuple[Mask, Mask]:
    """Return both masks without what of the shared pixels lies nearer to the other's own ones.

    Near in steps along rows and columns, of own pixels around the shared ones; what is equal stays right.
    """
    top, left_edge = max(0, shared.top - 1), max(0, shared.left - 1)
    around = np.ones((shared.bottom + 1 - top, shared.right + 1 - left_edge), np.bool_)
    window = Mask(around, top, left_edge)
    seen_right, seen_left = (seen_through(each, window) for each in (right, left))
    to_left = seen_right & seen_left & (_steps(seen_right & ~seen_left) > _steps(seen_left & ~seen_right))
    to_right = seen_right & seen_left & ~to_left
    return _without(right, to_left, window), _without(left, to_right, window)


def _steps(own: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return how many steps away the nearest of a lung's own pixels is."""
    if not own.any():
        return np.full(own.shape, sum(own.shape))
    return np.asarray(ndimage.distance_transform_cdt(~own, "taxicab"), np.int64)


def _without(mask: Mask, lost: npt.NDArray[np.bool_], window: Mask) -> Mask:
    taken = cropped(lost, window)
    if taken is None:
        return mask
    return cropped(mask.pixels & ~seen_through(taken, mask), mask) or mask
