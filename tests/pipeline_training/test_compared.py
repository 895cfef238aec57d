"""Both lungs as one, as published figures have them, beside each alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ai.errors import NotAChestError
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from pipeline_training.compared import compared_of
from pipeline_training.errors import RadiographSetError
from pipeline_training.evaluate import EvaluateOptions, chosen_sets, evaluate_sets
from pipeline_training.evaluation_report import StructureResult
from pipeline_training.metrics import dice, hausdorff95, iou
from pipeline_training.radiograph_folders import Structure

LUNGS = ("left_lung", "right_lung")
BOTH = "both lungs"


def results(folder: Path, segmenter: StandInSegmenter | None = None) -> dict[str, StructureResult]:
    options = EvaluateOptions(folder, resamples=20)
    (found,) = evaluate_sets(segmenter or StandInSegmenter(), chosen_sets(options), options).sets
    return {each.structure: each for each in found.structures}


def drawn(folder: Path, structure: str, image: str) -> np.ndarray:
    return np.array(Image.open(folder / "masks" / structure / image)) > 0


def move_down(folder: Path, structure: str, image: str, rows: int) -> None:
    """Make the reader draw a mask that many rows lower."""
    moved = np.roll(drawn(folder, structure, image), rows, axis=0)
    Image.fromarray(moved.astype(np.uint8) * 255).save(folder / "masks" / structure / image)


def names(*folders: str) -> list[str]:
    return [each.name for each in compared_of([Structure(folder, (folder,)) for folder in folders])]


def test_a_pair_is_compared_as_one_after_its_sides() -> None:
    assert names("heart", "left_clavicle", "right_clavicle") == [
        "heart",
        "left_clavicle",
        "right_clavicle",
        "both clavicles",
    ]


@pytest.mark.parametrize("folders", [("left_lung",), ("right_lung",), ("lungs",), ("left", "right")])
def test_what_is_no_pair_stays_alone(folders: tuple[str, ...]) -> None:
    assert names(*folders) == list(folders)


def test_both_as_one_score_as_their_union(make_reader_set: Callable[..., Path]) -> None:
    folder = make_reader_set("jsrt", images=1, structures=LUNGS)
    ours = np.logical_or(*(drawn(folder, side, "0.png") for side in LUNGS))
    move_down(folder, "left_lung", "0.png", 9)
    truth = np.logical_or(*(drawn(folder, side, "0.png") for side in LUNGS))
    found = results(folder)
    (both,) = found[BOTH].images
    assert found[BOTH].labels == ("visible lung left", "visible lung right")
    assert (both.dice, both.iou, both.hausdorff95_px) == (
        dice(truth, ours),
        iou(truth, ours),
        hausdorff95(truth, ours),
    )
    assert found["left_lung"].images[0].dice < both.dice < found["right_lung"].images[0].dice == 1


def test_an_image_of_which_one_side_was_not_annotated_has_no_score_of_both(
    make_reader_set: Callable[..., Path],
) -> None:
    folder = make_reader_set("jsrt", structures=LUNGS)
    (folder / "masks" / "left_lung" / "1.png").unlink()
    found = results(folder)
    assert [score.image for score in found[BOTH].images] == ["0.png", "2.png"]
    assert [score.image for score in found["right_lung"].images] == ["0.png", "1.png", "2.png"]
    assert found[BOTH].empty == ()


def test_an_image_with_neither_side_is_empty_for_both(make_reader_set: Callable[..., Path]) -> None:
    folder = make_reader_set("jsrt", images=2, structures=LUNGS)
    for side in LUNGS:
        Image.fromarray(np.zeros((160, 128), np.uint8)).save(folder / "masks" / side / "1.png")

    class Blind(StandInSegmenter):
        """Finds nothing in the second picture."""

        def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
            first, second = super().segment(radiographs)
            return [first, Segmentation(second.shape, {}, second.model)]

    assert results(folder, Blind())[BOTH].empty == ("1.png",)


class Refusing(StandInSegmenter):
    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        raise NotAChestError("it is a hand")


def test_a_refused_image_misses_both(make_reader_set: Callable[..., Path]) -> None:
    found = results(make_reader_set("jsrt", images=1, structures=LUNGS), Refusing())
    (both,) = found[BOTH].images
    assert (both.dice, both.refused) == (0, True)
    assert both.hausdorff95_px == pytest.approx(np.hypot(160, 128))


def test_clavicles_are_cut_as_each_alone_is(make_reader_set: Callable[..., Path]) -> None:
    found = results(make_reader_set("jsrt", images=1, structures=("left_clavicle", "right_clavicle")))
    both, left = found["both clavicles"], found["left_clavicle"]
    assert both.note == left.note != ""
    assert both.images[0].uncut_dice == 1
    assert 0 < both.images[0].dice < 0.5  # nearly all of these clavicles lies above these lungs


def test_a_mask_of_another_shape_is_refused(make_reader_set: Callable[..., Path]) -> None:
    folder = make_reader_set("jsrt", images=1, structures=LUNGS)
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(folder / "masks" / "right_lung" / "0.png")
    with pytest.raises(RadiographSetError, match=r"0\.png has \(10, 10\) rows and columns"):
        results(folder)
