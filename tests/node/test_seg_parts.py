from collections.abc import Mapping

import numpy as np

from ai.segmentation import Mask, ModelIdentity, Segmentation
from node.mask_encoding import label_map
from node.options import OutputOptions
from node.seg_parts import SegPart, seg_parts

SHAPE = (40, 40)


def _mask(top: int, left: int, side: int = 10) -> Mask:
    return Mask(np.ones((side, side), np.bool_), top, left)


MASKS: Mapping[str, Mask] = {
    "spine": _mask(0, 0),
    "heart": _mask(5, 5),  # overlaps the spine and the aorta
    "aorta": _mask(12, 12),
    "visible lung right": _mask(25, 0),
}


def _parts(**options: object) -> tuple[SegPart, ...]:
    found = Segmentation(SHAPE, MASKS, ModelIdentity("m", "1", "0" * 64))
    return seg_parts(found, OutputOptions(**options))  # type: ignore[arg-type]


def test_everything_goes_into_one_part_unless_it_is_grouped() -> None:
    (part,) = _parts()
    assert (part.key, list(part.masks)) == ("", list(MASKS))


def test_only_what_is_chosen_is_sent_and_nothing_where_none_of_it_was_found() -> None:
    (part,) = _parts(structures=("heart", "liver"))
    assert list(part.masks) == ["heart"]
    assert _parts(structures=("liver",)) == _parts(seg="none") == ()


def test_each_group_is_a_part_of_its_own() -> None:
    parts = _parts(grouping="anatomy")
    assert {part.key: list(part.masks) for part in parts} == {
        "lungs and airways": ["visible lung right"],
        "heart and vessels": ["heart", "aorta"],
        "spine and vertebrae": ["spine"],
    }


def test_no_two_structures_of_a_label_map_overlap_and_none_is_lost() -> None:
    parts = _parts(seg="labelmap")
    assert [list(part.masks) for part in parts] == [["spine", "aorta", "visible lung right"], ["heart"]]
    assert [part.key for part in parts] == ["1", "2"]
    assert [part.title for part in parts] == ["chest anatomy 1 of 2", "chest anatomy 2 of 2"]
    for part in parts:
        label_map(list(part.masks.values()), SHAPE)  # raises where two overlap


def test_layers_are_counted_within_their_group() -> None:
    parts = _parts(seg="labelmap", grouping="anatomy")
    assert [part.key for part in parts] == [
        "lungs and airways",
        "heart and vessels 1",
        "heart and vessels 2",
        "spine and vertebrae",
    ]
