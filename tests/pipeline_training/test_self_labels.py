from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from pipeline_training import self_labels
from pipeline_training.cli import app
from pipeline_training.errors import RadiographSetError
from pipeline_training.network import AnatomyNet, Outputs
from pipeline_training.radiograph_folders import read_mask, read_set
from pipeline_training.self_labels import SelfLabelOptions, self_label

LABELS = ("heart", "clavicle left", "clavicle right", "trachea", "right lung")
SIZE = 64


class Edged(AnatomyNet):
    """Finds heart and left clavicle surely, the right one unsurely; all but the trachea move."""

    def forward(self, image: torch.Tensor) -> Outputs:
        logits = torch.full((len(image), len(LABELS), SIZE // 2, SIZE // 2), -9.0)
        for look, moved in enumerate((0, self_labels_shift())):
            logits[look, :2, 4 + moved : 16 + moved, 6 + moved : 18 + moved] = 9
            logits[look, 2, 4 + moved : 16 + moved, 6 + moved : 18 + moved] = 0.2
            logits[look, 4, 4 + moved : 30, 2 + moved : 14 + moved] = 9
            logits[look, 3, 4:16, 6:18] = 9  # stays where it was although the picture was moved
        return Outputs(logits, torch.zeros(len(image), 2))


def self_labels_shift() -> int:
    return 4  # SHIFT network pixels are half as many cells


@pytest.fixture
def radiographs(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    for part in ("images", "masks/heart"):
        (folder / part).mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 255, (90, 120)).astype(np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(picture).save(folder / "images" / name)
    heart = np.zeros((90, 120), np.uint8)
    heart[40:70, 50:90] = 255
    Image.fromarray(heart).save(folder / "masks" / "heart" / "a.png")
    (folder / "patients.csv").write_text("file,patient\na.png,p\nb.png,p\n")
    return folder


@pytest.fixture
def options(radiographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SelfLabelOptions:
    monkeypatch.setattr(self_labels, "load_network", lambda path: (Edged(5, (4, 4, 4, 4, 4)).eval(), LABELS))
    return SelfLabelOptions(tmp_path / "checkpoint.pt", (radiographs,), tmp_path / "told", size=SIZE)


def test_what_the_network_is_sure_of_is_written_where_it_lies(options: SelfLabelOptions) -> None:
    assert self_label(options) == {"clavicle left": 2, "right lung": 2}
    mask = read_mask(options.out / "films_told" / "masks" / "told_clavicle_left" / "b.png")
    rows, columns = np.nonzero(mask)
    # the picture of 90 x 120 lies at 0.533 network pixels for each of its own, 8 below the frame's edge
    assert mask.shape == (90, 120)
    assert (rows.min(), rows.max()) == pytest.approx(((4 * 2 - 8) / 0.533, (16 * 2 - 8) / 0.533 - 1), abs=1)
    assert (columns.min(), columns.max()) == pytest.approx((6 * 2 / 0.533, 18 * 2 / 0.533 - 1), abs=1)


def test_the_set_keeps_its_readers_masks_and_patients(options: SelfLabelOptions, radiographs: Path) -> None:
    self_label(options)
    before, after = read_set(radiographs), read_set(options.out / "films_told")
    assert [path.read_bytes() for path in after.images] == [path.read_bytes() for path in before.images]
    assert after.patients == before.patients
    heart = next(each for each in after.structures if each.folder == "heart")
    assert [after.mask_path(heart, path) is not None for path in after.images] == [True, False]
    assert {label for each in after.structures for label in each.labels} == set(LABELS)


def test_what_is_left_out_is_not_told(options: SelfLabelOptions) -> None:
    assert self_label(replace(options, without=("left", "lung"))) == {}


def test_what_the_mirrored_picture_does_not_show_is_not_told(options: SelfLabelOptions) -> None:
    """The network says the same of every picture: mirrored, both clavicles lie on their wrong sides."""
    assert self_label(replace(options, mirror_bones=True)) == {"right lung": 2}


def test_nothing_is_written_over(options: SelfLabelOptions) -> None:
    self_label(options)
    with pytest.raises(RadiographSetError, match="is there already"):
        self_label(options)


def test_command_writes_the_sets(options: SelfLabelOptions, radiographs: Path) -> None:
    said = CliRunner().invoke(
        app,
        ["self-label", "--checkpoint", "x.pt", "--radiographs", str(radiographs), "--out", str(options.out)],
    )
    assert said.exit_code == 0, said.output
    assert len(list((options.out / "films_told" / "images").iterdir())) == 2


def test_a_whole_lung_that_is_told_does_not_touch_the_visible_one_that_readers_drew(
    options: SelfLabelOptions, radiographs: Path
) -> None:
    """Both are "right_lung" by their folder's name: in known sets that means the visible lung."""
    known = radiographs.rename(radiographs.with_name("wingspan"))
    drawn = known / "masks" / "right_lung" / "a.png"
    drawn.parent.mkdir()
    drawn.write_bytes((known / "masks" / "heart" / "a.png").read_bytes())
    self_label(replace(options, radiographs=(known,)))
    told = read_set(options.out / "wingspan_told")
    meaning = {each.folder: each.labels for each in told.structures}
    assert meaning["right_lung"] == ("visible lung right",)
    assert meaning["told_right_lung"] == ("right lung",)
    assert (told.folder / "masks" / "right_lung" / "a.png").read_bytes() == drawn.read_bytes()


def test_two_pictures_of_one_stem_are_refused(options: SelfLabelOptions, radiographs: Path) -> None:
    Image.open(radiographs / "images" / "a.png").save(radiographs / "images" / "a.jpg")
    (radiographs / "patients.csv").unlink()
    with pytest.raises(RadiographSetError, match="two pictures named a"):
        self_label(options)
    assert not options.out.exists()
