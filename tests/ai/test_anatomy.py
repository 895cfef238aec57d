import pytest

from ai.anatomy import ALL, Group, chosen, group_of
from ai.errors import LabelError
from ai.labels import LABELS, children


def test_every_group_has_structures() -> None:
    assert {group_of(item.name) for item in LABELS} == set(Group)


def test_parts_lie_in_the_group_of_the_whole() -> None:
    for whole in ("lung", "heart", "aorta", "spine", "clavicles", "posterior 4th rib", "diaphragm", "breast"):
        assert {group_of(part) for part in children(whole)} <= {group_of(whole)}, whole


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("vertebrae T7", Group.SPINE),
        ("anterior 3rd rib left", Group.RIBS),
        ("sternum", Group.RIBS),
        ("heart ventricle left", Group.HEART),
        ("aortic arch", Group.HEART),
        ("upper mediastinum", Group.MEDIASTINUM),
        ("visible lung left", Group.LUNGS),
        ("liver", Group.ABDOMEN),
    ],
)
def test_structure_lies_where_it_belongs(name: str, group: Group) -> None:
    assert group_of(name) is group


def test_a_choice_is_in_table_order_and_holds_each_structure_once() -> None:
    assert chosen([ALL, "heart"]) == tuple(item.name for item in LABELS)
    assert chosen(["breasts", "heart", "breast"]) == ("heart", "breast", "breast left", "breast right")


def test_an_unknown_choice_names_the_nearest_structure_or_group() -> None:
    with pytest.raises(LabelError, match="'rib cages'; the nearest known one is 'rib cage'"):
        chosen(["rib cages"])
