"""Masks against each other: what they share, what one has beyond the other. Only crops are touched."""

import numpy as np
import numpy.typing as npt

from ai.segmentation import Mask


def seen_through(mask: Mask, window: Mask) -> npt.NDArray[np.bool_]:
    """Return the mask's pixels in the window's crop, bool, shape of `window.pixels`."""
    seen = np.zeros(window.pixels.shape, np.bool_)
    seen[_common(window, mask)] = mask.pixels[_common(mask, window)]
    return seen


def _common(mask: Mask, other: Mask) -> tuple[slice, slice]:
    """Return where in the mask's crop that of the other one lies; an empty part where it does not."""
    top, left = max(mask.top, other.top), max(mask.left, other.left)
    bottom, right = max(top, min(mask.bottom, other.bottom)), max(left, min(mask.right, other.right))
    return slice(top - mask.top, bottom - mask.top), slice(left - mask.left, right - mask.left)


def overlap(first: Mask, second: Mask) -> Mask | None:
    """Return the pixels that both have, or None."""
    return cropped(first.pixels & seen_through(second, first), first)


def share_outside(part: Mask, whole: Mask) -> float:
    """Return which share of the part's pixels the whole does not have, in [0, 1]."""
    inside = np.count_nonzero(part.pixels[_common(part, whole)] & whole.pixels[_common(whole, part)])
    return (part.area - inside) / part.area


def union(first: Mask, *others: Mask) -> Mask:
    """Return the pixels that any of the masks has."""
    masks = (first, *others)
    top, left = min(mask.top for mask in masks), min(mask.left for mask in masks)
    height = max(mask.bottom for mask in masks) - top
    width = max(mask.right for mask in masks) - left
    pixels = np.zeros((height, width), np.bool_)
    for mask in masks:
        pixels[mask.top - top : mask.bottom - top, mask.left - left : mask.right - left] |= mask.pixels
    return Mask(pixels, top, left)


def cropped(pixels: npt.NDArray[np.bool_], window: Mask) -> Mask | None:
    """Return the mask of pixels (shape of `window.pixels`) that lie where the window's crop lies."""
    small = Mask.from_dense(pixels)
    return small and Mask(small.pixels, small.top + window.top, small.left + window.left)
