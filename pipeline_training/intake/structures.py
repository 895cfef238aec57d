"""Which structure a name or a code of somebody else's label means, where that is certain.

Names are TotalSegmentator v2's and what `LabelMap` adds to them; our own names of ai/labels.csv are accepted
where one structure in 3D stands for them.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from ai.labels import LABELS, Code

# fmt: off
PAIRED = (
    "adrenal_gland", "atrial_appendage", "autochthon", "brachiocephalic_vein", "breast", "clavicula",
    "common_carotid_artery", "femur", "gluteus_maximus", "gluteus_medius", "gluteus_minimus",
    "heart_atrium", "heart_ventricle", "hip", "humerus", "iliac_artery", "iliac_vena", "iliopsoas",
    "kidney", "kidney_cyst", "lung", "lung_lower_lobe", "lung_upper_lobe", "scapula",
    "subclavian_artery",
)
SINGLE = (
    "aorta", "body", "brachiocephalic_trunk", "brain", "bronchi", "colon", "costal_cartilages",
    "diaphragm", "duodenum", "esophagus", "face", "gallbladder", "heart", "heart_myocardium",
    "inferior_vena_cava", "liver", "lung_middle_lobe_right", "muscle", "pancreas",
    "portal_vein_and_splenic_vein", "prostate", "pulmonary_artery", "pulmonary_vein", "sacrum", "skull",
    "small_bowel", "spinal_cord", "spleen", "sternum", "stomach", "superior_vena_cava", "thyroid_gland",
    "trachea", "urinary_bladder",
)
# fmt: on
VERTEBRAE = (
    "S1",
    *(f"{part}{i}" for part, count in (("L", 5), ("T", 12), ("C", 7)) for i in range(1, count + 1)),
)
STRUCTURES = frozenset(
    [
        *SINGLE,
        *(f"{name}_{side}" for name in PAIRED for side in ("left", "right")),
        *(f"vertebrae_{name}" for name in VERTEBRAE),
        *(f"rib_{side}_{number}" for side in ("left", "right") for number in range(1, 13)),
    ]
)
"""The names that a label may have. Source: TotalSegmentator v2, class map "total", and `LabelMap`."""

OURS = {
    "rib_cartilage": "costal_cartilages",
    "clavicle left": "clavicula_left",
    "clavicle right": "clavicula_right",
    "left lung": "lung_left",
    "right lung": "lung_right",
}
"""Our names that differ from TotalSegmentator's by more than blanks and underscores."""

Coded = tuple[str, frozenset[str]]
"""The code value of a property type, and those of its modifiers, all SNOMED CT."""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


@cache
def _by_name() -> dict[str, str]:
    return {_plain(name): name for name in STRUCTURES} | {_plain(ours): name for ours, name in OURS.items()}


@cache
def _by_code() -> dict[Coded, str]:
    """Return the structures whose codes are those of one label of ours only, and that have a name in 3D."""
    coded = [(_coded(label.type, label.modifiers), by_name(label.name)) for label in LABELS]
    count = Counter(code for code, _ in coded)
    return {code: name for code, name in coded if name is not None and count[code] == 1}


def _coded(kind: Code, modifiers: Iterable[Code]) -> Coded:
    return kind.value, frozenset(modifier.value for modifier in modifiers)


def by_name(name: str) -> str | None:
    """Return the structure of that name, letter case, blanks, underscores and hyphens aside; None if unknown.

    >>> by_name("Kidney-Left"), by_name("CLAVICLE LEFT"), by_name("tumour")
    ('kidney_left', 'clavicula_left', None)
    """
    return _by_name().get(_plain(name))


def by_code(kind: Code, modifiers: Iterable[Code]) -> str | None:
    """Return the structure that has this SNOMED CT type with just these modifiers; None if none or several.

    >>> by_code(Code("64033007", "SCT", "Kidney"), [Code("7771000", "SCT", "Left")])
    'kidney_left'
    """
    given = [kind, *modifiers]
    if any(code.scheme != "SCT" for code in given):
        return None
    return _by_code().get(_coded(kind, given[1:]))
