"""What a data set may be built of; bombs are told before they are read."""

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from node import structure
from node.errors import UndecodableError
from node.limits import MAX_DEPTH, MAX_ELEMENTS, MAX_HEAD_ELEMENTS, MAX_LUT_BYTES, MAX_VALUE_BYTES
from node.structure import Encoding, check_data_set, check_file, check_head, inflated

MakeDx = Callable[..., Dataset]

ENCODINGS = [Encoding(False), Encoding(True), Encoding(False, little=False)]
UNDEFINED = 0xFFFFFFFF


def element(encoding: Encoding, tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    order = "<" if encoding.little else ">"
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    length = len(value) if length is None else length
    if encoding.implicit:
        return head + struct.pack(f"{order}L", length) + value
    if vr in {b"SQ", b"UN", b"OB", b"OW", b"UT"}:
        return head + vr + b"\0\0" + struct.pack(f"{order}L", length) + value
    return head + vr + struct.pack(f"{order}H", length) + value


def mark(encoding: Encoding, tag: int, length: int = 0) -> bytes:
    return struct.pack(f"{'<' if encoding.little else '>'}HHL", tag >> 16, tag & 0xFFFF, length)


def nested(encoding: Encoding, depth: int, defined: bool, vr: bytes = b"SQ", tag: int = 0x00081140) -> bytes:
    content = b""
    for _ in range(depth):
        if defined:
            item = mark(encoding, 0xFFFEE000, len(content)) + content
            content = element(encoding, tag, vr, item)
        else:
            item = mark(encoding, 0xFFFEE000, UNDEFINED) + content + mark(encoding, 0xFFFEE00D)
            content = element(encoding, tag, vr, item + mark(encoding, 0xFFFEE0DD), UNDEFINED)
    return content


def file_of(dataset: Dataset) -> bytes:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
@pytest.mark.parametrize("defined", [True, False])
def test_depth_is_bounded(encoding: Encoding, defined: bool) -> None:
    check_data_set(nested(encoding, MAX_DEPTH, defined), encoding)
    with pytest.raises(UndecodableError, match=f"nested more than {MAX_DEPTH} deep"):
        check_data_set(nested(encoding, MAX_DEPTH + 1, defined), encoding)


def test_unknown_and_private_sequences_count_too() -> None:
    explicit, implicit = Encoding(False), Encoding(True)
    for content, encoding in (
        (nested(explicit, 40, False, b"UN"), explicit),
        (nested(explicit, 40, False, b"SQ", 0x00091001), explicit),
        (nested(implicit, 40, False, b"", 0x00091001), implicit),
        (element(explicit, 0x00081140, b"UN", nested(implicit, 40, True)[8:]), explicit),
    ):
        with pytest.raises(UndecodableError, match="nested"):
            check_data_set(content, encoding)


def test_sequence_after_deep_ones_is_counted_from_the_top() -> None:
    encoding = Encoding(False)
    check_data_set(nested(encoding, 20, False) + nested(encoding, 20, True) * 3, encoding)


def test_item_that_its_elements_overrun_hides_nothing() -> None:
    encoding = Encoding(False)
    inner = nested(encoding, 40, False)
    overrun = element(encoding, 0x00080050, b"UT", b"ab" * 20)
    item = mark(encoding, 0xFFFEE000, 4) + overrun + mark(encoding, 0xFFFEE000, UNDEFINED) + inner
    content = element(encoding, 0x00081140, b"SQ", item, UNDEFINED)
    with pytest.raises(UndecodableError, match="nested"):
        check_data_set(content, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_number_of_elements_is_bounded(encoding: Encoding) -> None:
    one = element(encoding, 0x00204000, b"LO", b"ab")
    check_data_set(one * 1_000, encoding)
    begun = time.process_time()
    with pytest.raises(UndecodableError, match=f"more than {MAX_ELEMENTS} elements"):
        check_data_set(one * (MAX_ELEMENTS + 1), encoding)
    assert time.process_time() - begun < 5


def test_items_and_fragments_count_as_elements() -> None:
    encoding = Encoding(False)
    many = mark(encoding, 0xFFFEE000) * (MAX_ELEMENTS + 1)
    end = mark(encoding, 0xFFFEE0DD)
    for tag, vr in ((0x00081140, b"SQ"), (0x7FE00010, b"OB")):
        with pytest.raises(UndecodableError, match="elements"):
            check_data_set(element(encoding, tag, vr, many + end, UNDEFINED), encoding)


def test_elements_of_the_file_meta_information_count() -> None:
    meta = element(Encoding(False), 0x00020016, b"AE", b"ab") * (MAX_ELEMENTS + 1)
    with pytest.raises(UndecodableError, match="elements"):
        check_file(bytes(128) + b"DICM" + meta)


def test_endless_values_are_named() -> None:
    implicit = Encoding(True)
    for tag, size, told in (
        (0x00100010, MAX_VALUE_BYTES + 2, r"the value of \(0010,0010\) has 262146 bytes"),
        (0x00283006, MAX_LUT_BYTES + 2, r"LUT Data \(0028,3006\) has 131074 bytes"),
    ):
        with pytest.raises(UndecodableError, match=told):
            check_data_set(element(implicit, tag, b"", bytes(size)), implicit)
    check_data_set(element(implicit, 0x00091001, b"", bytes(1_000_000)), implicit)  # private: never read
    check_data_set(element(Encoding(False), 0x60003000, b"OW", bytes(1_000_000)), Encoding(False))


def test_deflate_bomb_is_told_without_memory_for_it() -> None:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(20)), packer.flush()])
    tracemalloc.start()
    with pytest.raises(UndecodableError, match="inflates to more than 4 MB"):
        inflated(bomb, 4 * 1_048_576)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000


def test_limit_holds_for_what_a_file_inflates_to(make_dx: MakeDx, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dx()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = file_of(dataset)
    check_file(content)
    with pytest.raises(UndecodableError, match="inflated"):
        check_file(content[:400] + b"\xff" * 200)


def test_object_with_too_many_bytes_is_told(make_dx: MakeDx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "MAX_OBJECT_BYTES", 1_048_576)
    with pytest.raises(UndecodableError, match="the object has more than 1 MB"):
        check_file(bytes(1_048_577))


def test_head_is_bounded_up_to_its_last_element() -> None:
    encoding = Encoding(False)
    many = element(encoding, 0x00080050, b"SH", b"ab") * (MAX_HEAD_ELEMENTS + 1)
    last = element(encoding, 0x0020000E, b"UI", b"1.2 ")
    with pytest.raises(UndecodableError, match="elements"):
        check_head(many + last, encoding, 0x0020000E)
    check_head(last + element(encoding, 0x00204000, b"LT", b"ab") + many, encoding, 0x0020000E)


def test_whole_files_pass(make_dx: MakeDx) -> None:
    dataset = make_dx()
    check_file(file_of(dataset))
    dataset.PixelData = encapsulate([b"\xff\x4f" * 40])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    check_file(file_of(dataset))


def test_cut_off_anywhere_it_ends(make_dx: MakeDx) -> None:
    content = file_of(make_dx(64, 64))
    for length in range(0, 1_600):
        check_file(content[:length])
