import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from ai.mask_geometry import (
    MAX_OUTLINE_POINTS,
    cut_off,
    cut_sides,
    horizontal_extent,
    level_edges,
    outer_edges,
    outlines,
    simplify,
    trace,
    vertical_extent,
)
from ai.segmentation import Mask

Field = npt.NDArray[np.bool_]


def ellipse(shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]) -> Field:
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside: Field = ((columns - centre[0]) / radii[0]) ** 2 + ((rows - centre[1]) / radii[1]) ** 2 <= 1
    return inside


def as_mask(dense: Field) -> Mask:
    mask = Mask.from_dense(dense)
    assert mask is not None
    return mask


def polygon_area(points: tuple[tuple[float, float], ...]) -> float:
    x, y = np.array(points).T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def test_extent_of_an_ellipse_is_its_diameter() -> None:
    extent = horizontal_extent(as_mask(ellipse((300, 400), (200, 150), (120, 80))))
    assert extent.width == pytest.approx(240, abs=1)
    assert extent.left == pytest.approx((80, 150), abs=1)
    assert extent.right == pytest.approx((320, 150), abs=1)


def test_thin_spur_does_not_widen_the_extent() -> None:
    dense = ellipse((300, 400), (200, 150), (120, 80))
    dense[149:151, 20:200] = True
    assert horizontal_extent(as_mask(dense)).width == pytest.approx(240, abs=1)


def test_one_pixel_has_an_extent_and_an_outline() -> None:
    mask = Mask(np.ones((1, 1), np.bool_), 7, 5)
    assert horizontal_extent(mask).width == 1
    [path] = outlines(mask)
    assert set(path) == {(5.5, 7.0), (6.0, 7.5), (5.5, 8.0), (5.0, 7.5)}


def test_outer_edges_follow_both_sides_and_leave_spurs_and_empty_rows_out() -> None:
    dense = np.zeros((200, 200), np.bool_)
    dense[20:180, 60:140] = True
    dense[100, 10:60] = True
    dense[50] = False
    mask = as_mask(dense)
    left, right = outer_edges(mask, "left"), outer_edges(mask, "right")
    assert np.nanmin(left) == 60
    assert np.nanmax(right) == 140
    assert np.isnan(left[30])


@pytest.mark.parametrize(("top", "left"), [(0, 30), (60, 30), (30, 0), (30, 60)])
def test_structure_flat_on_the_border_is_cut_off(top: int, left: int) -> None:
    assert cut_off(Mask(np.ones((40, 40), np.bool_), top, left), (100, 100))
    assert not cut_off(Mask(np.ones((38, 38), np.bool_), 31, 31), (100, 100))


def test_structure_that_only_touches_the_border_is_whole() -> None:
    dense = ellipse((200, 200), (100, 150), (60, 50))
    dense[-1] = False
    dense[-1, 100] = True
    assert not cut_off(as_mask(dense), (200, 200))


def test_outline_encloses_the_area_and_is_short() -> None:
    dense = ellipse((1200, 1000), (500, 600), (300, 450))
    [path] = outlines(as_mask(dense))
    assert len(path) <= MAX_OUTLINE_POINTS
    assert polygon_area(path) == pytest.approx(np.pi * 300 * 450, rel=0.01)


def test_rough_outline_is_simplified_to_the_limit() -> None:
    dense = ellipse((600, 600), (300, 300), (250, 250))
    dense &= np.random.default_rng(0).random((600, 600)) > 0.02
    dense[np.random.default_rng(1).random((600, 600)) > 0.98] = False
    assert all(len(path) <= MAX_OUTLINE_POINTS for path in outlines(as_mask(dense)))


def test_every_large_piece_has_an_outline_and_crumbs_have_none() -> None:
    dense = ellipse((300, 300), (80, 80), (60, 60)) | ellipse((300, 300), (220, 220), (40, 40))
    dense[290, 10] = True
    first, second = outlines(as_mask(dense))
    assert polygon_area(first) > polygon_area(second)


