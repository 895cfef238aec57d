import numpy as np

from pipeline_training.anatomy import Anatomy
from pipeline_training.projector import Pose, project
from pipeline_training.targets import COVERING, largest_piece, structure_lengths, structure_masks

SHAPE = (320, 320)


def flat(value: float, rows: slice, columns: slice) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    image = np.zeros(SHAPE, np.float32)
    image[rows, columns] = value
    return image


def test_projection_of_the_phantom_gives_every_structure_its_mask(anatomy: Anatomy) -> None:
    lengths = structure_lengths(anatomy, project(anatomy, Pose(), 64, step_mm=3.0))
    masks = structure_masks(lengths)
    assert set(masks) == {*anatomy.known(), "visible lung right", "visible lung left"}
    assert (masks["right lung"] <= masks["lung"]).all()
    right, left = (np.nonzero(masks[f"visible lung {side}"])[1].mean() for side in ("right", "left"))
    assert right < 32 < left
    np.testing.assert_allclose(
        lengths["lung"], lengths["right lung"] + lengths["left lung"], rtol=1e-4, atol=1e-3
    )


def test_thin_rims_are_not_seen() -> None:
    masks = structure_masks(
        {"liver": flat(7.9, slice(0, 9), slice(0, 9)), "sternum": flat(1.6, slice(0, 9), slice(0, 9))}
    )
    assert not masks["liver"].any()
    assert masks["sternum"].sum() == 81


def test_heart_loses_its_stubs() -> None:
    length = flat(50, slice(100, 200), slice(100, 200)) + flat(50, slice(60, 100), slice(140, 146))
    heart = structure_masks({"heart": length})["heart"]
    assert heart[150, 150]
    assert not heart[60:95].any()


def test_visible_lung_ends_where_heart_and_diaphragm_cover_it() -> None:
    lengths = {
        "right lung": flat(80, slice(5, 60), slice(2, 30)),
        "left lung": flat(80, slice(5, 60), slice(34, 62)),
        "heart": flat(COVERING["heart"], slice(30, 50), slice(20, 50)),
        "diaphragm": flat(COVERING["diaphragm"], slice(48, 64), slice(0, 64)),
        "cardiomediastinum": flat(COVERING["cardiomediastinum"], slice(30, 50), slice(26, 50)),
    }
    for guide in lengths:
        without = {name: length for name, length in lengths.items() if name != guide}
        assert "visible lung right" not in structure_masks(without), f"nothing is told without {guide}"
    right = structure_masks(lengths)["visible lung right"]
    assert right[40, 10]
    assert not right[40, 24]
    assert not right[49:].any()


def test_largest_piece_is_kept_and_filled() -> None:
    mask = np.zeros(SHAPE, np.bool_)
    mask[2:12, 2:12] = True
    mask[5, 5] = False
    mask[30:33, 30:33] = True
    assert largest_piece(mask).sum() == 100
    assert not largest_piece(np.zeros(SHAPE, np.bool_)).any()
