import sys
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from node.decode import decode, parse, transfer_syntax
from node.decoders import Decoders
from node.errors import UndecodableError

MakeDx = Callable[..., Dataset]

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
COMPRESSED = [(RLELossless, "pylibjpeg"), (JPEG2000Lossless, "pylibjpeg"), (JPEGLSLossless, "pyjpegls")]


def _bytes(dataset: Dataset) -> bytes:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _compressed(dataset: Dataset, syntax: UID, plugin: str) -> Dataset:
    dataset.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
    return dataset


@pytest.mark.parametrize("syntax", NATIVE)
def test_native_transfer_syntaxes_give_the_stored_values(make_dx: MakeDx, syntax: UID) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array
    dataset.file_meta.TransferSyntaxUID = syntax
    assert np.array_equal(decode(parse(_bytes(dataset))), wanted)


def test_big_endian_gives_the_stored_values(make_dx: MakeDx) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array
    dataset.PixelData = wanted.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    content = BytesIO()
    again = Dataset(dataset)
    again.file_meta = dataset.file_meta
    again.save_as(content, implicit_vr=False, little_endian=False)
    assert np.array_equal(decode(parse(content.getvalue())), wanted)


@pytest.mark.parametrize(("syntax", "plugin"), COMPRESSED)
def test_lossless_compression_gives_the_stored_values(make_dx: MakeDx, syntax: UID, plugin: str) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array
    assert np.array_equal(decode(parse(_bytes(_compressed(dataset, syntax, plugin)))), wanted)


def test_lossy_compression_gives_nearly_the_stored_values(make_dx: MakeDx) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array.astype(int)
    dataset.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)
    assert np.abs(decode(parse(_bytes(dataset))).astype(int) - wanted).max() <= 2


@pytest.mark.parametrize(("syntax", "plugin"), COMPRESSED)
def test_the_codec_is_guessed_where_no_transfer_syntax_is_stated(
    make_dx: MakeDx, syntax: UID, plugin: str
) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array
    dataset = parse(_bytes(_compressed(dataset, syntax, plugin)))
    del dataset.file_meta.TransferSyntaxUID
    assert np.array_equal(decode(dataset), wanted)


def test_a_file_without_preamble_and_meta_is_read(make_dx: MakeDx) -> None:
    dataset = make_dx()
    content = BytesIO()
    bare = Dataset(dataset)
    bare.save_as(content, implicit_vr=True, little_endian=True)
    assert np.array_equal(decode(parse(content.getvalue())), dataset.pixel_array)


def test_native_pixels_under_a_compressed_transfer_syntax_are_read(make_dx: MakeDx) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array
    wrong = dcmread(BytesIO(_bytes(dataset)))
    wrong.file_meta.TransferSyntaxUID = JPEGLSLossless
    assert np.array_equal(decode(wrong), wanted)
    assert transfer_syntax(wrong) == ExplicitVRLittleEndian


@pytest.mark.parametrize("content", [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(4096), b"\xff" * 300])
def test_what_is_no_dicom_is_undecodable(content: bytes) -> None:
    with pytest.raises(UndecodableError):
        parse(content)


def test_lack_of_memory_is_no_fault_of_the_bytes(make_dx: MakeDx, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_arguments: object) -> None:
        raise MemoryError

    dataset = make_dx()
    content = _bytes(dataset)
    monkeypatch.setattr("node.decode.pixel_array", no_memory)
    with pytest.raises(MemoryError):
        decode(dataset)
    monkeypatch.setattr("node.decode.dcmread", no_memory)
    with pytest.raises(MemoryError):
        parse(content)


def test_missing_pixels_are_named(make_dx: MakeDx) -> None:
    dataset = make_dx()
    del dataset.PixelData
    with pytest.raises(UndecodableError, match="Pixel Data"):
        decode(dataset)


def test_a_file_cut_off_in_its_pixels_is_undecodable(make_dx: MakeDx) -> None:
    content = _bytes(make_dx())
    with pytest.raises(UndecodableError, match="cannot be decoded"):
        decode(parse(content[: len(content) * 2 // 3]))


@pytest.mark.parametrize(("syntax", "plugin"), COMPRESSED)
def test_broken_compressed_pixels_are_undecodable(make_dx: MakeDx, syntax: UID, plugin: str) -> None:
    dataset = _compressed(make_dx(), syntax, plugin)
    dataset.PixelData = encapsulate([b"\x00\x01" * 400])
    with pytest.raises(UndecodableError, match=str(syntax.name)[:4]):
        decode(parse(_bytes(dataset)))


def test_bits_outside_the_stored_ones_are_dropped(make_dx: MakeDx) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array
    dataset.PixelData = (wanted << 4 | 5).astype("<u2").tobytes()
    dataset.HighBit = 15
    assert np.array_equal(decode(parse(_bytes(dataset))), wanted)


def test_an_overlay_in_the_unused_bits_is_dropped(make_dx: MakeDx) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array
    dataset.PixelData = (wanted | 1 << 15).astype("<u2").tobytes()
    dataset.add_new((0x6000, 0x0102), "US", 15)
    assert np.array_equal(decode(parse(_bytes(dataset))), wanted)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"Rows": 60_000, "Columns": 60_000}, "60000 rows of 60000 pixels: more than 100000000 in all"),
        ({"Rows": 9_000, "Columns": 9_000, "NumberOfFrames": 4}, "the pixels have more than 512 MB"),
        ({"NumberOfFrames": -1}, "no number of pixels"),
    ],
)
def test_more_pixels_than_any_radiograph_has_are_told_before_there_is_memory(
    make_dx: MakeDx, attributes: dict[str, int], told: str
) -> None:
    dataset = make_dx(**attributes)
    tracemalloc.start()
    with pytest.raises(UndecodableError, match=told):
        decode(dataset)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


def test_codestream_of_another_size_is_told(make_dx: MakeDx) -> None:
    dataset = _compressed(make_dx(), JPEG2000Lossless, "pylibjpeg")
    dataset.Rows = 300
    with pytest.raises(UndecodableError, match=r"the codestream has 256 rows of 224 pixels.*\(300, 224\)"):
        decode(dataset)


def test_crash_of_a_decoder_makes_an_image_undecodable(make_dx: MakeDx) -> None:
    decoders = Decoders((sys.executable, "-I", str(Path(__file__).with_name("broken_decoder.py")), "abort"))
    dataset = _compressed(make_dx(), RLELossless, "pylibjpeg")
    with pytest.raises(UndecodableError, match=r"the decoder ended with signal 6 \(SIGABRT\)"):
        decode(dataset, decoders)
    decoders.close()


def test_pixel_data_that_are_no_bytes_are_told(make_dx: MakeDx) -> None:
    dataset = make_dx()
    for vr, value in (("UT", b"text"), ("US", b"\1\0\2\0"), ("DS", b"no number")):
        tag = BaseTag(0x7FE00010)
        dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
        with pytest.raises(UndecodableError, match="Pixel Data"):
            decode(dataset)
