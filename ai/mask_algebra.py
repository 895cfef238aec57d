"""Masks against each other: what they share, what one has beyond the other. Only crops are touched."""

import numpy as np
import numpy.typing as npt

from ai.segmentation import Mask


def seen_through(mask: Mask, window: Mask) -> npt.NDArray[np.bool_]:
    """Return the mask's pixels in the window's crop, bool, shape of `window.pixels`."""
    seen = np.zeros(window.pixels.shape, np.bool_)
    top, bottom = max(mask.top, window.top), min(mask.bottom, window.bottom)
    left, right = max(mask.left, window.left), min(mask.right, window.right)
    if top < bottom and left < right:
        seen[top - window.top : bottom - window.top, left - window.left : right - window.left] = mask.pixels[
            top - mask.top : bottom - mask.top, left - mask.left : right - mask.left
        ]
    return seen


def overlap(first: Mask, second: Mask) -> Mask | None:
    """Return the pixels that both have, or None."""
    return cropped(first.pixels & seen_through(second, first), first)


def share_outside(part: Mask, whole: Mask) -> float:
    """Return which share of the part's pixels the whole does not have, in [0, 1]."""
    outside = np.count_nonzero(part.pixels & ~seen_through(whole, part))
    return outside / part.area if outside else 0.0


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
