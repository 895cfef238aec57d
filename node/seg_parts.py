"""Which structures go into which Segmentation: all into one, by anatomy, or so that none overlap in one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ai.anatomy import Group, chosen, group_of
from ai.segmentation import Mask, Segmentation
from node.options import OutputOptions

WHOLE = "chest anatomy"
"""What the structures of a Segmentation are called that is not of one group."""

CONTENT_LABELS = {
    Group.LUNGS: "LUNGS",
    Group.HEART: "HEART",
    Group.MEDIASTINUM: "MEDIASTINUM",
    Group.SPINE: "SPINE",
    Group.RIBS: "RIB_CAGE",
    Group.SHOULDERS: "SHOULDERS",
    Group.ABDOMEN: "ABDOMEN",
    Group.BREASTS: "BREASTS",
}
"""Content Label of each group; short enough for the number of a layer behind it."""

MAX_LAYER = 255
"""Segments of a label map with a byte a pixel."""


@dataclass(frozen=True, eq=False)
class SegPart:
    """The content of one Segmentation.

    Attributes:
        key: What tells it from the other parts of the radiograph; "" where it is the only one.
        title: What it shows, for people.
        content_label: The same for programs: at most 16 characters (Content Label, CS).
        masks: By label name, in label-table order, on the radiograph's grid; at least one.
    """

    key: str
    title: str
    content_label: str
    masks: Mapping[str, Mask]


def seg_parts(segmentation: Segmentation, options: OutputOptions) -> tuple[SegPart, ...]:
    """Return the parts in which the chosen structures are written; empty where none of them was found."""
    wanted = chosen(options.structures)
    masks = {name: segmentation.masks[name] for name in wanted if name in segmentation.masks}
    if options.seg == "none" or not masks:
        return ()
    parts = (
        _by_group(masks) if options.grouping == "anatomy" else [SegPart("", WHOLE, "CHEST_ANATOMY", masks)]
    )
    if options.seg != "labelmap":
        return tuple(parts)
    return tuple(layer for part in parts for layer in _layers(part, segmentation.shape))


def _by_group(masks: Mapping[str, Mask]) -> Iterable[SegPart]:
    for group in Group:
        members = {name: mask for name, mask in masks.items() if group_of(name) is group}
        if members:
            yield SegPart(str(group), str(group), CONTENT_LABELS[group], members)


def _layers(part: SegPart, shape: tuple[int, int]) -> Iterable[SegPart]:
    """Yield a part in layers in none of which two structures overlap: each goes into the first with room."""
    layers: list[tuple[dict[str, Mask], npt.NDArray[np.bool_]]] = []
    for name, mask in part.masks.items():
        box = np.s_[mask.top : mask.bottom, mask.left : mask.right]
        for members, taken in layers:
            if len(members) < MAX_LAYER and not (taken[box] & mask.pixels).any():
                break
        else:
            members, taken = {}, np.zeros(shape, np.bool_)
            layers.append((members, taken))
        members[name] = mask
        taken[box] |= mask.pixels
    for number, (members, _) in enumerate(layers, start=1):
        if len(layers) == 1:
            yield replace(part, masks=members)
        else:
            key = f"{part.key} {number}".strip()
            label = f"{part.content_label}_{number}"
            yield SegPart(key, f"{part.title} {number} of {len(layers)}", label, members)
