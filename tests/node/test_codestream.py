from collections.abc import Callable

import pytest
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from node.codestream import first_fragment, stated_size

MakeDx = Callable[..., Dataset]


@pytest.mark.parametrize(
    ("syntax", "plugin", "size"),
    [
        (JPEG2000Lossless, "pylibjpeg", (96, 80)),
        (JPEGLSLossless, "pyjpegls", (96, 80)),
        (RLELossless, "pylibjpeg", None),
    ],
)
def test_size_is_read_from_the_codestream(
    make_dx: MakeDx, syntax: str, plugin: str, size: tuple[int, int] | None
) -> None:
    dataset = make_dx(96, 80)
    dataset.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
    assert stated_size(first_fragment(dataset.PixelData)) == size


def test_size_stands_behind_application_data_and_fill_bytes() -> None:
    application = b"\xff\xe0\x00\x04ab\xff"
    frame = b"\xff\xc0\x00\x0b\x08\x01\x02\x03\x04\x01"
    assert stated_size(b"\xff\xd8" + application + frame) == (0x0102, 0x0304)


@pytest.mark.parametrize(
    "broken", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\x00", b"\xff\x4f\xff\x51\x00", b"x" * 9]
)
def test_no_size_is_read_from_broken_ones(broken: bytes) -> None:
    assert stated_size(broken) is None
    assert first_fragment(broken[:4]) == b""
