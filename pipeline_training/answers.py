"""What a segmenter says of pictures: a segmentation of each, or why it was refused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.errors import RadiographError
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.segmenter import Segmenter
from pipeline_training.hull import convex_hull
from pipeline_training.radiograph_folders import Structure, read_radiograph
from pipeline_training.spine_middle import middle_of_spine

BATCH = 8
"""Radiographs held in memory at once."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of one image: a segmentation, or a refusal."""

    image: Path
    radiograph: Radiograph | None
    segmentation: Segmentation | None
    reason: str = ""


def answers(segmenter: Segmenter, images: Sequence[Path]) -> Iterator[Answer]:
    """Yield the answer for each image, in order; at most BATCH radiographs are held."""
    for start in range(0, len(images), BATCH):
        read = [_read(path) for path in images[start : start + BATCH]]
        readable = [answer.radiograph for answer in read if answer.radiograph is not None]
        found = iter(_segment_each(segmenter, readable))
        for answer in read:
            yield answer if answer.radiograph is None else _answered(answer, next(found))


def found_mask(segmentation: Segmentation, structure: Structure) -> npt.NDArray[np.bool_]:
    """Return our mask as the readers of a structure would have drawn it, bool (rows, columns).

    It is the union of the structure's labels, cut as its `Reading` says. What is not found cuts nothing, nor
    does the hull where one of its labels is not found.
    """
    reading = structure.reading
    mask = union_of(segmentation, structure.labels) & ~union_of(segmentation, reading.without)
    mask &= ~middle_of_spine(union_of(segmentation, reading.between))
    is_hull = reading.inside and set(reading.inside) <= set(segmentation.masks)
    hull = convex_hull(union_of(segmentation, reading.inside)) if is_hull else None
    return mask if hull is None or not hull.any() else mask & hull


def union_of(segmentation: Segmentation, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return the union of the masks of those labels, bool (rows, columns); what is not found adds none."""
    union = np.zeros(segmentation.shape, np.bool_)
    for name in labels:
        if name in segmentation.masks:
            mask = segmentation.masks[name]
            union[mask.top : mask.bottom, mask.left : mask.right] |= mask.pixels
    return union


def _read(path: Path) -> Answer:
    try:
        radiograph = read_radiograph(path)
    except RadiographError as exc:
        return Answer(path, None, None, str(exc))
    return Answer(path, radiograph, None)


def _segment_each(segmenter: Segmenter, radiographs: Sequence[Radiograph]) -> list[Segmentation | str]:
    """Return a segmentation, or the reason of the refusal, for each; one refusal must not cost the others."""
    try:
        return list(segmenter.segment(radiographs))
    except RadiographError as exc:
        if len(radiographs) == 1:
            return [str(exc)]
    return [result for each in radiographs for result in _segment_each(segmenter, [each])]


def _answered(answer: Answer, result: Segmentation | str) -> Answer:
    if isinstance(result, str):
        return Answer(answer.image, answer.radiograph, None, result)
    return Answer(answer.image, answer.radiograph, result)
