"""The decoders in the process that the node really uses."""

from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from node.decode import _description
from node.decoder_program import _with_gdcm
from node.decoders import DECODERS, DecoderFailedError

MakeDx = Callable[..., Dataset]


def test_gdcm_reads_an_image(make_dx: MakeDx) -> None:
    dataset = make_dx()
    wanted = dataset.pixel_array
    dataset.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    assert np.array_equal(_with_gdcm(dataset), wanted)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_broken_image_is_told_and_the_decoder_stays(make_dx: MakeDx, syntax: str) -> None:
    dataset = make_dx()
    dataset.compress(syntax, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    description = _description(dataset, dataset.file_meta.TransferSyntaxUID)
    whole = DECODERS.decode(description, dataset.PixelData)
    with pytest.raises(DecoderFailedError, match=r"(?i)unable to decode|cannot decode"):
        DECODERS.decode(description, encapsulate([b"\xff" * 40]))
    assert np.array_equal(DECODERS.decode(description, dataset.PixelData), whole)
