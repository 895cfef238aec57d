from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.uid import JPEG2000, UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from node.lossy import write_lossy_compression
from node.reader import Source, read_radiograph

MakeDx = Callable[..., Dataset]


@pytest.fixture(scope="module")
def source(make_dx: MakeDx) -> Source:
    content = BytesIO()
    make_dx(rows=64, columns=64).save_as(content, enforce_file_format=True)
    content.seek(0)
    return read_radiograph(content)


def _written(source: Source, syntax: UID, ratio: float = 9.5, **attributes: object) -> Dataset:
    dataset, result = Dataset(), Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    changed = replace(source, dataset=dataset, transfer_syntax=syntax, compression_ratio=ratio)
    write_lossy_compression(result, changed)
    return result


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless, JPEG2000])
def test_nothing_lost_is_said_where_nothing_says_so(source: Source, syntax: UID) -> None:
    result = _written(source, syntax, LossyImageCompression="00")
    assert result.LossyImageCompression == "00"
    assert "LossyImageCompressionMethod" not in result
    assert "LossyImageCompressionRatio" not in result


def test_words_that_are_no_defined_term_give_way_to_the_likely_method(source: Source) -> None:
    with disable_value_validation():
        result = _written(
            source, JPEG2000, LossyImageCompression="01", LossyImageCompressionMethod="jpeg lossy"
        )
    assert result.LossyImageCompressionMethod == "ISO_15444_1"


def test_a_syntax_that_always_loses_is_lossy_whatever_the_tag_says(source: Source) -> None:
    result = _written(source, JPEGBaseline8Bit, LossyImageCompression="00")
    assert (result.LossyImageCompression, result.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert float(result.LossyImageCompressionRatio) == 9.5


def test_stated_methods_and_ratios_are_kept_in_their_order(source: Source) -> None:
    result = _written(
        source,
        ExplicitVRLittleEndian,
        LossyImageCompression="01",
        LossyImageCompressionMethod=["ISO_10918_1", "ISO_15444_1"],
        LossyImageCompressionRatio=["12", "3.5"],
    )
    assert list(result.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_15444_1"]
    assert [float(ratio) for ratio in result.LossyImageCompressionRatio] == [12, 3.5]


def test_there_is_a_ratio_for_each_method(source: Source) -> None:
    result = _written(
        source,
        JPEG2000,
        LossyImageCompression="01",
        LossyImageCompressionMethod=["ISO_10918_1", "ISO_15444_1"],
        LossyImageCompressionRatio="12",
    )
    assert [float(ratio) for ratio in result.LossyImageCompressionRatio] == [12, 12]


def test_the_method_is_that_of_the_syntax_where_none_is_stated(source: Source) -> None:
    result = _written(source, JPEG2000, LossyImageCompression="01")
    assert result.LossyImageCompressionMethod == "ISO_15444_1"
