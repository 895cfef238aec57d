"""A result in another transfer syntax is the same result."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from ai.stand_in import StandInSegmenter
from node.options import OutputOptions
from node.pipeline import process
from node.transcode import NATIVE, SYNTAXES, offers, transcoded

MakeDx = Callable[..., Dataset]
EVERY = tuple(SYNTAXES.values())


@pytest.fixture(params=["binary", "labelmap", "fractional", "report"])
def result(request: pytest.FixtureRequest, make_dx: MakeDx, tmp_path: Path) -> Path:
    content = BytesIO()
    make_dx().save_as(content, enforce_file_format=True)
    content.seek(0)
    seg = "binary" if request.param == "report" else request.param
    results = process(content, StandInSegmenter(), OutputOptions(seg=seg)).results
    chosen = results[-1] if request.param == "report" else results[0]
    path = tmp_path / f"{request.param}.dcm"
    chosen.dataset.save_as(path, enforce_file_format=True)
    return path


def _own(path: Path) -> UID:
    return UID(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)


def test_every_offer_holds_the_same_pixels_and_the_same_header(result: Path) -> None:
    before = dcmread(result)
    for syntax in offers(result, _own(result), EVERY):
        content = BytesIO()
        transcoded(result, syntax).save_as(content, enforce_file_format=True)
        content.seek(0)
        after = dcmread(content)
        assert after.file_meta.TransferSyntaxUID == syntax
        assert after.SOPInstanceUID == before.SOPInstanceUID
        if "PixelData" in before:
            assert np.array_equal(after.pixel_array, before.pixel_array)
        for dataset in (before, after):
            dataset.pop("PixelData", None)
        assert after == before
        before = dcmread(result)


def test_what_another_coder_compressed_is_decompressed_by_pydicom(make_dx: MakeDx, tmp_path: Path) -> None:
    dataset, path = make_dx(), tmp_path / "other.dcm"
    pixels = dataset.pixel_array
    dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    again = transcoded(path, ExplicitVRLittleEndian)
    assert np.array_equal(again.pixel_array, pixels)


def test_bits_and_text_are_not_offered_compressed_and_bytes_are(result: Path) -> None:
    offered = offers(result, _own(result), EVERY)
    compressed = {RLELossless, JPEG2000Lossless}
    has_bytes = result.stem in {"labelmap", "fractional"}
    assert set(offered) & compressed == (compressed if has_bytes else set())
    assert DeflatedExplicitVRLittleEndian in offered


def test_the_preferred_come_first_and_what_everybody_takes_comes_last(result: Path) -> None:
    preferred = (DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian)
    offered = offers(result, _own(result), preferred)
    assert offered[:2] == preferred
    assert set(NATIVE) <= set(offered)
    assert offers(result, ExplicitVRLittleEndian, ()) == NATIVE


def test_a_compression_that_is_not_ours_is_left_as_it_is(tmp_path: Path) -> None:
    assert offers(tmp_path / "any.dcm", JPEGLSLossless, EVERY) == (JPEGLSLossless,)
