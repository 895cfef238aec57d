from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from ai.errors import RadiographError
from ai.postprocess import MAY_BE_SEVERAL, put_sides_right, side_pairs, to_mask
from ai.preprocess import Letterbox
from ai.segmentation import Mask

Field = npt.NDArray[np.float32]
Disc = Callable[..., Field]

SIZE = 64


def test_disc_keeps_centre_and_area_on_a_finer_native_grid(disc: Disc) -> None:
    mask = to_mask("heart", disc(SIZE, 30, 34, 10), 0.5, Letterbox(640, 640, SIZE)).mask
    assert mask is not None
    assert mask.centroid == pytest.approx((305, 345), abs=0.5)
    assert mask.area == pytest.approx(np.pi * 100**2, rel=0.02)


def test_disc_lands_where_the_letterbox_says(disc: Disc) -> None:
    box = Letterbox(640, 320, SIZE)
    mask = to_mask("heart", disc(SIZE, 31.5, 31.5, 8), 0.5, box).mask
    assert mask is not None
    assert mask.centroid == pytest.approx((160, 320), abs=0.5)


def test_edge_is_smooth_between_network_pixels(disc: Disc) -> None:
    mask = to_mask("heart", disc(SIZE, 31.5, 31.5, 20), 0.5, Letterbox(1024, 1024, SIZE)).mask
    assert mask is not None
    rows, columns = np.mgrid[:1024, :1024] + 0.5
    true = np.hypot(rows - 512, columns - 512) < 20 * 16
    assert np.count_nonzero(mask.dense((1024, 1024)) != true) < 0.01 * np.count_nonzero(true)


def test_crop_gives_the_same_mask_as_the_whole_grid_would(disc: Disc) -> None:
    field = disc(SIZE, 20, 40, 9) + np.random.default_rng(1).normal(0, 0.3, (SIZE, SIZE)).astype(np.float32)
    box = Letterbox(300, 400, SIZE)
    mask = to_mask("lung", field, 0.5, box).mask
    rows, columns = box.network_rows(0, 300), box.network_columns(0, 400)
    top = np.clip(rows.astype(int), 0, SIZE - 2)[:, None]
    left = np.clip(columns.astype(int), 0, SIZE - 2)[None]
    dy, dx = rows[:, None] - top, columns[None] - left
    upper = field[top, left] * (1 - dx) + field[top, left + 1] * dx
    lower = field[top + 1, left] * (1 - dx) + field[top + 1, left + 1] * dx
    assert mask is not None
    assert np.count_nonzero(mask.dense((300, 400)) != (upper * (1 - dy) + lower * dy > 0)) <= 30


def test_threshold_moves_the_edge(disc: Disc) -> None:
    areas = []
    for threshold in (0.2, 0.5, 0.8):
        mask = to_mask("heart", disc(SIZE, 32, 32, 12), threshold, Letterbox(64, 64, SIZE)).mask
        assert mask is not None
        areas.append(mask.area)
    assert areas[0] > areas[1] > areas[2]


def test_nothing_above_the_threshold_is_an_absent_structure_without_repairs() -> None:
    cleaned = to_mask("heart", np.full((SIZE, SIZE), -1, np.float32), 0.5, Letterbox(128, 128, SIZE))
    assert cleaned.mask is None
    assert cleaned.repairs == ()


def test_what_lies_in_the_padding_is_not_part_of_the_image(disc: Disc) -> None:
    assert to_mask("heart", disc(SIZE, 6, 32, 4), 0.5, Letterbox(640, 320, SIZE)).mask is None


def test_structure_cut_by_the_image_edge_ends_there(disc: Disc) -> None:
    mask = to_mask("heart", disc(SIZE, 16, 32, 6), 0.5, Letterbox(640, 320, SIZE)).mask
    assert mask is not None
    assert mask.left == 0
    assert mask.bottom <= 640


def test_speck_is_noise_and_told(disc: Disc) -> None:
    cleaned = to_mask("heart", disc(SIZE, 32, 32, 0.6), 0.5, Letterbox(128, 128, SIZE))
    assert cleaned.mask is None
    assert "noise" in cleaned.repairs[0]


