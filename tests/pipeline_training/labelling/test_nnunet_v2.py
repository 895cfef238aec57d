"""What the adapter hands to nnU-Net v2, and how the answer comes back."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.foreign import Axes
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.nnunet_v2 import NnUnetV2Labeller

MARK = [[3, 1, 5]]
"""The one dense voxel of the CT `marked`."""

Install = Callable[[str, str], None]


def _assert_marked(vote: LabelVote, name: str) -> None:
    assert np.argwhere(vote.mask(name)).tolist() == MARK


NNUNET = """
import numpy as np

class nnUNetPredictor:
    def __init__(self, use_mirroring, perform_everything_on_device, device, allow_tqdm):
        assert use_mirroring is False  # left and right are classes of their own
        assert device.type == "cpu"

    def initialize_from_trained_model_folder(self, folder, use_folds, checkpoint_name="checkpoint_final.pth"):
        assert use_folds == ("all",)  # which nnU-Net would not find by itself
        self.place = {place!r}

    def predict_single_npy_array(self, image, properties, previous, truncated, probabilities):
        assert image.shape == (1, 5, 6, 7) and image.dtype == np.float32
        assert properties == {{"spacing": [2.0, 2.0, 2.0]}}
        assert [int(i) for i in np.argwhere(image[0] > 0)[0]] == self.place
        numbers = (image[0] > 0).astype(np.uint8) * 2
        shares = np.stack([np.full(image.shape[1:], 0.25), np.zeros(image.shape[1:]), (image[0] > 0) * 0.75])
        return (numbers, shares) if probabilities else numbers
"""


@pytest.fixture
def nnunet_model(tmp_path: Path) -> Path:
    model = tmp_path / "Dataset001_Chest" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    model.mkdir(parents=True)
    labels = {"background": 0, "liver": 1, "heart": 2, "tumour": 3}
    (model / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT"}, "labels": labels}))
    (model / "plans.json").write_text(json.dumps({"image_reader_writer": "SimpleITKIO"}))
    (model / "fold_all").mkdir()
    (model / "fold_all" / "checkpoint_final.pth").touch()
    return model


@pytest.mark.parametrize(("axes", "place"), [(Axes.LPS, [3, 1, 5]), (Axes.RAS, [3, 4, 1])])
def test_nnunet_sees_the_axes_it_was_trained_on(
    marked: CtVolume, install: Install, nnunet_model: Path, axes: Axes, place: list[int]
) -> None:  # fmt: skip
    install("nnunetv2.inference.predict_from_raw_data", NNUNET.format(place=place))
    vote = NnUnetV2Labeller(nnunet_model, axes=axes).label(marked)
    _assert_marked(vote, "heart")
    assert vote.vocabulary == {"liver", "heart"}
    assert vote.confidence is None


def test_nnunet_reader_that_turns_files_decides_the_axes_and_confidence_is_the_chosen_share(
    marked: CtVolume, install: Install, nnunet_model: Path
) -> None:
    install("nnunetv2.inference.predict_from_raw_data", NNUNET.format(place=[3, 4, 1]))
    (nnunet_model / "plans.json").write_text(json.dumps({"image_reader_writer": "NibabelIOWithReorient"}))
    vote = NnUnetV2Labeller(nnunet_model, confidence=True).label(marked)
    _assert_marked(vote, "heart")
    assert vote.confidence is not None
    assert vote.confidence[3, 1, 5] == pytest.approx(0.75)
    assert vote.confidence[0, 0, 0] == pytest.approx(0.25)


def test_nnunet_model_of_overlapping_regions_is_refused(nnunet_model: Path) -> None:
    (nnunet_model / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "whole": [1, 2]}}))
    with pytest.raises(LabellerError, match="overlapping regions"):
        NnUnetV2Labeller(nnunet_model)


def test_nnunet_takes_numbered_folds_that_came_to_their_end(
    marked: CtVolume, install: Install, nnunet_model: Path
) -> None:
    words = NNUNET.format(place=[3, 1, 5]).replace('("all",)', "(0, 3)")
    install("nnunetv2.inference.predict_from_raw_data", words)
    for fold in (3, 0, 1):
        (nnunet_model / f"fold_{fold}").mkdir()
    for fold in (3, 0):
        (nnunet_model / f"fold_{fold}" / "checkpoint_final.pth").touch()
    _assert_marked(NnUnetV2Labeller(nnunet_model).label(marked), "heart")


def test_nnunet_without_trained_fold_is_named(nnunet_model: Path) -> None:
    (nnunet_model / "fold_all" / "checkpoint_final.pth").unlink()
    with pytest.raises(LabellerError, match=r"no fold_\*/checkpoint_final\.pth"):
        NnUnetV2Labeller(nnunet_model)


def test_nnunet_that_breaks_while_loading_is_told_in_one_line(
    marked: CtVolume, install: Install, nnunet_model: Path
) -> None:
    broken = NNUNET.format(place=[]).replace('assert use_folds == ("all",)', "torch.missing")
    install("nnunetv2.inference.predict_from_raw_data", broken)
    with pytest.raises(LabellerError, match=r"^nnU-Net Dataset001_Chest cannot be loaded .*'torch'.*$"):
        NnUnetV2Labeller(nnunet_model).label(marked)


def test_nnunet_model_of_several_images_is_refused(nnunet_model: Path) -> None:
    described = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "heart": 1}}
    (nnunet_model / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(LabellerError, match="needs 2 images of a patient: CT, PET"):
        NnUnetV2Labeller(nnunet_model)


def test_nnunet_folder_without_plans_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabellerError, match=r"plans\.json"):
        NnUnetV2Labeller(tmp_path)
