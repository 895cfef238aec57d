"""Groups of structures that belong together: what is sent, shown or chosen as one."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from ai.errors import LabelError
from ai.labels import LABELS, label, nearest


class Group(StrEnum):
    """A part of the anatomy of the chest. Each structure of the label table belongs to one."""

    LUNGS = "lungs and airways"
    HEART = "heart and vessels"
    MEDIASTINUM = "mediastinum"
    SPINE = "spine and vertebrae"
    RIBS = "rib cage"
    SHOULDERS = "shoulder girdle"
    ABDOMEN = "abdomen"
    BREASTS = "breasts"


ALL = "all"
"""Chooses every structure."""

_BY_NAME = {
    **dict.fromkeys(("trachea", "tracheal bifurcation", "lung"), Group.LUNGS),
    **dict.fromkeys(("heart", "aorta", "pulmonary artery", "inferior vena cava"), Group.HEART),
    **dict.fromkeys(("visible lung right", "visible lung left"), Group.LUNGS),
    **dict.fromkeys(("cardiomediastinum", "esophagus"), Group.MEDIASTINUM),
    **dict.fromkeys(("rib_cartilage", "sternum"), Group.RIBS),
    **dict.fromkeys(("clavicles", "scapulas"), Group.SHOULDERS),
    **dict.fromkeys(("spine",), Group.SPINE),
    **dict.fromkeys(("breast",), Group.BREASTS),
}
"""The group of these and of all their parts; ribs are known by name, what is left lies in the abdomen."""


def group_of(name: str) -> Group:
    """Return the group of a structure: that of its nearest ancestor, itself included, which has one.

    >>> group_of("left upper zone lung")
    <Group.LUNGS: 'lungs and airways'>
    """
    for ancestor in _lineage(name):
        if ancestor in _BY_NAME:
            return _BY_NAME[ancestor]
        if ancestor.endswith(" rib"):
            return Group.RIBS
    return Group.ABDOMEN


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Return the structures that a choice comprises, in table order.

    Args:
        names: "all", groups and structures, in any order.

    Raises:
        LabelError: One is none of these; the message has the nearest that there is.
    """
    groups = {str(group) for group in Group}
    single = dict.fromkeys(name for name in names if name != ALL and name not in groups)
    for name in single:
        _check(name)
    return tuple(
        item.name for item in LABELS if ALL in names or item.name in single or group_of(item.name) in names
    )


def _check(name: str) -> None:
    known = [item.name for item in LABELS]
    if name not in known:
        near = nearest(name, [ALL, *map(str, Group), *known])
        raise LabelError(f"unknown structure or group {name!r}; the nearest known one is {near!r}")


def _lineage(name: str | None) -> Iterator[str]:
    while name is not None:
        yield name
        name = label(name).parent
