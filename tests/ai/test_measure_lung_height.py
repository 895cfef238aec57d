from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from ai.measure_lung_height import left_lung_height, lung_height_ratio, right_lung_height
from ai.measurement import Measurement, NotComputed, Unit
from ai.radiograph import PixelSpacing, Radiograph
from ai.segmentation import Segmentation

MakeFilm = Callable[..., Radiograph]
MakeChest = Callable[..., Segmentation]


def lung(rows: tuple[int, int], columns: tuple[int, int]) -> npt.NDArray[np.bool_]:
    dense = np.zeros((600, 500), np.bool_)
    dense[slice(*rows), slice(*columns)] = True
    return dense


def test_height_is_counted_in_rows_and_told_in_mm(make_film: MakeFilm, make_chest: MakeChest) -> None:
    found = make_chest({"visible lung left": lung((100, 420), (300, 450))})
    right, left = right_lung_height(make_film(), found), left_lung_height(make_film(), found)
    assert isinstance(right, Measurement)
    assert isinstance(left, Measurement)
    assert (right.value, left.value) == pytest.approx((340 * 0.8, 320 * 0.8))
    assert right.unit is Unit.MILLIMETRE
    assert right.structures == ("visible lung right",)
    [line] = right.drawings
    assert line.points == ((125.0, 80.0), (125.0, 420.0))


def test_ratio_is_right_over_left_and_needs_no_spacing(make_film: MakeFilm, make_chest: MakeChest) -> None:
    found = make_chest({"visible lung left": lung((100, 420), (300, 450))})
    ratio = lung_height_ratio(make_film(None), found)
    assert isinstance(ratio, Measurement)
    assert ratio.value == pytest.approx(340 / 320)
    assert ratio.unit is Unit.RATIO
    assert len(ratio.drawings) == 2


def test_thin_spur_at_the_apex_does_not_count(make_film: MakeFilm, make_chest: MakeChest) -> None:
    spiked = lung((80, 420), (50, 200)) | lung((40, 80), (120, 122))
    height = right_lung_height(make_film(), make_chest({"visible lung right": spiked}))
    assert isinstance(height, Measurement)
    assert height.value == pytest.approx(340 * 0.8)


def test_spacing_at_the_detector_is_remarked_and_none_gives_no_height(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    detector = PixelSpacing(0.8, 0.5, "Imager Pixel Spacing (at the detector)", calibrated=False)
    height = left_lung_height(make_film(detector), make_chest())
    assert isinstance(height, Measurement)
    assert "at the detector" in height.remarks[0]
    none = left_lung_height(make_film(None), make_chest())
    assert isinstance(none, NotComputed)
    assert none.reason == "no pixel spacing"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"without": ("visible lung right",)}, "visible lung right was not found"),
        (
            {"without": ("visible lung right",), "unsupported": ("visible lung right", "right lung")},
            "the model does not look for the right visible lung: it was not trained to",
        ),
        ({"frontal": 0.1}, "the image looks like a lateral view (probability 0.90)"),
        (
            {"given": {"visible lung right": lung((0, 420), (50, 200))}},
            "visible lung right is cut off by the edge of the image",
        ),
        (
            {"given": {"visible lung right": lung((270, 420), (50, 200))}},
            "the lungs are implausible: the right one is 0.44 times as high as the left one",
        ),
    ],
)
def test_no_height_is_told_where_it_would_be_wrong(
    make_film: MakeFilm, make_chest: MakeChest, changes: dict[str, object], told: str
) -> None:
    for measured in (right_lung_height, lung_height_ratio):
        result = measured(make_film(), make_chest(**changes))
        assert isinstance(result, NotComputed)
        assert result.reason == told
