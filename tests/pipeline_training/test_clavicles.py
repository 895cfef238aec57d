"""A clavicle turns about its inner end as a rigid bone; nothing else moves."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.anatomy import Anatomy
from pipeline_training.body import Difference, make_body
from pipeline_training.clavicles import inner_end, turn_clavicles
from pipeline_training.deform import Deformation
from pipeline_training.derive import derive
from pipeline_training.phantom import PhantomParameters, make_phantom
from pipeline_training.scanned import Scanned
from pipeline_training.shoulders import Shoulder, clavicle_slopes

SIDES = (("right", -1.0, 0), ("left", 1.0, 1))


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    """A phantom whose clavicles are some voxels thick."""
    return derive(make_phantom(PhantomParameters(), 3.0), np.random.default_rng(0))


@pytest.fixture
def scanned(anatomy: Anatomy) -> Scanned:
    return Scanned(0.0, len(anatomy.hu) - 1.0)


def centre(places: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    return np.asarray(np.argwhere(places).mean(axis=0))


@pytest.mark.parametrize(("side", "outwards", "place"), SIDES)
@pytest.mark.parametrize("tilt", [-10.0, 15.0])
def test_outer_end_sinks_by_the_tilt_and_the_inner_end_stays(
    anatomy: Anatomy, scanned: Scanned, side: str, outwards: float, place: int, tilt: float
) -> None:
    tilts = (tilt, 0.0) if side == "right" else (0.0, tilt)
    body = turn_clavicles(anatomy, tilts, scanned)
    before, after = clavicle_slopes(anatomy)[place], clavicle_slopes(body)[place]
    assert before - after == pytest.approx(tilt, abs=5)  # bones of some voxels' width
    old = np.array(inner_end(anatomy.organs.mask(f"clavicle {side}"), outwards))
    new = np.array(inner_end(body.organs.mask(f"clavicle {side}"), outwards))
    assert np.abs(new - old).max() * body.spacing_mm < 10


def test_bone_keeps_its_size_and_its_density(anatomy: Anatomy, scanned: Scanned) -> None:
    body = turn_clavicles(anatomy, (15.0, 15.0), scanned)
    for side, *_ in SIDES:
        old, new = anatomy.organs.mask(f"clavicle {side}"), body.organs.mask(f"clavicle {side}")
        assert new.sum() == pytest.approx(old.sum(), rel=0.15)
        assert body.hu[new].mean() == pytest.approx(anatomy.hu[old].mean(), rel=0.2)


def test_where_the_bone_was_is_soft_tissue(anatomy: Anatomy, scanned: Scanned) -> None:
    body = turn_clavicles(anatomy, (0.0, 20.0), scanned)
    left = anatomy.organs.mask("clavicle left") & (body.organs.parts == 0)
    assert left.sum() > 20
    assert -150 < np.median(body.hu[left]) < 150


def test_nothing_else_moves(anatomy: Anatomy, scanned: Scanned) -> None:
    body = turn_clavicles(anatomy, (15.0, 15.0), scanned)
    bones = anatomy.organs.mask("clavicle right") | anatomy.organs.mask("clavicle left")
    bones |= body.organs.mask("clavicle right") | body.organs.mask("clavicle left")
    np.testing.assert_array_equal(body.organs.parts[~bones], anatomy.organs.parts[~bones])


def test_bone_that_would_lie_in_the_lung_slides_forward(anatomy: Anatomy, scanned: Scanned) -> None:
    """Lungs all around it but in front."""
    left = anatomy.organs.mask("clavicle left")
    front = int(np.argwhere(left)[:, 1].min())
    parts = anatomy.organs.parts.copy()
    (lung, *_) = anatomy.organs.structures["lung"]
    behind = np.zeros(parts.shape, np.bool_)
    behind[:, front + 2 :, round(anatomy.centre[2]) :] = True
    parts[behind & ~left] = lung
    crowded = replace(anatomy, organs=anatomy.organs.with_parts(parts))
    free, slid = (turn_clavicles(each, (0.0, 20.0), scanned) for each in (anatomy, crowded))
    assert centre(slid.organs.mask("clavicle left"))[1] < centre(free.organs.mask("clavicle left"))[1] - 1


def test_shadow_of_a_bone_that_the_scan_cut_off_goes_with_it(anatomy: Anatomy) -> None:
    left = anatomy.organs.mask("clavicle left")
    top = int(np.argwhere(left)[:, 0].max()) - 1
    hu, parts = anatomy.hu.copy(), anatomy.organs.parts.copy()
    hu[top + 1 :], parts[top + 1 :] = hu[top], 0
    cut = replace(anatomy, hu=hu, organs=anatomy.organs.with_parts(parts))
    shadow = cut.organs.mask("clavicle left")[top]
    assert (cut.hu[top + 1 :][:, shadow] > 150).any()
    body = turn_clavicles(cut, (0.0, 20.0), Scanned(0.0, float(top)))
    assert not (body.hu[top + 1 :][:, shadow] > 150).any()


def test_other_bones_lose_nothing(anatomy: Anatomy, scanned: Scanned) -> None:
    for tilt in (-6.0, 10.0, 26.0):
        body = turn_clavicles(anatomy, (tilt, tilt), scanned)
        for name in ("scapula left", "scapula right", "sternum", "posterior 1st rib left", "spine", "lung"):
            assert body.organs.mask(name).sum() == anatomy.organs.mask(name).sum() > 0


def test_bone_that_the_scan_cut_short_stays(anatomy: Anatomy, scanned: Scanned) -> None:
    left = anatomy.organs.mask("clavicle left")
    columns = np.nonzero(left)[2]
    outer = left & (np.arange(left.shape[2]) > (columns.min() + columns.max()) / 2)
    parts = np.where(outer, 0, anatomy.organs.parts).astype(np.uint8)
    short = replace(anatomy, organs=anatomy.organs.with_parts(parts))
    assert turn_clavicles(short, (0.0, 20.0), scanned) is short


@pytest.mark.parametrize(("tilts", "turned"), [((18.0, 0.0), 0), ((0.0, 18.0), 1)])
def test_made_body_has_the_clavicle_of_that_side_turned(
    anatomy: Anatomy, scanned: Scanned, tilts: tuple[float, float], turned: int
) -> None:
    right, left = (Shoulder(0.0, 0.0, tilt) for tilt in tilts)
    alike = Deformation((1.0, 1.0, 1.0), np.zeros((3, 4, 4, 4), np.float32), anatomy.centre, 1.0, 10.0)
    still = Difference(alike, 0.0, (right, left), None, None, None)
    body, _ = make_body(anatomy, scanned, still)
    falls = np.subtract(clavicle_slopes(anatomy), clavicle_slopes(body))
    assert falls[turned] == pytest.approx(18, abs=5)
    assert falls[1 - turned] == pytest.approx(0, abs=1)


def test_level_and_unknown_clavicles_stay(anatomy: Anatomy, scanned: Scanned) -> None:
    assert turn_clavicles(anatomy, (0.0, 0.4), scanned) is anatomy
    parts = np.where(anatomy.organs.mask("clavicle left"), 0, anatomy.organs.parts).astype(np.uint8)
    unknown = replace(anatomy, organs=anatomy.organs.with_parts(parts))
    assert turn_clavicles(unknown, (0.0, 20.0), scanned) is unknown


def test_the_body_that_is_turned_is_not_changed(anatomy: Anatomy, scanned: Scanned) -> None:
    hu, parts = anatomy.hu.copy(), anatomy.organs.parts.copy()
    turn_clavicles(anatomy, (10.0, 10.0), scanned)
    np.testing.assert_array_equal(anatomy.hu, hu)
    np.testing.assert_array_equal(anatomy.organs.parts, parts)
