import numpy as np
import numpy.typing as npt

from ai.mask_geometry import MAX_OUTLINE_POINTS, Point
from ai.rings import rings
from ai.segmentation import Mask


def _area(ring: tuple[Point, ...]) -> float:
    x, y = np.transpose(ring)
    return abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))) / 2


def _disc(side: int, radius: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.asarray(rows**2 + columns**2 < radius**2)


def test_one_pixel_has_a_ring_around_it_that_ends_where_it_begins() -> None:
    (ring,) = rings(Mask(np.ones((1, 1), np.bool_), 7, 5))
    assert set(ring) == {(5.5, 7.0), (6.0, 7.5), (5.5, 8.0), (5.0, 7.5)}
    assert ring[0] == ring[-1]


def test_a_ring_encloses_its_area_with_few_points() -> None:
    (ring,) = rings(Mask(_disc(801, 400), 3, 4))
    assert abs(_area(ring) / (np.pi * 400**2) - 1) < 0.005
    assert len(ring) <= MAX_OUTLINE_POINTS + 1


def test_a_hole_has_a_ring_where_it_is_and_a_speck_has_none() -> None:
    pixels = np.ones((100, 120), np.bool_)
    pixels[20:40, 50:80] = False
    pixels[70:73, 70:73] = False
    outline, hole = rings(Mask(pixels, 10, 20))
    for ring, corners in ((outline, (20, 10, 140, 110)), (hole, (70, 30, 100, 50))):
        found = (*np.min(ring, axis=0), *np.max(ring, axis=0))
        assert np.abs(np.subtract(found, corners)).max() <= 0.5


def test_every_piece_has_a_ring_the_smallest_too() -> None:
    pixels = np.zeros((50, 50), np.bool_)
    pixels[5:30, 5:30] = pixels[40, 45] = True
    large, small = rings(Mask(pixels, 0, 0))
    assert _area(large) > 600
    assert np.min(small, axis=0).tolist() == [45, 40]


def test_an_island_in_a_hole_has_a_ring_of_its_own() -> None:
    pixels = _disc(101, 50) & ~_disc(101, 40) | _disc(101, 20)
    areas = sorted(_area(ring) for ring in rings(Mask(pixels, 0, 0)))
    for found, radius in zip(areas, (20, 40, 50), strict=True):
        assert abs(found / (np.pi * radius**2) - 1) < 0.03


def test_pieces_that_meet_at_a_corner_have_a_ring_each() -> None:
    pixels = np.zeros((8, 8), np.bool_)
    pixels[:4, :4] = pixels[4:, 4:] = True
    assert len(rings(Mask(pixels, 0, 0))) == 2