def test_only_the_largest_piece_of_a_single_structure_stays_and_it_is_told(disc: Disc) -> None:
    field = np.maximum(disc(SIZE, 20, 20, 8), disc(SIZE, 48, 48, 7))
    cleaned = to_mask("heart", field, 0.5, Letterbox(128, 128, SIZE))
    alone = to_mask("heart", disc(SIZE, 20, 20, 8), 0.5, Letterbox(128, 128, SIZE))
    assert cleaned.mask is not None
    assert alone.mask is not None
    assert cleaned.repairs[0].startswith("heart: 1 detached piece(s) removed, 4")
    np.testing.assert_array_equal(cleaned.mask.dense((128, 128)), alone.mask.dense((128, 128)))


def test_pair_keeps_both_pieces_and_loses_only_crumbs(disc: Disc) -> None:
    field = np.maximum(disc(SIZE, 16, 32, 9), disc(SIZE, 48, 32, 8))
    field = np.maximum(field, disc(SIZE, 32, 8, 1.5))
    cleaned = to_mask("lung", field, 0.5, Letterbox(128, 128, SIZE))
    assert cleaned.mask is not None
    assert cleaned.mask.area == pytest.approx(4 * np.pi * (81 + 64), rel=0.03)
    assert "1 detached" in cleaned.repairs[0]


def test_small_hole_is_filled_and_a_large_one_stays(disc: Disc) -> None:
    solid = disc(SIZE, 32, 32, 20)
    for radius, filled in ((1.5, True), (8, False)):
        cleaned = to_mask(
            "heart", np.minimum(solid, -disc(SIZE, 32, 32, radius)), 0.5, Letterbox(64, 64, SIZE)
        )
        assert cleaned.mask is not None
        assert bool(cleaned.mask.dense((64, 64))[32, 32]) is filled
        assert bool(cleaned.repairs) is filled


@pytest.mark.parametrize("seed", range(20))
def test_noise_never_erases_a_structure_that_was_found(seed: int) -> None:
    field = np.random.default_rng(seed).normal(-1, 1, (SIZE, SIZE)).astype(np.float32)
    for name in ("heart", "lung"):
        assert to_mask(name, field, 0.5, Letterbox(96, 80, SIZE)).mask is not None


def test_structure_between_the_centres_of_native_pixels_is_one_pixel() -> None:
    field = np.full((SIZE, SIZE), -50, np.float32)
    field[32:34, 32:34] = 1e-6
    mask = to_mask("heart", field, 0.5, Letterbox(67, 67, SIZE)).mask
    assert mask is not None
    assert 1 <= mask.area <= 4


def test_unpaired_organs_are_single_and_pairs_may_be_several() -> None:
    assert {"lung", "clavicles", "rib_cartilage"} <= MAY_BE_SEVERAL
    assert not {"heart", "right lung", "vertebrae T5", "posterior 5th rib left"} & MAY_BE_SEVERAL


def patch(column: int) -> Mask:
    return Mask(np.ones((4, 4), np.bool_), 10, column)


def test_pair_on_the_wrong_sides_is_exchanged_and_told() -> None:
    masks = {
        "right lung": patch(10),
        "left lung": patch(40),
        "clavicle left": patch(8),
        "clavicle right": patch(44),
    }
    exchanged, told = put_sides_right(masks, side_pairs())
    assert exchanged["clavicle right"].left == 8
    assert exchanged["clavicle left"].left == 44
    assert exchanged["right lung"].left == 10
    assert told == ("clavicle right and clavicle left lay on each other's side and were exchanged",)


def test_swapped_lungs_mean_a_mirrored_image_and_nothing_is_exchanged() -> None:
    masks = {
        "right lung": patch(40),
        "left lung": patch(10),
        "clavicle left": patch(8),
        "clavicle right": patch(44),
    }
    exchanged, told = put_sides_right(masks, side_pairs())
    assert exchanged == masks
    assert "mirrored" in told[0]


def test_heart_chambers_are_no_pair() -> None:
    assert all("heart" not in right for right, _ in side_pairs())
    assert ("posterior 12th rib right", "posterior 12th rib left") in side_pairs()


def test_what_is_no_number_is_no_mask() -> None:
    logits = np.full((SIZE, SIZE), -5, np.float32)
    logits[20:24, 20:24] = np.where(np.indices((4, 4)).sum(axis=0) % 2, np.nan, 5)
    with pytest.raises(RadiographError, match="non-empty"):
        to_mask("heart", logits, 0.5, Letterbox(32, 32, SIZE))
