"""Attributes with values that they should not have count as absent, and take no time."""

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from node.attributes import extent, items, number, numbers, text, values

WINDOW_CENTER = BaseTag(0x00281050)


def _raw(vr: str, value: bytes, tag: int = WINDOW_CENTER) -> Dataset:
    dataset = Dataset()
    dataset[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)
    return dataset


@pytest.mark.parametrize(
    ("vr", "value"),
    [("DS", b"x"), ("DS", b"nan"), ("DS", b"-inf"), ("US", b"abc"), ("AA", b"ab"), ("SQ", b"\xfe\xff\0\xe0")],
)
def test_malformed_numbers_count_as_absent(vr: str, value: bytes) -> None:
    dataset = _raw(vr, value)
    assert numbers(dataset, "WindowCenter") == ()
    assert number(dataset, "WindowCenter", 7.0) == 7.0


def test_sequence_in_place_of_a_text_counts_as_absent() -> None:
    broken = _raw("AA", b"ab", 0x41414141)
    dataset = Dataset()
    dataset.add_new("ViewPosition", "SQ", Sequence([broken]))
    assert values(dataset, "ViewPosition") == ()
    assert text(dataset, "ViewPosition") == ""


def test_items_of_a_sequence_that_ends_too_early_count_as_absent() -> None:
    assert items(_raw("SQ", b"\xfe\xff\x00\xe0", 0x00283010), "VOILUTSequence") == ()


def test_extent_counts_items_elements_and_bytes_at_any_depth() -> None:
    inner, outer = _raw("LO", b"abcd", 0x00100020), Dataset()
    outer.OtherPatientIDsSequence = [inner, Dataset()]
    outer.PatientID = "12"
    assert extent([outer]) == (1 + 2 + 1 + 1, 4 + 2)
