"""A segmenter of known shapes against readers who drew them, moved them, or drew none."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from PIL import Image

from ai.errors import NotAChestError
from ai.measure import measure
from ai.measurement import Measurement
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from pipeline_training.compare import compare
from pipeline_training.contact_sheet import CAPTION, TILE, draw_contact_sheet, write_contact_sheet
from pipeline_training.errors import EvaluationError
from pipeline_training.evaluate import EvaluateOptions, chosen_sets, evaluate_sets
from pipeline_training.evaluation_report import Evaluation, remarks
from pipeline_training.radiograph_folders import read_radiograph


class MakeReaderSet(Protocol):
    def __call__(
        self, name: str, images: int = 3, shift: int = 0, structures: tuple[str, ...] = ("heart",)
    ) -> Path: ...


class Choosy(StandInSegmenter):
    """Refuses pictures whose first pixel is white."""

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        if any(radiograph.pixels[0, 0] == 1 for radiograph in radiographs):
            raise NotAChestError("the first pixel is white")
        return super().segment(radiographs)


def evaluated(data: Path, segmenter: StandInSegmenter | None = None, **options: object) -> Evaluation:
    chosen = EvaluateOptions(data, **{"resamples": 50, **options})  # type: ignore[arg-type]
    return evaluate_sets(segmenter or StandInSegmenter(), chosen_sets(chosen), chosen)


def whiten_first_pixel(image: Path) -> None:
    pixels = np.array(Image.open(image))
    pixels[0, 0] = 255
    Image.fromarray(pixels).save(image)


def test_a_reader_who_drew_the_same_agrees_fully(make_reader_set: MakeReaderSet) -> None:
    (found,) = evaluated(make_reader_set("jsrt", structures=("heart", "right_lung"))).sets
    assert [structure.structure for structure in found.structures] == ["heart", "right_lung"]
    for structure in found.structures:
        assert structure.answered is not None
        assert structure.answered.n == 3
        assert (structure.answered.dice.mean, structure.answered.hausdorff95_px.mean) == (1, 0)
        assert structure.answered == structure.with_refusals


def test_a_reader_who_drew_it_aside_is_as_far_as_he_moved_it(make_reader_set: MakeReaderSet) -> None:
    (found,) = evaluated(make_reader_set("jsrt", shift=5)).sets
    answered = found.structures[0].answered
    assert answered is not None
    assert 3 <= answered.hausdorff95_px.mean <= 5
    assert 0.7 < answered.dice.mean < 1
    assert answered.iou.mean == pytest.approx(answered.dice.mean / (2 - answered.dice.mean))


def test_the_union_of_labels_is_compared(make_reader_set: MakeReaderSet) -> None:
    (found,) = evaluated(make_reader_set("montgomery", structures=("lungs",))).sets
    assert found.structures[0].labels == ("visible lung right", "visible lung left")
    assert found.structures[0].answered is not None
    assert found.structures[0].answered.dice.mean == 1


def test_masks_are_cut_as_readers_of_known_sets_cut_theirs_and_both_dice_are_told(
    make_reader_set: MakeReaderSet,
) -> None:
    """This reader drew the whole clavicle, beyond the hull of both lungs, too: cut, ours is smaller."""
    (found,) = evaluated(make_reader_set("jsrt", structures=("left_clavicle", "heart"))).sets
    heart, clavicle = sorted(found.structures, key=lambda each: each.structure)
    assert clavicle.answered is not None
    assert 0 < clavicle.answered.dice.mean < 0.5  # nearly all of it lies above these lungs
    assert [score.uncut_dice for score in clavicle.images] == [1, 1, 1]
    assert [score.uncut_dice for score in heart.images] == [None] * 3


def test_cuts_by_what_is_not_supported_are_told(make_reader_set: MakeReaderSet) -> None:
    evaluation = evaluated(make_reader_set("generalblockchain", structures=("right_lung",)))
    (lung,) = evaluation.sets[0].structures
    assert lung.unsupported == ()
    assert lung.note.endswith("not cut by what the model does not support: diaphragm, spine")


def test_a_refused_image_is_told_and_scores_nothing_in_the_second_line(
    make_reader_set: MakeReaderSet,
) -> None:
    folder = make_reader_set("jsrt", images=4)
    whiten_first_pixel(folder / "images" / "2.png")
    (found,) = evaluated(folder, Choosy()).sets
    assert [(refusal.image, refusal.reason) for refusal in found.refusals] == [
        ("2.png", "the first pixel is white")
    ]
    (heart,) = found.structures
    assert heart.answered is not None
    assert heart.with_refusals is not None
    assert (heart.answered.n, heart.answered.dice.mean) == (3, 1)
    assert (heart.with_refusals.n, heart.with_refusals.dice.mean) == (4, 0.75)
    assert heart.with_refusals.hausdorff95_px.mean == pytest.approx(np.hypot(160, 128) / 4)


def test_a_constant_picture_is_a_refusal_not_a_crash(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("jsrt")
    Image.fromarray(np.zeros((160, 128), np.uint8)).save(folder / "images" / "1.png")
    (found,) = evaluated(folder).sets
    assert "nothing was exposed" in found.refusals[0].reason
    assert found.structures[0].with_refusals is not None
    assert found.structures[0].with_refusals.dice.mean == pytest.approx(2 / 3)


def test_when_all_are_refused_only_the_second_line_is_left(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("jsrt", images=2)
    for image in (folder / "images").iterdir():
        whiten_first_pixel(image)
    (heart,) = evaluated(folder, Choosy()).sets[0].structures
    assert heart.answered is None
    assert heart.with_refusals is not None
    assert heart.with_refusals.dice.mean == 0


def test_a_set_without_masks_counts_refusals(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("not-chest", structures=())
    whiten_first_pixel(folder / "images" / "0.png")
    result = evaluated(folder, Choosy())
    assert (result.sets[0].structures, len(result.sets[0].refusals)) == ((), 1)
    assert list(remarks(result.sets)) == [
        "not-chest: 1 of 3 images refused, 1 of them: the first pixel is white"
    ]


def test_images_without_annotation_are_not_counted(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("jsrt")
    (folder / "masks" / "heart" / "1.png").unlink()
    (heart,) = evaluated(folder).sets[0].structures
    assert [score.image for score in heart.images] == ["0.png", "2.png"]


def test_structures_that_the_model_does_not_support_are_named_not_scored(
    make_reader_set: MakeReaderSet,
) -> None:
    folder = make_reader_set("own")
    (folder / "protocol.json").write_text('{"heart": ["trachea"]}')
    result = evaluated(folder)
    (trachea,) = result.sets[0].structures
    assert (trachea.unsupported, trachea.answered, trachea.images) == (("trachea",), None, ())
    assert "own/heart: not supported: trachea" in list(remarks(result.sets))


def test_a_partly_supported_union_is_scored_and_told(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("own")
    (folder / "protocol.json").write_text('{"heart": ["heart", "trachea"]}')
    (heart,) = evaluated(folder).sets[0].structures
    assert heart.unsupported == ("trachea",)
    assert heart.answered is not None


def test_ratios_are_compared_where_a_reader_measured_them(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("wingspan")
    radiograph = read_radiograph(folder / "images" / "0.png")
    own = measure(radiograph, StandInSegmenter().segment([radiograph])[0])["cardiothoracic ratio"]
    assert isinstance(own, Measurement)
    lines = [f"{index}.png,{own.value + error}" for index, error in enumerate((0.01, 0.03))]
    (folder / "ctr.csv").write_text("\n".join(["file,cardiothoracic_ratio", *lines]))
    ratio = evaluated(folder).sets[0].cardiothoracic_ratio
    assert ratio is not None
    assert ratio.agreement is not None
    assert (ratio.agreement.n, ratio.not_computed) == (2, 0)
    assert ratio.agreement.bias.mean == pytest.approx(-0.02)
    assert ratio.agreement.mean_absolute_error.mean == pytest.approx(0.02)


def test_without_a_table_the_ratio_is_measured_of_the_readers_masks(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("jsrt", structures=("heart", "right_lung", "left_lung"))
    heart = folder / "masks" / "heart" / "1.png"
    drawn = np.array(Image.open(heart))
    drawn[:, np.flatnonzero(drawn.any(axis=0))[-4:]] = 0  # this reader's heart is four columns narrower
    Image.fromarray(drawn).save(heart)
    ratio = evaluated(folder).sets[0].cardiothoracic_ratio
    assert ratio is not None
    assert ratio.agreement is not None
    errors = [score.found - score.truth for score in ratio.images if score.found is not None]
    lungs = [np.array(Image.open(folder / "masks" / side / "1.png")) for side in ("right_lung", "left_lung")]
    thorax = np.ptp(np.flatnonzero(np.any(lungs, axis=(0, 1)))) + 1
    np.testing.assert_allclose(errors, [0, 4 / thorax, 0], atol=1e-6)
    assert ratio.agreement.mean_absolute_error.mean == pytest.approx(4 / thorax / 3)


def test_ratios_of_refused_images_are_not_computed(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("wingspan", images=1)
    whiten_first_pixel(folder / "images" / "0.png")
    (folder / "ctr.csv").write_text("file,cardiothoracic_ratio\n0.png,0.5\n")
    ratio = evaluated(folder, Choosy()).sets[0].cardiothoracic_ratio
    assert ratio is not None
    assert (ratio.agreement, ratio.not_computed) == (None, 1)
    assert ratio.images[0].reason == "refused: the first pixel is white"


def test_sets_are_chosen_by_name_and_never_pooled(make_reader_set: MakeReaderSet) -> None:
    folders = [make_reader_set(name) for name in ("jsrt", "wingspan", "own")]
    names = [found.name for found in evaluated(folders[0].parent, sets=("own", "jsrt")).sets]
    assert names == ["own", "jsrt"]


def test_an_absent_set_is_refused_with_those_that_are_there(make_reader_set: MakeReaderSet) -> None:
    folder = make_reader_set("jsrt")
    with pytest.raises(EvaluationError, match=r"no set \['jrst'\], only \['jsrt'\]"):
        evaluated(folder.parent, sets=("jrst",))


def test_a_limit_takes_evenly_spaced_images(make_reader_set: MakeReaderSet) -> None:
    (heart,) = evaluated(make_reader_set("jsrt", images=9), limit=3).sets[0].structures
    assert [score.image for score in heart.images] == ["0.png", "4.png", "8.png"]


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"resamples": 0}])
def test_senseless_options_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="must be 1 or more"):
        EvaluateOptions(tmp_path, **wrong)  # type: ignore[arg-type]


def test_the_report_names_the_model_and_holds_every_image(make_reader_set: MakeReaderSet) -> None:
    result = evaluated(make_reader_set("jsrt", shift=3))
    report = json.loads(result.to_json())
    assert report["model"]["id"] == "stand-in"
    assert len(report["model"]["sha256"]) == 64
    (heart,) = report["sets"][0]["structures"]
    assert [image["image"] for image in heart["images"]] == ["0.png", "1.png", "2.png"]
    assert set(heart["answered"]) == {"n", "dice", "iou", "hausdorff95_px"}
    assert "diagonal" in report["definitions"]["with_refusals"]


def test_figures_for_a_manifest_leave_the_images_out(make_reader_set: MakeReaderSet) -> None:
    figures = evaluated(make_reader_set("jsrt")).figures()
    assert figures["jsrt"]["structures"]["heart"]["answered"]["dice"]["mean"] == 1
    assert "images" not in figures["jsrt"]["structures"]["heart"]
    assert json.loads(json.dumps(figures))["jsrt"]["refused"] == 0


def test_the_contact_sheet_has_a_row_for_each_structure_and_both_outlines(
    make_reader_set: MakeReaderSet, tmp_path: Path
) -> None:
    options = EvaluateOptions(
        make_reader_set("jsrt", shift=9, structures=("heart", "right_lung")), resamples=10
    )
    sets = chosen_sets(options)
    sheet = draw_contact_sheet(StandInSegmenter(), sets, evaluate_sets(StandInSegmenter(), sets, options))
    assert sheet.shape == (2 * (CAPTION + TILE), 3 * TILE, 3)
    green, red = sheet[..., 1].astype(int), sheet[..., 0].astype(int)
    reader, model = np.argwhere(green - red > 150), np.argwhere(red - green > 150)
    assert 5 * TILE / 160 < (reader.mean(axis=0) - model.mean(axis=0))[1] < 13 * TILE / 160
    write_contact_sheet(tmp_path / "sheet.png", sheet)
    with Image.open(tmp_path / "sheet.png") as written:
        assert written.size == (3 * TILE, 2 * (CAPTION + TILE))


def test_a_contact_sheet_of_nothing_is_refused(make_reader_set: MakeReaderSet) -> None:
    options = EvaluateOptions(make_reader_set("lateral", structures=()), resamples=10)
    sets = chosen_sets(options)
    with pytest.raises(EvaluationError, match="nothing was scored"):
        draw_contact_sheet(StandInSegmenter(), sets, evaluate_sets(StandInSegmenter(), sets, options))


def test_images_without_the_structure_count_for_who_invents_it(make_reader_set: MakeReaderSet) -> None:
    """The reader drew no heart in two of three: one model finds it everywhere, the other where it is."""
    folder = make_reader_set("jsrt", images=3)
    for number in (1, 2):
        mask = folder / "masks" / "heart" / f"{number}.png"
        Image.fromarray(np.zeros_like(np.array(Image.open(mask)))).save(mask)
        whiten_first_pixel(folder / "images" / f"{number}.png")
    (folder / "patients.csv").write_text("file,patient\n0.png,a\n1.png,b\n2.png,b\n")
    inventive, refusing = evaluated(folder), evaluated(folder, Choosy())
    assert inventive.sets[0].structures[0].empty == ()
    assert refusing.sets[0].structures[0].empty == ("1.png", "2.png")
    (heart,) = compare(inventive, refusing).structures
    assert (heart.n, heart.units) == (3, 2)
    assert heart.dice.mean == pytest.approx((0 + 1) / 2), "patient a alike, patient b from 0 to 1"
