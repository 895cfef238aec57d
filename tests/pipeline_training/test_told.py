"""Which rays tell of which structure, where the scan ends."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.geometry import POSES, Pose
from pipeline_training.scanned import Scanned, extend
from pipeline_training.told import BESIDE_MM, EVERYWHERE, PLANES, THROUGH, grouped, told

TILTED = Pose(tilt_deg=25.0, field_mm=900.0)


def through(anatomy: Anatomy, scanned: Scanned, pose: Pose, size: int) -> npt.NDArray[np.bool_]:
    return np.asarray(told(anatomy, scanned, pose, size).planes[THROUGH])


@pytest.mark.parametrize("view", ["PA", "AP", "LL", "RL"])
def test_rays_are_told_between_the_ends_of_the_scan(anatomy: Anatomy, view: str) -> None:
    pose, (longer, scanned) = POSES[view], extend(anatomy)
    tall = through(longer, scanned, replace(pose, field_mm=900.0), 90)
    rows = np.flatnonzero(tall.all(axis=1))
    assert rows.size
    assert not tall[: rows[0]].any()
    height = len(anatomy.hu) * anatomy.spacing_mm
    seen = height * pose.source_to_detector_mm / pose.source_to_centre_mm
    depth_loss = 0.25 * seen
    assert seen - depth_loss < rows.size * 10 <= seen + 10


def test_tilted_ray_that_leaves_the_scan_within_the_body_is_not_told(anatomy: Anatomy) -> None:
    longer, scanned = extend(anatomy)
    straight = through(longer, scanned, Pose(field_mm=900.0).as_parallel(), 90)
    tilted = through(longer, scanned, replace(Pose(field_mm=900.0), tilt_deg=12.0).as_parallel(), 90)
    assert tilted.sum() < straight.sum()


def test_parallel_rays_see_the_scan_at_its_true_height(anatomy: Anatomy) -> None:
    longer, scanned = extend(anatomy)
    pose = Pose(field_mm=900.0, parallel=True)
    rows = np.flatnonzero(through(longer, scanned, pose, 900).all(axis=1))
    assert rows.size == pytest.approx(len(anatomy.hu) * anatomy.spacing_mm, abs=2)
    middle = 450 - (anatomy.centre[0] + 0.5 - len(anatomy.hu) / 2) * anatomy.spacing_mm * -1
    assert rows.mean() + 0.5 == pytest.approx(middle, abs=1.5)


def at_rows(anatomy: Anatomy, **rows: tuple[int, int]) -> Anatomy:
    """Return the anatomy with these structures only, each on rows [first, last), in every slice."""
    organs = Layer.empty(anatomy.hu.shape)
    for place, (name, (first, last)) in enumerate(rows.items()):
        mask = np.zeros(anatomy.hu.shape, np.bool_)
        mask[:, first:last, 20 + place] = True
        organs.add(mask, name.replace("_", " "))
    return replace(anatomy, organs=organs, regions=(), whole=frozenset())


def test_rays_tell_of_a_structure_that_is_cut_where_they_pass_it_between_the_ends(anatomy: Anatomy) -> None:
    body, scanned = at_rows(anatomy, sternum=(4, 6), spine=(24, 26)), Scanned(0.0, len(anatomy.hu) - 1.0)
    found = told(body, scanned, TILTED, 120)
    front, back = (found.planes[found.place[name]] for name in ("sternum", "spine"))
    plain = found.planes[THROUGH]
    assert not (plain & ~front).any()
    assert not (plain & ~back).any()
    rows = [np.flatnonzero(plane.any(axis=1)) for plane in (plain, front, back)]
    assert rows[1].size > rows[0].size + 2
    assert rows[2].size > rows[0].size + 2
    assert rows[1][0] < rows[2][0], "a beam that goes down and forward shows lower what lies behind"


def test_what_is_told_of_a_structure_leaves_room_beside_it(anatomy: Anatomy) -> None:
    """The same as of a structure that fills all of that room."""
    beside = round(BESIDE_MM / anatomy.spacing_mm)
    thin, thick = (at_rows(anatomy, heart=rows) for rows in ((14, 16), (14 - beside, 16 + beside)))
    scanned = Scanned(0.0, len(anatomy.hu) - 1.0)
    thin_told, thick_told = (told(each, scanned, TILTED, 120) for each in (thin, thick))
    assert (thick_told.planes[2] <= thin_told.planes[2]).all()
    assert thick_told.planes[2].sum() < thin_told.planes[2].sum()


def test_whole_structures_are_told_everywhere_and_what_nobody_saw_through_the_body(anatomy: Anatomy) -> None:
    body = replace(at_rows(anatomy, heart=(10, 12), liver=(14, 16)), whole=frozenset({"heart"}))
    found = told(body, Scanned(0.0, len(anatomy.hu) - 1.0), TILTED, 60)
    assert found.place["heart"] == EVERYWHERE
    assert found.place["liver"] > EVERYWHERE
    assert found.planes[EVERYWHERE].all()
    assert "pancreas" not in found.place
    empty = replace(body, organs=body.organs.with_parts(np.zeros_like(body.organs.parts)), whole=frozenset())
    assert not told(empty, Scanned(0.0, len(anatomy.hu) - 1.0), TILTED, 60).place


def test_both_parts_of_a_rib_are_told_alike(anatomy: Anatomy) -> None:
    body = at_rows(anatomy, posterior_4th_rib_left=(20, 26), anterior_4th_rib_left=(4, 12), heart=(8, 12))
    place = told(body, Scanned(0.0, len(anatomy.hu) - 1.0), TILTED, 60).place
    assert place["posterior 4th rib left"] == place["anterior 4th rib left"] != place["heart"]


def test_a_rib_of_which_one_part_was_seen_is_told_through_the_body(anatomy: Anatomy) -> None:
    body = at_rows(anatomy, posterior_1st_rib_left=(20, 26), heart=(8, 12))
    place = told(body, Scanned(0.0, len(anatomy.hu) - 1.0), TILTED, 60).place
    assert "posterior 1st rib left" not in place
    assert "heart" in place


def test_a_lateral_view_tells_by_columns(anatomy: Anatomy) -> None:
    body, pose = at_rows(anatomy, heart=(2, 28)), replace(TILTED, azimuth_deg=90.0)
    found = told(body, Scanned(0.0, len(anatomy.hu) - 1.0), pose, 120)
    assert found.planes[found.place["heart"]].sum() > found.planes[THROUGH].sum()


def test_few_planes_hold_every_depth_and_the_nearest_are_merged() -> None:
    generator = np.random.default_rng(0)
    starts = generator.integers(0, 100, 40)
    depths = [(int(a), int(a + b)) for a, b in zip(starts, generator.integers(1, 60, 40), strict=True)]
    groups = grouped(depths, PLANES - 2)
    assert len(groups) == PLANES - 2
    assert all(any(g[0] <= d[0] and d[1] <= g[1] for g in groups) for d in depths)
    assert all(a < b for a, b in pairwise(groups))
    assert grouped([(0, 10), (1, 10), (50, 60)], 2) == [(0, 10), (50, 60)]
    assert grouped([(0, 10), (0, 10)], 2) == [(0, 10)]
    assert grouped([], 2) == []
