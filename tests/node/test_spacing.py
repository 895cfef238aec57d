import pytest
from pydicom import Dataset

from node.spacing import pixel_spacing

SHAPE = (2500, 2048)


def _dataset(**attributes: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def test_pixel_spacing_comes_before_imager_pixel_spacing() -> None:
    spacing, notes = pixel_spacing(
        _dataset(PixelSpacing=[0.13, 0.13], ImagerPixelSpacing=[0.15, 0.15]), SHAPE, False
    )
    assert spacing is not None
    assert (spacing.row_mm, spacing.source, spacing.calibrated, notes) == (0.13, "Pixel Spacing", True, ())


def test_equal_spacings_without_calibration_hold_at_the_detector_only() -> None:
    both = _dataset(PixelSpacing=[0.15, 0.15], ImagerPixelSpacing=[0.15, 0.15])
    spacing, _ = pixel_spacing(both, SHAPE, False)
    assert spacing is not None
    assert not spacing.calibrated


@pytest.mark.parametrize(
    ("stated", "imager"),
    [
        ([0.143, 0.143], [0.1434, 0.1434]),  # the same, rounded
        ([0.2, 0.2], [0.1999, 0.1999]),
        ([0.286, 0.286], [0.143, 0.143]),  # scaled down by two: no body is larger than its shadow
        ([0.14, 0.14], [0.35, 0.35]),  # no shadow is so much larger than its body
        ([0.14, 0.14], [0.16, 0.14]),
    ],
)
def test_spacings_that_do_not_differ_as_a_shadow_from_its_body_are_not_calibrated(
    stated: list[float], imager: list[float]
) -> None:
    spacing, _ = pixel_spacing(_dataset(PixelSpacing=stated, ImagerPixelSpacing=imager), SHAPE, False)
    assert spacing is not None
    assert (spacing.source, spacing.calibrated) == ("Pixel Spacing", False)
    both = _dataset(PixelSpacing=stated, ImagerPixelSpacing=imager, PixelSpacingCalibrationType="FIDUCIAL")
    told, _ = pixel_spacing(both, SHAPE, False)
    assert told is not None
    assert told.calibrated


def test_imager_pixel_spacing_is_divided_by_the_magnification() -> None:
    dataset = _dataset(ImagerPixelSpacing=[0.15, 0.15], EstimatedRadiographicMagnificationFactor="1.2")
    spacing, _ = pixel_spacing(dataset, SHAPE, False)
    assert spacing is not None
    assert spacing.column_mm == pytest.approx(0.125)
    assert spacing.calibrated


@pytest.mark.parametrize("factor", ["1", "1.005"])
def test_a_magnification_of_1_calibrates_nothing_for_no_body_lies_in_the_detector(factor: str) -> None:
    dataset = _dataset(ImagerPixelSpacing=[0.15, 0.15], EstimatedRadiographicMagnificationFactor=factor)
    spacing, notes = pixel_spacing(dataset, SHAPE, False)
    assert spacing is not None
    assert (spacing.calibrated, spacing.column_mm, notes) == (False, 0.15, ())


def test_the_magnification_counts_where_pixel_spacing_repeats_that_at_the_detector() -> None:
    dataset = _dataset(
        PixelSpacing=[0.15, 0.15],
        ImagerPixelSpacing=[0.15, 0.15],
        EstimatedRadiographicMagnificationFactor="1.2",
    )
    spacing, _ = pixel_spacing(dataset, SHAPE, False)
    assert spacing is not None
    assert spacing.column_mm == pytest.approx(0.125)
    dataset.PixelSpacingCalibrationType = "FIDUCIAL"
    spacing, _ = pixel_spacing(dataset, SHAPE, False)
    assert spacing is not None
    assert (spacing.source, spacing.column_mm) == ("Pixel Spacing", 0.15)


def test_a_magnification_below_1_is_not_believed() -> None:
    dataset = _dataset(ImagerPixelSpacing=[0.15, 0.15], EstimatedRadiographicMagnificationFactor="0.994")
    spacing, notes = pixel_spacing(dataset, SHAPE, False)
    assert spacing is not None
    assert spacing.source == "Imager Pixel Spacing (at the detector)"
    assert "0.994 is not believed" in notes[0]


def test_secondary_capture_may_use_its_nominal_scanned_spacing() -> None:
    spacing, _ = pixel_spacing(_dataset(NominalScannedPixelSpacing=[0.17, 0.17]), SHAPE, False)
    assert spacing is not None
    assert spacing.source == "Nominal Scanned Pixel Spacing"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({}, "no pixel spacing"),
        ({"PixelSpacing": [0, 0]}, "Pixel Spacing 0\\0 is no spacing"),
        ({"PixelSpacing": [0.05, 0.05]}, "125 mm long"),
        ({"PixelSpacing": [2.0, 2.0]}, "5000 mm long"),
        ({"PixelSpacing": [-0.1, 0.1]}, "is no spacing"),
    ],
)
def test_spacings_that_cannot_be_believed_are_none_with_a_reason(
    attributes: dict[str, object], reason: str
) -> None:
    spacing, notes = pixel_spacing(_dataset(**attributes), SHAPE, False)
    assert spacing is None
    assert reason in notes[0]


def test_a_believable_spacing_is_found_behind_one_that_is_not() -> None:
    dataset = _dataset(PixelSpacing=[0, 0], ImagerPixelSpacing=[0.15, 0.15])
    spacing, notes = pixel_spacing(dataset, SHAPE, False)
    assert spacing is not None
    assert len(notes) == 1


def test_a_small_field_is_believed_of_a_child_only() -> None:
    dataset = _dataset(PixelSpacing=[0.06, 0.06])
    assert pixel_spacing(dataset, SHAPE, is_child=True)[0] is not None
    assert pixel_spacing(dataset, SHAPE, is_child=False)[0] is None


def test_pixels_that_are_not_square_are_told() -> None:
    _, notes = pixel_spacing(_dataset(PixelSpacing=[0.15, 0.2]), SHAPE, False)
    assert "not square" in notes[0]
