from dataclasses import replace

import numpy as np

from pipeline_training.anatomy import Anatomy
from pipeline_training.breasts import Breasts, add_breasts, draw_breasts

PAIR = Breasts(height_mm=42.0, radius_mm=60.0, hanging_mm=20.0, apart=0.55, gland_share=0.3, seed=1)


def test_breasts_are_known_tissue_in_front_of_the_skin(anatomy: Anatomy) -> None:
    body = add_breasts(replace(anatomy, absent=frozenset({"breast", "pancreas"})), PAIR)
    front = round(PAIR.height_mm / anatomy.spacing_mm)
    assert body.hu.shape[1] == anatomy.hu.shape[1] + front
    breast = body.organs.mask("breast")
    assert breast.any()
    assert not (anatomy.hu[breast[:, front:]] > -300).any()
    assert set(np.unique(body.hu[breast])) == {-100, 40}
    assert 0.2 < (body.hu[breast] == 40).mean() < 0.4
    assert body.absent == {"pancreas"}
    np.testing.assert_array_equal(body.organs.mask("liver")[:, front:], anatomy.organs.mask("liver"))


def test_each_breast_lies_on_its_side(anatomy: Anatomy) -> None:
    body = add_breasts(anatomy, PAIR)
    right, left = (np.nonzero(body.organs.mask(f"breast {side}"))[2] for side in ("right", "left"))
    assert right.mean() < body.centre[2] < left.mean()
    lungs = np.nonzero(body.organs.mask("lung"))[0].mean()
    assert np.nonzero(body.organs.mask("breast"))[0].mean() < lungs


def test_larger_pair_holds_more(anatomy: Anatomy) -> None:
    small, large = (
        add_breasts(anatomy, replace(PAIR, height_mm=height)).organs.mask("breast").sum()
        for height in (18.0, 60.0)
    )
    assert large > 2 * small


def test_body_that_tells_of_breasts_stays(anatomy: Anatomy) -> None:
    body = add_breasts(anatomy, PAIR)
    assert add_breasts(body, PAIR) is body


def test_pair_follows_the_generator() -> None:
    assert draw_breasts(np.random.default_rng(3)) == draw_breasts(np.random.default_rng(3))
    assert draw_breasts(np.random.default_rng(3)) != draw_breasts(np.random.default_rng(4))
