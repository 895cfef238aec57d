"""What a rule can ask of an image: attributes by their DICOM keywords, and a few things that are none.

Keywords and value representations are those of PS3.6, as pydicom holds them.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from config.source import nearest

FIRST_GROUP = 0x0008
"""Lower groups are of commands and files (PS3.7, PS3.10): no data set that was sent has them."""

MAX_VALUE = 64
"""Longer values are never matched by a pattern, in characters: what LO and PN may have (PS3.5 6.2).

`config.patterns` says what that bounds."""


class Kind(StrEnum):
    """How values are compared."""

    TEXT = "text"  # upper and lower case are alike
    EXACT = "exact text"  # AE titles and UIDs: PS3.5 knows no two cases of them that are alike
    NUMBER = "numbers"
    DATE = "dates"  # as YYYYMMDD
    PRESENCE = "presence"  # only whether something is there


KINDS = {
    **dict.fromkeys(("AS", "CS", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"), Kind.TEXT),
    **dict.fromkeys(("AE", "UI"), Kind.EXACT),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "US or SS", "UV"), Kind.NUMBER),
    "DA": Kind.DATE,
}
"""By value representation (PS3.5 6.2); values of any other are only there or not."""

DERIVED = {
    "calling_ae_title": Kind.EXACT,
    "called_ae_title": Kind.EXACT,
    "view": Kind.TEXT,
    "body_part": Kind.TEXT,
    "age_years": Kind.NUMBER,
    "station": Kind.TEXT,
    "sop_class": Kind.TEXT,
}
"""What is no attribute; docs/rules.md says where each comes from."""

VIEWS = ("PA", "AP", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO", "OBLIQUE", "OBL")
"""What `view` can be: defined terms of View Position (PS3.3 C.8.7.2), and what is met in their place."""

_DATE = re.compile(r"(\d{4})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True)
class Attribute:
    """What a condition looks at.

    Attributes:
        path: Keywords from the outermost sequence to the attribute itself; or one of `DERIVED`.
        kind: How its values are compared.
    """

    path: tuple[str, ...]
    kind: Kind

    @property
    def is_derived(self) -> bool:
        """Whether it is no attribute of the data set."""
        return self.path[0] in DERIVED


def attribute_named(name: str) -> Attribute:
    """Return what a rule names, such as "BodyPartExamined" or "AnatomicRegionSequence.CodeValue".

    Raises:
        ValueError: There is no such keyword; the nearest known one is named.
    """
    if name in DERIVED:
        return Attribute((name,), DERIVED[name])
    path = tuple(name.split("."))
    for number, keyword in enumerate(path):
        vr = _vr(keyword, alone=len(path) == 1)
        if number < len(path) - 1 and vr != "SQ":
            raise ValueError(f"{keyword!r} in {name!r} is no sequence (its VR is {vr}): nothing lies in it")
    return Attribute(path, KINDS.get(vr, Kind.PRESENCE))


def _vr(keyword: str, *, alone: bool) -> str:
    from pydicom.datadict import (
        dictionary_VR,
        keyword_dict,
        tag_for_keyword,
    )  # settings without rules need none
    from pydicom.tag import Tag

    tag = tag_for_keyword(keyword)
    if tag is None:
        known = [*(DERIVED if alone else ()), *keyword_dict]
        raise ValueError(f"'attribute' must be a DICOM keyword, found {keyword!r}{nearest(keyword, known)}")
    if Tag(tag).group < FIRST_GROUP:
        raise ValueError(
            f"{keyword!r} is no part of an image's data set; 'calling_ae_title' tells who sent it"
        )
    return dictionary_VR(tag)


def as_date(value: str) -> str:
    """Return a date as YYYYMMDD; "" for what is none.

    >>> as_date("2025-01-31")
    '20250131'
    """
    found = _DATE.fullmatch(value)
    return "".join(found.groups()) if found else ""
