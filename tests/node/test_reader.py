from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, SecondaryCaptureImageStorage

from ai.orientation import Orientation
from ai.radiograph import View
from node.errors import RefusedImageError, UndecodableError
from node.reader import Source, read_radiograph

MakeDx = Callable[..., Dataset]


def _read(dataset: Dataset) -> Source:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return read_radiograph(content)


def _negative(dataset: Dataset) -> Dataset:
    dataset.PixelData = (4095 - dataset.pixel_array).astype("<u2").tobytes()
    dataset.PhotometricInterpretation, dataset.PresentationLUTShape = "MONOCHROME1", "INVERSE"
    return dataset


def test_a_radiograph_is_read_with_view_and_spacing(dx_file: Path) -> None:
    source = read_radiograph(dx_file)
    radiograph = source.radiograph
    assert radiograph.view is View.PA
    assert radiograph.spacing is not None
    assert radiograph.spacing.source == "Imager Pixel Spacing (at the detector)"
    assert radiograph.notes == ()
    assert (radiograph.rows, radiograph.columns) == source.shape == (256, 224)
    assert "PixelData" not in source.dataset


def test_monochrome1_and_monochrome2_of_one_picture_read_alike(make_dx: MakeDx) -> None:
    positive, negative = _read(make_dx()).radiograph, _read(_negative(make_dx())).radiograph
    assert positive.pixels == pytest.approx(negative.pixels, abs=1e-3)
    assert negative.notes == ()


def test_a_wrong_monochrome1_is_seen_in_the_pixels_and_told(make_dx: MakeDx) -> None:
    right = _read(make_dx()).radiograph
    wrong = _read(make_dx(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")).radiograph
    assert wrong.pixels == pytest.approx(right.pixels, abs=1e-3)
    assert "contradicts the pixels" in wrong.notes[0]


def test_a_mirrored_picture_is_read_the_usual_way_round(make_dx: MakeDx) -> None:
    usual = make_dx()
    mirrored = make_dx(PatientOrientation=["R", "F"])
    mirrored.PixelData = usual.pixel_array[:, ::-1].tobytes()
    source = _read(mirrored)
    assert np.array_equal(source.radiograph.pixels, _read(usual).radiograph.pixels)
    assert source.orientation == Orientation(flip_columns=True)
    assert source.stored_point((10.0, 20.0)) == (214.0, 20.0)


@pytest.mark.parametrize("uid", [ComputedRadiographyImageStorage, SecondaryCaptureImageStorage])
def test_other_sop_classes_of_radiographs_are_read(make_dx: MakeDx, uid: str) -> None:
    assert _read(make_dx(SOPClassUID=uid, Modality="CR")).radiograph.view is View.PA


def test_a_constant_picture_is_undecodable(make_dx: MakeDx) -> None:
    with pytest.raises(UndecodableError, match="every pixel has the value 7"):
        _read(make_dx(PixelData=np.full((256, 224), 7, "<u2").tobytes()))


def test_a_tiny_picture_is_refused(make_dx: MakeDx) -> None:
    with pytest.raises(RefusedImageError, match="Rows 32, Columns 200"):
        _read(make_dx(rows=32, columns=200))


def _rgb(make_dx: MakeDx, channels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Dataset:
    return make_dx(
        SOPClassUID=SecondaryCaptureImageStorage,
        PhotometricInterpretation="RGB",
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        WindowCenter="128",
        WindowWidth="256",
        PixelData=channels.tobytes(),
    )


def test_three_equal_channels_are_a_gray_picture(make_dx: MakeDx) -> None:
    gray = (make_dx().pixel_array // 16).astype(np.uint8)
    read = _read(_rgb(make_dx, np.stack([gray] * 3, axis=2))).radiograph
    assert read.pixels == pytest.approx(_read(make_dx()).radiograph.pixels, abs=0.02)


def test_a_coloured_picture_is_refused(make_dx: MakeDx) -> None:
    channels = np.random.default_rng(0).integers(0, 255, (256, 224, 3), np.uint8)
    with pytest.raises(RefusedImageError, match="coloured"):
        _read(_rgb(make_dx, channels))


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"PatientAge": "006Y"}, True),
        ({"PatientAge": "010M"}, True),
        ({"PatientAge": "054Y"}, False),
        ({"PatientAge": "", "PatientBirthDate": "20200101"}, True),
        ({"PatientAge": "", "PatientBirthDate": ""}, False),
    ],
)
def test_a_child_is_told(make_dx: MakeDx, attributes: dict[str, object], told: bool) -> None:
    notes = _read(make_dx(**attributes)).radiograph.notes
    assert any("child" in note for note in notes) == told


def test_a_lateral_view_is_read_and_left_to_the_segmenter(make_dx: MakeDx) -> None:
    assert _read(make_dx(ViewPosition="LL", PatientOrientation=["A", "F"])).radiograph.view.is_lateral