def test_pieces_that_meet_at_a_corner_are_traced_apart() -> None:
    dense = np.zeros((6, 6), np.bool_)
    dense[1:3, 1:3] = dense[3:5, 3:5] = True
    path = trace(dense)
    assert path.max() == 3
    assert len(path) == 8


def test_trace_passes_a_corner_inside_one_piece_twice() -> None:
    ring = np.ones((3, 3), np.bool_)
    ring[0, 1] = ring[1, 1] = False
    ring = np.pad(ring, 1)
    assert len(trace(ring)) == 4 * 4


def test_vertical_extent_of_an_ellipse_is_its_height_without_spurs() -> None:
    dense = ellipse((300, 400), (200, 150), (120, 80))
    dense[10:100, 199:201] = True
    top, bottom = vertical_extent(as_mask(dense))
    assert top == pytest.approx((200, 70), abs=1)
    assert bottom == pytest.approx((200, 230), abs=1)


def test_level_edges_are_rows_for_each_column_and_nan_where_there_is_none() -> None:
    dense = np.zeros((60, 90), np.bool_)
    dense[20:40, 10:30] = True
    dense[25:50, 50:70] = True
    mask = as_mask(dense)
    top, bottom = level_edges(mask, "top"), level_edges(mask, "bottom")
    assert (top[5], bottom[5], top[50], bottom[50]) == (20, 40, 25, 50)
    assert np.isnan(top[20:40]).all()
    assert len(top) == mask.pixels.shape[1]


def test_borders_that_cut_a_mask_off_are_named() -> None:
    dense = np.zeros((60, 90), np.bool_)
    dense[0:30, 0:90] = True
    assert cut_sides(as_mask(dense), (60, 90)) == {"top", "left", "right"}
    assert cut_sides(as_mask(dense), (61, 91)) == {"top", "left"}
    dense[:, [0, -1]] = False
    assert cut_off(as_mask(dense), (60, 90))
    assert not cut_off(as_mask(dense), (60, 90), at_top=False)


@pytest.mark.parametrize("share", [0.3, 0.59, 0.8, 1.0])
def test_pieces_from_runs_are_those_of_a_labelled_picture(share: float) -> None:
    for shape in ((1, 9), (9, 1), (40, 33)):
        pixels = np.random.default_rng(7).random(shape) < share
        numbered, _ = ndimage.label(pixels)
        largest = int(np.bincount(numbered.ravel())[1:].max())
        assert Mask(pixels, 0, 0).largest_piece == largest / np.count_nonzero(pixels)


def _drawn() -> npt.NDArray[np.float64]:
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    radius = 50 + np.random.default_rng(8).normal(size=turn.size) * 0.3
    return np.stack([radius * np.cos(turn), 0.5 * radius * np.sin(turn)], axis=1)


def _traced() -> npt.NDArray[np.float64]:
    """Return the path around an ellipse of pixels: points in symmetric places are equally far away."""
    rows, columns = np.mgrid[:61, :121]
    return trace(((rows - 30) / 28) ** 2 + ((columns - 60) / 55) ** 2 < 1)


@pytest.mark.parametrize("path", [_drawn(), _traced()], ids=["drawn", "traced"])
def test_a_simplified_path_is_that_of_douglas_and_peucker(path: npt.NDArray[np.float64]) -> None:
    far = int(np.hypot(*(path - path[0]).T).argmax())
    closed = np.concatenate([path, path[:1]])
    wanted = [*_kept(closed, 0, far), *_kept(closed, far, len(path))]
    assert np.array_equal(simplify(path), path[wanted])
    assert 5 < len(wanted) < 200


def _kept(path: npt.NDArray[np.float64], first: int, last: int) -> list[int]:
    """Return the points of a span that are kept at half a pixel, its last one left out."""
    along, offset = path[last] - path[first], path[first + 1 : last] - path[first]
    away = np.abs(along[0] * offset[:, 1] - along[1] * offset[:, 0]) / np.hypot(*along)
    if not away.size or away.max() <= 0.5:
        return [first]
    split = first + 1 + int(away.argmax())
    return [*_kept(path, first, split), *_kept(path, split, last)]
