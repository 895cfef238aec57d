import itertools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from pydicom.sr._concepts_dict import concepts

from ai.errors import LabelError
from ai.labels import LABELS, Code, Label, Laterality, children, label, labels_digest

LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")
BILATERAL = Code("51440002", "SCT", "Bilateral")

OUTSIDE_PYDICOM = {
    "48535007": "First rib",
    "78247007": "Second rib",
    "25888004": "Third rib",
    "25523003": "Fourth rib",
    "15339008": "Fifth rib",
    "59558009": "Sixth rib",
    "24915002": "Seventh rib",
    "5953002": "Eighth rib",
    "22565002": "Ninth rib",
    "77644006": "Tenth rib",
    "58830002": "Eleventh rib",
    "43993008": "Twelfth rib",
    "74281007": "Myocardium",
}
"""SNOMED CT codes of body structures that no context group of the Standard lists."""


def standard_concepts() -> Iterable[tuple[str, str, list[int]]]:
    snomed: dict[str, Any] = concepts["SCT"]
    return [(value, *entry) for by_value in snomed.values() for value, entry in by_value.items()]


def known_meanings(code: Code) -> set[str]:
    held = {meaning for value, meaning, _ in standard_concepts() if value == code.value}
    return held | {OUTSIDE_PYDICOM[v] for v in [code.value] if v in OUTSIDE_PYDICOM}


def context_group(cid: int) -> set[str]:
    return {value for value, _, cids in standard_concepts() if cid in cids}


def all_codes(labels: Iterable[Label]) -> set[Code]:
    return {code for item in labels for code in (item.category, item.type, *item.modifiers)}


def test_table_has_the_159_released_names_and_the_two_visible_lungs_in_order() -> None:
    assert len(LABELS) == 161
    assert [item.id for item in LABELS] == list(range(161))
    spots = {
        0: "spine",
        28: "rib_cartilage",
        36: "posterior 12th rib right",
        115: "cardiomediastinum",
        121: "heart",
    }
    spots |= {135: "right lung", 158: "breast right", 159: "visible lung right", 160: "visible lung left"}
    assert {i: LABELS[i].name for i in spots} == spots


def test_digest_pins_the_names_and_their_order() -> None:
    assert labels_digest() == "16ab1b6d780a491c9660b4bae1694f468a2eedfa5c8b997750aca681f808f6af"


def test_every_parent_exists_and_no_label_is_its_own_ancestor() -> None:
    for item in LABELS:
        seen = {item.name}
        while item.parent is not None:
            item = label(item.parent)
            assert item.name not in seen
            seen.add(item.name)


def test_parts_hang_below_what_contains_them() -> None:
    assert label("visible lung right").parent == "right lung"
    assert label("vertebrae T7").parent == "thoracic spine"
    assert label("heart atrium left").parent == "heart"
    assert label("heart").parent == "cardiomediastinum"
    assert children("posterior 5th rib") == ("posterior 5th rib right", "posterior 5th rib left")


def test_every_sided_rib_hangs_below_its_merged_rib() -> None:
    for item in LABELS:
        if re.search(r"\d(st|nd|rd|th) rib (left|right)$", item.name):
            merged = re.sub(r" (left|right)$", "", item.name).replace("posterior 12th", "12th")
            assert item.parent == merged


@pytest.mark.parametrize("code", sorted(all_codes(LABELS), key=str), ids=str)
def test_code_carries_the_meaning_that_the_standard_gives_it(code: Code) -> None:
    assert code.scheme == "SCT"
    assert code.meaning in known_meanings(code)


def test_categories_and_modifiers_come_from_their_context_groups() -> None:
    assert {item.category.value for item in LABELS} <= context_group(7150)
    assert {m.value for item in LABELS for m in item.modifiers} <= context_group(244) | context_group(2)


def test_types_come_from_cid_7151_but_for_ribs_myocardium_and_lung_zones() -> None:
    outside = {item.type.meaning for item in LABELS if item.type.value not in context_group(7151)}
    zones = {"Upper zone of lung", "Middle zone of lung", "Lower zone of lung"}
    assert outside == set(OUTSIDE_PYDICOM.values()) | zones


@pytest.mark.parametrize(("word", "side", "other"), [("left", LEFT, RIGHT), ("right", RIGHT, LEFT)])
def test_sided_structures_are_coded_on_their_side_only(word: str, side: Code, other: Code) -> None:
    for item in (item for item in LABELS if word in item.name.split()):
        assert side in item.modifiers or word in item.type.meaning.lower()
        assert other not in item.modifiers
        assert other.meaning.lower() not in item.type.meaning.lower()


def test_laterality_agrees_with_the_modifiers() -> None:
    sides = {LEFT: Laterality.LEFT, RIGHT: Laterality.RIGHT, BILATERAL: Laterality.NONE}
    for item in LABELS:
        assert {sides[m] for m in item.modifiers if m in sides} <= {item.laterality}


def test_pairs_are_coded_bilateral() -> None:
    for name in ("clavicles", "scapulas", "lung", "breast", "12th rib", "anterior 3rd rib", "lung base"):
        assert BILATERAL in label(name).modifiers


def test_type_and_modifiers_tell_structures_apart_unless_the_derivation_says_why() -> None:
    by_code: dict[tuple[Code, frozenset[Code]], list[Label]] = {}
    for item in LABELS:
        by_code.setdefault((item.type, frozenset(item.modifiers)), []).append(item)
    for shared in (group for group in by_code.values() if len(group) > 1):
        assert any("code" in item.derivation for item in shared), [item.name for item in shared]


def test_colours_and_slugs_are_unique() -> None:
    assert len({item.colour for item in LABELS}) == 161
    assert len({item.slug for item in LABELS}) == 161
    assert label("posterior 12th rib right").slug == "posterior_12th_rib_right"


def test_every_label_says_where_it_is_seen_and_how_it_is_derived() -> None:
    for item in LABELS:
        assert item.views
        assert set(item.views) <= {"frontal", "lateral"}
        assert item.derivation


def test_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(LabelError, match=r"'visible lung rigth'.*'visible lung right'"):
        label("visible lung rigth")


SIDED = ("visible lung", "clavicle", "scapula")
LANDMARKS = (
    *("heart", "aorta", "trachea", "thoracic spine", "sternum", "liver"),
    *(f"{name} {side}" for name in SIDED for side in ("left", "right")),
)
PAIRS = [
    pair
    for pair in itertools.combinations(LANDMARKS, 2)
    if not pair[0].startswith(SIDED) or pair[0].rsplit(" ", 1)[0] != pair[1].rsplit(" ", 1)[0]
]
"""The sides of one structure are left out: they are told apart by where they lie."""

EASILY_TOLD_APART = 25.0
"""CIELAB distance; 2.3 is the least that is seen at all, side by side."""


def _lab(colour: tuple[int, int, int]) -> np.ndarray:
    """Return CIELAB (D65) of sRGB; IEC 61966-2-1."""
    share = np.array(colour) / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_structures_that_are_drawn_together_have_colours_that_are_told_apart(one: str, other: str) -> None:
    distance = np.linalg.norm(_lab(label(one).colour) - _lab(label(other).colour))
    assert distance >= EASILY_TOLD_APART
