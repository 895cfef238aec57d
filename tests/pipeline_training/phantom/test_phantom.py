"""The phantom is a person, and what follows from its labels agrees with what is known of it."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ai.labels import LABELS
from pipeline_training.anatomy import Anatomy
from pipeline_training.derive import ORDINALS, derive
from pipeline_training.phantom import Arms, PhantomParameters, draw_parameters, make_phantom, phantom_truth
from pipeline_training.phantom.canvas import BACK_MM, LEFT_MM, LOW_MM
from pipeline_training.volumes import LabelMap, check_orientation

Mask = npt.NDArray[np.bool_]
SPACING = 3.0
USUAL = PhantomParameters()
CURVED = replace(
    USUAL, scoliosis=14.0, kyphosis=24.0, rib_slope=1.2, breast=50.0, arms=Arms.UP, inspiration=4.0
)

PLAUSIBLE_ML = {
    "heart_ventricle_left": (60, 260), "liver": (900, 2600), "stomach": (100, 600), "spleen": (60, 400),
    "kidney_left": (70, 260), "trachea": (10, 60), "aorta": (70, 320), "lung_upper_lobe_right": (400, 1700),
    "lung_lower_lobe_left": (400, 1700), "lung_middle_lobe_right": (150, 900),
}  # fmt: skip
"""Adults', wide."""


@pytest.fixture(scope="module", params=[USUAL, CURVED], ids=["usual", "curved"])
def parameters(request: pytest.FixtureRequest) -> PhantomParameters:
    chosen: PhantomParameters = request.param
    return chosen


@pytest.fixture(scope="module")
def body(parameters: PhantomParameters) -> LabelMap:
    return make_phantom(parameters, SPACING)


@pytest.fixture(scope="module")
def derived(body: LabelMap) -> Anatomy:
    return derive(body, np.random.default_rng(0))


def _z(mask: Mask) -> tuple[float, float]:
    """Return the lower and the upper edge of a mask in mm."""
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    return LOW_MM + SPACING * float(slices[0]), LOW_MM + SPACING * float(slices[-1] + 1)


def _back(mask: Mask) -> tuple[float, float]:
    """Return the front and the back edge of a mask in mm."""
    rows = np.flatnonzero(mask.any(axis=(0, 2)))
    return -BACK_MM + SPACING * float(rows[0]), -BACK_MM + SPACING * float(rows[-1] + 1)


def test_phantom_is_oriented_complete_and_of_human_size(body: LabelMap) -> None:
    check_orientation(body)
    ribs = [name for name in body.names.values() if name.startswith("rib_")]
    assert len(ribs) == 24
    assert {f"vertebrae_T{n}" for n in range(1, 13)} <= set(body.names.values())
    for name, (low, high) in PLAUSIBLE_ML.items():
        volume = body.mask(name).sum() * SPACING**3 / 1000
        assert low < volume < high, f"{name}: {volume:.0f} ml"


def test_hounsfield_units_are_those_of_tissues(body: LabelMap) -> None:
    assert body.hu is not None
    medians = {name: float(np.median(body.hu[body.mask(name)])) for name in body.names.values()}
    assert medians["lung_lower_lobe_right"] == pytest.approx(-850, abs=30)
    assert medians["aorta"] == pytest.approx(130, abs=10)
    assert medians["body"] == pytest.approx(-100, abs=10)
    assert medians["rib_left_6"] > 200
    assert float(np.median(body.hu[body.labels == 0])) < -980
    lungs = body.hu[body.mask("lung_lower_lobe_right", "lung_upper_lobe_right", "lung_middle_lobe_right")]
    assert 0.01 < (lungs > -100).mean() < 0.25, "there are vessels in the lungs"


def test_same_parameters_give_the_same_phantom_and_others_another() -> None:
    one, two = (make_phantom(draw_parameters(np.random.default_rng(5)), 6.0) for _ in range(2))
    other = make_phantom(draw_parameters(np.random.default_rng(6)), 6.0)
    assert one.hu is not None
    assert two.hu is not None
    assert (one.labels == two.labels).all()
    assert (one.hu == two.hu).all()
    assert (one.labels != other.labels).any()


