import numpy as np
import numpy.typing as npt

from ai.segmentation import Mask, ModelIdentity, Segmentation
from pipeline_training.answers import found_mask
from pipeline_training.radiograph_folders import Structure
from pipeline_training.readings import Reading

SHAPE = (20, 30)


def box(top: int, bottom: int, left: int, right: int) -> npt.NDArray[np.bool_]:
    pixels = np.zeros(SHAPE, np.bool_)
    pixels[top:bottom, left:right] = True
    return pixels


def segmentation(**dense: npt.NDArray[np.bool_]) -> Segmentation:
    masks = {name.replace("_", " "): Mask.from_dense(pixels) for name, pixels in dense.items()}
    return Segmentation(
        SHAPE, {k: v for k, v in masks.items() if v is not None}, ModelIdentity("a", "1", "0" * 64)
    )


def test_mask_is_the_union_of_the_labels_without_what_readers_leave_out() -> None:
    found = segmentation(
        right_lung=box(2, 18, 1, 12),
        left_lung=box(2, 18, 11, 28),
        spine=box(0, 20, 10, 15),
        diaphragm=box(14, 20, 0, 30),
    )
    lungs = Structure(
        "lungs", ("right lung", "left lung"), Reading("to the dome", without=("diaphragm", "spine"))
    )
    assert np.array_equal(found_mask(found, lungs), box(2, 14, 1, 10) | box(2, 14, 15, 28))
    assert np.array_equal(found_mask(found, Structure("lung", ("left lung",))), box(2, 18, 11, 28))


def test_lungs_end_at_the_middle_half_of_the_spine_not_at_its_processes() -> None:
    spine = box(0, 20, 12, 18) | box(4, 5, 9, 21)
    found = segmentation(right_lung=box(2, 18, 1, 16), left_lung=box(2, 18, 14, 28), spine=spine)
    lungs = Structure("lungs", ("right lung", "left lung"), Reading("to the middle", between=("spine",)))
    right, left = box(2, 18, 1, 14), box(2, 18, 16, 28)
    drawn = found_mask(found, lungs)
    assert np.array_equal(drawn & box(0, 20, 0, 13), right & box(0, 20, 0, 13))
    assert np.array_equal(drawn & box(0, 20, 17, 30), left & box(0, 20, 17, 30))
    assert not (drawn & box(0, 20, 14, 16)).any()


def test_mask_is_cut_at_the_hull_of_what_readers_stay_inside() -> None:
    found = segmentation(
        clavicle_left=box(4, 7, 2, 30),
        visible_lung_right=box(2, 18, 5, 12),
        visible_lung_left=box(2, 18, 18, 25),
    )
    inside = ("visible lung right", "visible lung left")
    clavicle = Structure("left_clavicle", ("clavicle left",), Reading("within the rib cage", inside=inside))
    assert np.array_equal(found_mask(found, clavicle), box(4, 7, 5, 25))


def test_what_was_not_found_cuts_nothing() -> None:
    found = segmentation(heart=box(4, 9, 4, 9))
    heart = Structure("heart", ("heart",), Reading("anyhow", without=("aorta",), inside=("right lung",)))
    assert np.array_equal(found_mask(found, heart), box(4, 9, 4, 9))
    assert not found_mask(found, Structure("aorta", ("aorta",))).any()


def test_hull_of_one_lung_does_not_cut_the_other_side() -> None:
    found = segmentation(clavicle_left=box(4, 7, 18, 30), visible_lung_right=box(2, 18, 5, 12))
    inside = ("visible lung right", "visible lung left")
    clavicle = Structure("left_clavicle", ("clavicle left",), Reading("within the rib cage", inside=inside))
    assert np.array_equal(found_mask(found, clavicle), box(4, 7, 18, 30))
