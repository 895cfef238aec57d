"""Segmentations that are wrong on purpose: a check of pixels counts once it has found each of them."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from ai.segmentation import Mask
from node.mask_encoding import encode

SHIFT = 0.03
"""Of the width: 30 mm of a thorax would be seen at once, 10 mm perhaps not."""

Frames = npt.NDArray[np.bool_]


def shifted(seg: Dataset) -> Dataset:
    """Return it with every frame moved to the right."""
    return _with_frames(seg, lambda frames: np.roll(frames, round(SHIFT * frames.shape[2]), axis=2))


def mirrored(seg: Dataset) -> Dataset:
    """Return it with every frame turned over, so that right is where left was."""
    return _with_frames(seg, lambda frames: frames[:, :, ::-1])


def recoloured(seg: Dataset) -> Dataset:
    """Return it with each segment in the colour of the next."""
    changed = deepcopy(seg)
    colours = [segment.RecommendedDisplayCIELabValue for segment in seg.SegmentSequence]
    for segment, colour in zip(changed.SegmentSequence, colours[1:] + colours[:1], strict=True):
        segment.RecommendedDisplayCIELabValue = colour
    return changed


def renamed(seg: Dataset) -> Dataset:
    """Return it with "right" and "left" exchanged in every name."""
    changed = deepcopy(seg)
    for segment in changed.SegmentSequence:
        words = str(segment.SegmentLabel).split()
        other = {"right": "left", "left": "right"}
        segment.SegmentLabel = " ".join(other.get(word, word) for word in words)
    return changed


BREAKS: dict[str, Callable[[Dataset], Dataset]] = {
    "shifted": shifted,
    "mirrored": mirrored,
    "recoloured": recoloured,
    "renamed": renamed,
}


def _with_frames(seg: Dataset, change: Callable[[Frames], Frames]) -> Dataset:
    changed = deepcopy(seg)
    frames = seg.pixel_array != 0
    if frames.ndim == 2:
        frames = frames[None]
    masks = [Mask.from_dense(frame) for frame in change(frames)]
    encoded = encode([mask for mask in masks if mask is not None], (seg.Rows, seg.Columns))
    changed.PixelData = encoded.pixel_data
    return changed