@pytest.mark.parametrize("seed", range(6))
def test_every_drawn_adult_has_all_bones_and_passes_the_check_of_its_orientation(seed: int) -> None:
    body = make_phantom(draw_parameters(np.random.default_rng(seed)), 4.0)
    check_orientation(body)
    assert len([name for name in body.names.values() if name.startswith(("rib_", "vertebrae_T"))]) == 36


def test_what_a_phantom_lacks_is_absent_and_not_unknown() -> None:
    bare = make_phantom(replace(USUAL, arms=Arms.ABSENT), 6.0)
    beyond = {f"vertebrae_{level}" for level in ("C1", "C2", "C3", "C4", "L4", "L5")}
    assert bare.absent == {"breast_left", "breast_right", "humerus_left", "humerus_right", *beyond}


def test_every_structure_is_present_or_absent(derived: Anatomy) -> None:
    seen_in_two_dimensions = {"visible lung right", "visible lung left"}
    known = set(derived.known())
    assert not known & derived.absent
    assert known | derived.absent | seen_in_two_dimensions == {label.name for label in LABELS}


def test_aorta_is_parted_where_its_limbs_separate(derived: Anatomy, parameters: PhantomParameters) -> None:
    truth = phantom_truth(parameters)
    assert _z(derived.organs.mask("aortic arch"))[0] == pytest.approx(truth.limbs_part_z, abs=2 * SPACING)
    ascending, descending = (derived.organs.mask(f"{limb} aorta") for limb in ("ascending", "descending"))
    assert _back(ascending)[1] == pytest.approx(truth.limbs_middle_y, abs=2 * SPACING)
    assert descending.sum() > ascending.sum() > 0


def test_ribs_are_parted_at_their_lateral_most_point(derived: Anatomy, parameters: PhantomParameters) -> None:
    truth = phantom_truth(parameters)
    for (side, number), turn in truth.rib_turn_y.items():
        anterior = derived.organs.mask(f"anterior {ORDINALS[number - 1]} rib {side}")
        assert _back(anterior)[1] == pytest.approx(turn, abs=3 * SPACING), f"{side} {number}"


def test_upper_mediastinum_ends_at_the_lower_edge_of_t4(
    derived: Anatomy, parameters: PhantomParameters
) -> None:
    lower_edge = _z(derived.regions[0].mask("upper mediastinum"))[0]
    assert lower_edge == pytest.approx(phantom_truth(parameters).t4_lower_z, abs=2 * SPACING)


def test_apical_zones_begin_at_the_clavicles_medial_ends(
    derived: Anatomy, parameters: PhantomParameters
) -> None:
    for side, level in phantom_truth(parameters).clavicle_end_z.items():
        apex = derived.regions[0].mask(f"{side} apical zone lung")
        assert _z(apex)[0] == pytest.approx(level, abs=2 * SPACING)


def test_carina_is_in_the_middle_of_the_bifurcation(derived: Anatomy, parameters: PhantomParameters) -> None:
    low, high = _z(derived.organs.mask("tracheal bifurcation"))
    assert (low + high) / 2 == pytest.approx(phantom_truth(parameters).carina_z, abs=SPACING)
    assert high - low == pytest.approx(20, abs=SPACING)


def test_what_lies_under_the_diaphragm_ends_at_its_domes(
    derived: Anatomy, parameters: PhantomParameters
) -> None:
    for side, top in phantom_truth(parameters).dome_z.items():
        below = derived.regions[0].mask(f"{side} hemidiaphragm")
        assert _z(below)[1] == pytest.approx(top, abs=4 * SPACING)
        columns = np.flatnonzero(below.any(axis=(0, 1)))
        middle = (phantom_truth(parameters).midline_x + LEFT_MM) / SPACING
        assert (columns <= middle + 2).all() if side == "right" else (columns >= middle - 2).all()


def test_lobes_and_chambers_make_lungs_and_heart(derived: Anatomy) -> None:
    lungs = derived.organs.mask("right lung") | derived.organs.mask("left lung")
    assert (lungs == derived.organs.mask("lung")).all()
    chambers = np.any([derived.organs.mask(f"heart {part}") for part in (
        "atrium left", "atrium right", "ventricle left", "ventricle right", "myocardium",
    )], axis=0)  # fmt: skip
    assert (chambers == derived.organs.mask("heart")).all()
