import numpy as np
import numpy.typing as npt
import pytest

from ai.measure_plausibility import (
    heart_implausible,
    ratio_implausible,
    spine_implausible,
    spine_misplaced,
    thorax_implausible,
)
from ai.radiograph import PixelSpacing
from ai.segmentation import Mask, ModelIdentity, Segmentation

Vector = npt.NDArray[np.float64]

SHAPE = (600, 500)
PITCH = 40.0
LEVELS = np.arange(12.0)
IRREGULAR = "the vertebrae do not lie at regular distances"
UNLIKE = "the vertebrae are not alike in size, or not of the size of vertebrae"
NOT_SMOOTH = "the vertebrae do not lie on a smooth curve"


def box(rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    dense = np.zeros(SHAPE, bool)
    dense[slice(*rows), slice(*columns)] = True
    mask = Mask.from_dense(dense)
    assert mask is not None
    return mask


def chest(heart: Mask) -> Segmentation:
    """Two slim lungs, from column 50 to 450 and from row 80 to 420, and a heart."""
    right, left = box((80, 420), (50, 130)), box((80, 420), (370, 450))
    masks = {"heart": heart, "visible lung right": right, "visible lung left": left}
    return Segmentation(SHAPE, masks, ModelIdentity("boxes", "1", "0" * 64), frontal_probability=0.99)


def straight() -> Vector:
    return np.stack([np.full(12, 250.0), PITCH * LEVELS], axis=1)


def judged(
    centres: Vector, areas: Vector | None = None, gone: tuple[int, ...] = (), degree: int = 3
) -> str | None:
    """Twelve vertebrae without those at the places `gone`."""
    keep = [place for place in range(12) if place not in gone]
    sizes = np.full(12, PITCH**2) if areas is None else areas
    return spine_implausible(LEVELS[keep], centres[keep], sizes[keep], degree)


def test_regular_spine_is_plausible() -> None:
    assert judged(straight()) is None


def test_eight_vertebrae_with_single_ones_missing_are_plausible_and_seven_are_not() -> None:
    assert judged(straight(), gone=(1, 3, 7, 9)) is None
    assert judged(straight(), gone=(1, 3, 7, 9, 11)) == "7 vertebrae were found, 8 are needed"


def test_two_vertebrae_missing_in_a_row_are_too_many() -> None:
    assert judged(straight(), gone=(5, 6)) == "more than one vertebra in a row was not found"


def test_vertebrae_upside_down_are_not_in_their_order() -> None:
    assert judged(straight()[::-1]) == "the vertebrae do not lie in their order"


@pytest.mark.parametrize("shift", [0.85 * PITCH, -0.65 * PITCH], ids=["too far", "too near"])
def test_last_vertebra_at_an_odd_distance_is_irregular(shift: float) -> None:
    centres = straight()
    centres[-1, 1] += shift
    assert judged(centres) == IRREGULAR


@pytest.mark.parametrize(("degrees", "told"), [(60.0, None), (67.0, NOT_SMOOTH)])
def test_spine_may_lean_up_to_a_bound(degrees: float, told: str | None) -> None:
    centres = straight()
    centres[:, 0] += np.tan(np.radians(degrees)) * centres[:, 1]
    assert judged(centres, np.full(12, PITCH**2 * 4)) == told


@pytest.mark.parametrize(("sideways", "told"), [(0.2, None), (0.5, NOT_SMOOTH)])
def test_vertebra_beside_the_curve_is_refused(sideways: float, told: str | None) -> None:
    centres = straight()
    centres[5, 0] += sideways * PITCH
    assert judged(centres) == told


@pytest.mark.parametrize("times", [0.25, 3.5], ids=["small", "large"])
def test_one_vertebra_unlike_the_others_is_refused(times: float) -> None:
    areas = np.full(12, PITCH**2)
    areas[5] *= times
    assert judged(straight(), areas) == UNLIKE


@pytest.mark.parametrize("times", [0.1, 6.5], ids=["small", "large"])
def test_vertebrae_alike_but_of_no_vertebras_size_are_refused(times: float) -> None:
    assert judged(straight(), np.full(12, times * PITCH**2)) == UNLIKE


@pytest.mark.parametrize(
    ("columns", "misplaced"),
    [
        (np.full(12, 320.0), False),
        (np.full(12, 340.0), True),
        (np.linspace(60, 440, 12), False),
        (np.linspace(40, 460, 12), True),
    ],
    ids=["near the middle", "beside the middle", "between the lungs' edges", "beyond them"],
)
def test_spine_lies_in_the_middle_and_between_the_lungs(columns: Vector, misplaced: bool) -> None:
    found = chest(box((280, 400), (180, 330)))
    assert (spine_misplaced(found, columns) is not None) is misplaced


def test_heart_larger_than_the_lungs_is_refused() -> None:
    assert heart_implausible(chest(box((280, 400), (125, 380)))) is None
    told = heart_implausible(chest(box((190, 450), (80, 420))))
    assert told == "the heart is implausible: it has 1.6 times the area of both lungs"


@pytest.mark.parametrize(("heart", "plausible"), [(19, False), (21, True), (79, True), (81, False)])
def test_ratio_is_plausible_between_two_bounds(heart: float, plausible: bool) -> None:
    assert (ratio_implausible(heart, 100) is None) is plausible


@pytest.mark.parametrize(("width_mm", "plausible"), [(149, False), (151, True), (449, True), (451, False)])
def test_thorax_is_an_adults_between_two_bounds(width_mm: float, plausible: bool) -> None:
    spacing = PixelSpacing(0.7, 0.5, "Pixel Spacing", calibrated=True)
    assert (thorax_implausible(width_mm / 0.5, spacing) is None) is plausible
    assert thorax_implausible(width_mm / 0.5, None) is None
