from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from node.display_values import display_values
from node.voi_window import Window, windows

MakeDx = Callable[..., Dataset]

RAMP = np.tile(np.arange(4096, dtype=np.uint16), (64, 1))


def _shown(dataset: Dataset, stored: npt.NDArray[np.generic] = RAMP) -> npt.NDArray[np.float32]:
    return display_values(stored, dataset).pixels


def _lut(first: int, entries: list[int], bits: int = 16) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = entries
    item["LUTData"].VR = "US"
    return item


@pytest.mark.parametrize(
    ("photometric", "shape", "turned", "noted"),
    [
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME1", "", True, False),
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME1", "IDENTITY", True, True),
    ],
)
def test_the_grey_scale_is_turned_over_once(
    make_dx: MakeDx, photometric: str, shape: str, turned: bool, noted: bool
) -> None:
    dataset = make_dx(PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    found = display_values(RAMP, dataset)
    assert (found.pixels[0, 0] > found.pixels[0, -1]) == turned
    assert any("contradict" in note for note in found.notes) == noted


def test_a_negative_slope_turns_the_values_before_the_window(make_dx: MakeDx) -> None:
    dataset = make_dx(RescaleSlope="-1", RescaleIntercept="4095", WindowCenter="2048", WindowWidth="4096")
    shown = _shown(dataset)
    assert shown[0, 0] == pytest.approx(1.0)
    assert shown[0, -1] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR", [0.0, 0.0, (1000 - 999.5) / 1000 + 0.5, 1.0]),
        ("LINEAR_EXACT", [0.0, 0.0, 0.5, 1.0]),
        ("SIGMOID", [1 / (1 + np.exp(4 * 1000 / 1001)), 1 / (1 + np.exp(4 * 501 / 1001)), 0.5, 0.8805]),
    ],
)
def test_each_window_function_has_its_formula(function: str, expected: list[float]) -> None:
    window = Window(1000, 1001, function)
    assert window.apply(np.array([0, 499, 1000, 1500], np.float32)) == pytest.approx(expected, abs=1e-3)


def test_a_window_that_clips_almost_everything_is_ignored_and_told(make_dx: MakeDx) -> None:
    found = display_values(RAMP, make_dx(WindowCenter="-600", WindowWidth="1600"))
    assert "center -600, width 1600" in found.notes[0]
    assert found.pixels.max() - found.pixels.min() == pytest.approx(1.0)


def test_the_first_window_that_shows_something_is_taken(make_dx: MakeDx) -> None:
    dataset = make_dx(WindowCenter=["-600", "1024"], WindowWidth=["1600", "2048"])
    shown = _shown(dataset)
    assert shown[0, 2048] == pytest.approx(1.0)
    assert shown[0, 512] == pytest.approx(0.25, abs=1e-2)


def test_malformed_windows_are_left_out(make_dx: MakeDx) -> None:
    assert windows(make_dx(WindowCenter="100", WindowWidth="0")) == ()
    assert windows(make_dx(WindowCenter=["1", "2"], WindowWidth="4")) == (Window(1, 4),)


def test_a_modality_lut_comes_before_rescale(make_dx: MakeDx) -> None:
    dataset = make_dx(ModalityLUTSequence=[_lut(0, [65535 - 16 * value for value in range(4096)])])
    dataset.WindowCenter, dataset.WindowWidth = "32768", "65536"
    assert _shown(dataset)[0, 0] > _shown(dataset)[0, -1]


def test_a_voi_lut_comes_before_a_window(make_dx: MakeDx) -> None:
    square = [round(65535 * (value / 4095) ** 2) for value in range(4096)]
    assert _shown(make_dx(VOILUTSequence=[_lut(0, square)]))[0, 2048] == pytest.approx(0.25, abs=1e-3)


def test_a_lut_that_cannot_be_read_is_ignored_and_told(make_dx: MakeDx) -> None:
    found = display_values(RAMP, make_dx(VOILUTSequence=[Dataset()], ModalityLUTSequence=[Dataset()]))
    assert [note for note in found.notes if "cannot be read" in note] == [
        "the Modality LUT cannot be read and was ignored",
        "the VOI LUT cannot be read and was ignored",
    ]


def test_padding_is_black_whatever_the_polarity_and_does_not_count(make_dx: MakeDx) -> None:
    dataset = make_dx(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    del dataset.WindowCenter, dataset.WindowWidth
    dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 0, 1000
    shown = _shown(dataset)
    assert not shown[:, :1001].any()
    assert shown[0, 1010] > 0.95


def test_a_padding_value_of_almost_everything_is_ignored(make_dx: MakeDx) -> None:
    dataset = make_dx(PixelPaddingRangeLimit=4000)
    dataset.PixelPaddingValue = 0
    assert "Pixel Padding Value" in display_values(RAMP, dataset).notes[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_linear_images_for_processing_become_attenuation(make_dx: MakeDx, sign: int) -> None:
    dataset = make_dx(
        SOPClassUID=DigitalXRayImageStorageForProcessing,
        PresentationIntentType="FOR PROCESSING",
        PixelIntensityRelationship="LIN",
        PixelIntensityRelationshipSign=sign,
    )
    shown = _shown(dataset)
    dense, open_beam = (0, -1) if sign == 1 else (-1, 0)
    assert shown[0, dense] == pytest.approx(1.0)
    assert shown[0, open_beam] == pytest.approx(0.0)
    assert shown[0, 2048] < 0.2


@pytest.mark.parametrize(("sign", "padding"), [(1, 0), (-1, 65535)])
def test_padding_does_not_bend_the_logarithm(make_dx: MakeDx, sign: int, padding: int) -> None:
    dataset = make_dx(
        SOPClassUID=DigitalXRayImageStorageForProcessing,
        PresentationIntentType="FOR PROCESSING",
        PixelIntensityRelationship="LIN",
        PixelIntensityRelationshipSign=sign,
        BitsStored=16,
        HighBit=15,
    )
    plain = display_values(RAMP + 500, dataset).pixels
    dataset.PixelPaddingValue = padding
    framed = np.pad(RAMP + 500, ((0, 20), (0, 0)), constant_values=padding)
    np.testing.assert_allclose(display_values(framed, dataset).pixels[: len(RAMP)], plain, atol=0.01)


@pytest.mark.parametrize("sign", [1, -1])
def test_logarithmic_images_for_processing_keep_their_scale(make_dx: MakeDx, sign: int) -> None:
    dataset = make_dx(SOPClassUID=DigitalXRayImageStorageForProcessing, PixelIntensityRelationshipSign=sign)
    shown = _shown(dataset)
    assert (shown[0, 0] > shown[0, -1]) == (sign == 1)
    assert shown[0, 2048] == pytest.approx(0.5, abs=0.01)
