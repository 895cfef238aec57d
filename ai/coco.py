"""Masks as COCO annotations with compressed run lengths, as pycocotools reads them.

Format: https://cocodataset.org/#format-data; the text of the run lengths is that of `rleToString` in
maskApi.c of pycocotools 2.0. docs/formats.md says what stands in which field.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ai.labels import LABELS
from ai.segmentation import Mask, Segmentation

Json = dict[str, Any]
Counts = npt.NDArray[np.int64]

IDS_AN_IMAGE = 1000
"""Annotations of an image are numbered from this many times its own number: it has fewer structures."""

BITS_A_CHARACTER = 5
MORE = 1 << BITS_A_CHARACTER
SIGN = MORE >> 1
FIRST_CHARACTER = 48
"""A count is written in characters of 5 bits, the lowest first; a sixth says whether more follow."""

MAX_CHARACTERS = 8
"""40 bits: more than any picture has pixels."""


def coco_json(segmentation: Segmentation, file_name: str, image_id: int = 1) -> Json:
    """Return the content of coco.json of one picture.

    Args:
        segmentation: On the grid of the picture as it is stored.
        file_name: Of the picture.
        image_id: Its number; those of the annotations follow from it, so that files of one run can be joined.
    """
    rows, columns = segmentation.shape
    model = segmentation.model
    return {
        "info": {
            "description": f"Masks drawn by the model {model.id} {model.version}, looked at by no person. "
            "For research only. The licence of the picture is not known here.",
            "version": model.version,
            "contributor": "paxnode",
            "model_sha256": model.sha256,
        },
        "licenses": [],
        "images": [{"id": image_id, "file_name": file_name, "width": columns, "height": rows}],
        "annotations": [
            _annotation(item.id, segmentation.masks[item.name], segmentation.shape, image_id)
            for item in LABELS
            if item.name in segmentation.masks
        ],
        "categories": [
            {"id": item.id + 1, "name": item.name, "supercategory": item.parent or ""} for item in LABELS
        ],
    }


def run_lengths(mask: Mask, shape: tuple[int, int]) -> Counts:
    """Return how many pixels lie outside, inside, outside ... in turn, column after column.

    >>> run_lengths(Mask(np.ones((2, 1), np.bool_), top=1, left=1), (3, 3)).tolist()
    [4, 2, 3]
    """
    rows, columns = shape
    height, width = mask.pixels.shape
    padded = np.zeros((width, height + 2), np.bool_)
    padded[:, 1:-1] = mask.pixels.T
    flat = padded.ravel()
    column, row = np.divmod(np.flatnonzero(flat[1:] != flat[:-1]), height + 2)
    changes = (column + mask.left) * rows + row + mask.top
    begins, ends = changes[0::2], changes[1::2]
    goes_on = begins[1:] == ends[:-1]  # from the foot of a column to the head of the next
    begins, ends = begins[np.r_[True, ~goes_on]], ends[np.r_[~goes_on, True]]
    edges = np.concatenate([[0], np.column_stack([begins, ends]).ravel(), [rows * columns]])
    counts = np.diff(edges)
    return counts if counts[-1] else counts[:-1]


def compressed(counts: Counts) -> str:
    """Return run lengths as text: from the third on, each is written as its difference to the last but one.

    >>> compressed(np.array([6, 1, 40, 4, 5, 4, 5, 4, 21]))
    '61X13mN000`0'
    """
    rest = counts.astype(np.int64)
    rest[3:] -= counts[1:-2]
    characters = np.zeros((len(rest), MAX_CHARACTERS), np.uint8)
    open_ones = np.ones(len(rest), np.bool_)
    for place in range(MAX_CHARACTERS):
        low = rest & (MORE - 1)
        rest = rest >> BITS_A_CHARACTER
        follows = rest != np.where(low & SIGN, -1, 0)
        character = low + np.where(follows, MORE, 0) + FIRST_CHARACTER
        characters[:, place] = np.where(open_ones, character, 0)
        open_ones = open_ones & follows
    return characters[characters > 0].tobytes().decode("ascii")


def _annotation(label_id: int, mask: Mask, shape: tuple[int, int], image_id: int) -> Json:
    height, width = mask.pixels.shape
    return {
        "id": image_id * IDS_AN_IMAGE + label_id + 1,
        "image_id": image_id,
        "category_id": label_id + 1,
        "segmentation": {"size": list(shape), "counts": compressed(run_lengths(mask, shape))},
        "area": mask.area,
        "bbox": [mask.left, mask.top, width, height],
        "iscrowd": 0,
    }
