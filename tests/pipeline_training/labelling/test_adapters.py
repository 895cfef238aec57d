"""What the adapters hand to the libraries of others, and how their answers come back.

The libraries are stood in for by small modules with the same calls, put on the path: each paints a block
whose place in the patient is known, in its own axes, and refuses what is handed over in another order.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.cads import TASKS, CadsLabeller
from pipeline_training.labelling.foreign import Axes, vote_of
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.monai_bundle import MonaiBundleLabeller
from pipeline_training.labelling.nnunet_v2 import NnUnetV2Labeller
from pipeline_training.labelling.totalsegmentator import TotalSegmentatorLabeller

SHAPE = (5, 6, 7)
SPACING_MM = 2.0
MARK = (3, 1, 5)
"""The one dense voxel: upper, anterior, left."""


@pytest.fixture
def ct() -> CtVolume:
    hu = np.full(SHAPE, -1000, np.int16)
    hu[MARK] = 700
    return CtVolume("body", hu, SPACING_MM)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def _module(folder: Path, name: str, text: str) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        folder = folder / parent
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    (folder / f"{last}.py").write_text(text, encoding="utf-8")


def _assert_marked(vote: LabelVote, name: str) -> None:
    assert np.argwhere(vote.mask(name)).tolist() == [list(MARK)]


# nnU-Net v2

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
    ct: CtVolume, packages: Path, nnunet_model: Path, axes: Axes, place: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _module(packages, "nnunetv2.inference.predict_from_raw_data", NNUNET.format(place=place))
    _forget(monkeypatch, "nnunetv2")
    vote = NnUnetV2Labeller(nnunet_model, axes=axes).label(ct)
    _assert_marked(vote, "heart")
    assert vote.vocabulary == {"liver", "heart"}
    assert vote.confidence is None


def test_nnunet_reader_that_turns_files_decides_the_axes_and_confidence_is_the_chosen_share(
    ct: CtVolume, packages: Path, nnunet_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _module(packages, "nnunetv2.inference.predict_from_raw_data", NNUNET.format(place=[3, 4, 1]))
    _forget(monkeypatch, "nnunetv2")
    (nnunet_model / "plans.json").write_text(json.dumps({"image_reader_writer": "NibabelIOWithReorient"}))
    vote = NnUnetV2Labeller(nnunet_model, confidence=True).label(ct)
    _assert_marked(vote, "heart")
    assert vote.confidence is not None
    assert vote.confidence[MARK] == pytest.approx(0.75)
    assert vote.confidence[0, 0, 0] == pytest.approx(0.25)


def test_nnunet_model_of_overlapping_regions_is_refused(nnunet_model: Path) -> None:
    (nnunet_model / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "whole": [1, 2]}}))
    with pytest.raises(LabellerError, match="overlapping regions"):
        NnUnetV2Labeller(nnunet_model)


def test_nnunet_takes_numbered_folds_that_came_to_their_end(
    ct: CtVolume, packages: Path, nnunet_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = NNUNET.format(place=[3, 1, 5]).replace('("all",)', "(0, 3)")
    _module(packages, "nnunetv2.inference.predict_from_raw_data", words)
    _forget(monkeypatch, "nnunetv2")
    for fold in (3, 0, 1):
        (nnunet_model / f"fold_{fold}").mkdir()
    for fold in (3, 0):
        (nnunet_model / f"fold_{fold}" / "checkpoint_final.pth").touch()
    _assert_marked(NnUnetV2Labeller(nnunet_model).label(ct), "heart")


def test_nnunet_without_trained_fold_is_named(nnunet_model: Path) -> None:
    (nnunet_model / "fold_all" / "checkpoint_final.pth").unlink()
    with pytest.raises(LabellerError, match=r"no fold_\*/checkpoint_final\.pth"):
        NnUnetV2Labeller(nnunet_model)


def test_nnunet_that_breaks_while_loading_is_told_in_one_line(
    ct: CtVolume, packages: Path, nnunet_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = NNUNET.format(place=[]).replace('assert use_folds == ("all",)', "torch.missing")
    _module(packages, "nnunetv2.inference.predict_from_raw_data", broken)
    _forget(monkeypatch, "nnunetv2")
    with pytest.raises(LabellerError, match=r"^nnU-Net Dataset001_Chest cannot be loaded .*'torch'.*$"):
        NnUnetV2Labeller(nnunet_model).label(ct)


def test_nnunet_model_of_several_images_is_refused(nnunet_model: Path) -> None:
    described = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "heart": 1}}
    (nnunet_model / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(LabellerError, match="needs 2 images of a patient: CT, PET"):
        NnUnetV2Labeller(nnunet_model)


def test_nnunet_folder_without_plans_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabellerError, match=r"plans\.json"):
        NnUnetV2Labeller(tmp_path)


# TotalSegmentator

TOTAL_MAIN = """
import argparse, json, os
from pathlib import Path
import nibabel, numpy as np

parser = argparse.ArgumentParser()
for short, name in (("-i", "--input"), ("-o", "--output"), ("-ta", "--task"), ("-d", "--device")):
    parser.add_argument(short, name)
for short, name in (("-q", "--quiet"), ("-ml", "--ml"), ("-f", "--fast")):
    parser.add_argument(short, name, action="store_true")
args = parser.parse_args()
home = Path(os.environ["TOTALSEG_HOME_DIR"])
assert json.loads((home / "config.json").read_text())["send_usage_stats"] is False
weights = Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
assert [path.name for path in weights.iterdir()] == ["Dataset297_Fast"], "other weights, which it may delete"
assert os.environ["https_proxy"] == "http://127.0.0.1:9", "it could download or send"
assert args.ml and args.fast and args.task == "total" and args.device == "cpu"
image = nibabel.as_closest_canonical(nibabel.load(args.input))
voxels = image.get_fdata()
assert voxels.shape == (7, 6, 5), voxels.shape
assert np.allclose(image.header.get_zooms(), 2.0)
assert [int(i) for i in np.argwhere(voxels > 0)[0]] == [1, 4, 3]  # RAS: left, anterior, upper
nibabel.save(nibabel.Nifti1Image((voxels > 0).astype(np.uint8) * 51, image.affine), args.output)
"""


@pytest.fixture
def total(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    _module(packages, "totalsegmentator.map_to_binary", 'class_map = {"total": {1: "spleen", 51: "heart"}}')
    _module(packages, "totalsegmentator.bin.TotalSegmentator", TOTAL_MAIN)
    _forget(monkeypatch, "totalsegmentator")
    weights = tmp_path / "weights"
    (weights / "Dataset297_Fast").mkdir(parents=True)
    (weights / "Dataset302_vertebrae_body_1559subj").mkdir()
    return weights


def test_totalsegmentator_gets_place_and_weights_and_sends_nothing(ct: CtVolume, total: Path) -> None:
    vote = TotalSegmentatorLabeller(total, fast=True).label(ct)
    _assert_marked(vote, "heart")
    assert vote.vocabulary == {"spleen", "heart"}


def test_totalsegmentator_without_weights_would_download_and_is_refused(ct: CtVolume, total: Path) -> None:
    with pytest.raises(LabellerError, match=r"Dataset291_\*.*Apache-2\.0"):
        TotalSegmentatorLabeller(total).label(ct)


def test_totalsegmentator_failure_is_told_in_its_own_words(ct: CtVolume, total: Path, packages: Path) -> None:
    _module(packages, "totalsegmentator.bin.TotalSegmentator", 'raise SystemExit("no memory left")')
    with pytest.raises(LabellerError, match="failed on body: no memory left"):
        TotalSegmentatorLabeller(total, fast=True).label(ct)


# CADS

CADS = """
from pathlib import Path
import nibabel, numpy as np

def predict(files_in, folder_out, model_folder, task_ids, folds, use_cpu, preprocess_cads, postprocess_cads,
            save_all_combined_seg, snapshot, save_separate_targets):
    assert task_ids == sorted(task_ids) and folds == "all" and use_cpu and preprocess_cads
    image = nibabel.as_closest_canonical(nibabel.load(files_in[0]))
    voxels = image.get_fdata()
    assert [int(i) for i in np.argwhere(voxels > 0)[0]] == [1, 4, 3]
    out = Path(folder_out) / "ct"
    out.mkdir()
    for task in task_ids:
        numbers = np.zeros(voxels.shape, np.uint8)
        numbers[voxels > 0] = {559: 2, 556: 1, 551: 1}.get(task, 0)
        if task == 559:
            numbers[0, 0, 0] = 10
        nibabel.save(nibabel.Nifti1Image(numbers, image.affine), out / f"ct_part_{task}.nii.gz")
"""
CADS_MAPS = """
map_taskid_to_labelmaps = {task: {0: "background"} for task in range(551, 560)}
map_taskid_to_labelmaps[559] = {0: "background", 2: "muscle", 10: "spinal_cord"}
map_taskid_to_labelmaps[556] = {0: "background", 1: "spinal_canal", 3: "heart"}
map_taskid_to_labelmaps[551] = {0: "background", 1: "spleen"}
"""


def test_cads_tasks_become_one_map_without_wholes_that_others_cover(
    ct: CtVolume, packages: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _module(packages, "cads.utils.inference", CADS)
    _module(packages, "cads.dataset_utils.bodyparts_labelmaps", CADS_MAPS)
    _forget(monkeypatch, "cads")
    for task in TASKS:
        (tmp_path / f"Dataset{task}_X").mkdir()
    with caplog.at_level(logging.WARNING):
        vote = CadsLabeller(tmp_path).label(ct)
    _assert_marked(vote, "spleen")
    assert np.argwhere(vote.mask("spinal_cord")).tolist() == [[0, 5, 6]]
    assert vote.vocabulary == {"spleen", "spinal_cord"}
    assert "spinal_canal" in caplog.text


# MONAI

MONAI = """
import json
import nibabel, numpy as np, torch

PLACE = "the CT"

class Parser:
    def __init__(self): self.config = {}
    def read_meta(self, path): self.config["_meta_"] = json.load(open_text(path))
    def read_config(self, path): self.config.update(json.load(open_text(path)))
    def __getitem__(self, key): return self.config[key]
    def __setitem__(self, key, value): self.config[key] = value
    def get(self, key, default=None):
        found = self.config
        for part in key.split("::"):
            found = found.get(part, {})
        return found or default
    def get_parsed_content(self, key):
        if key == "postprocessing":
            assert [s["_target_"] for s in self.config[key]["transforms"]] == ["AsDiscreted"]
        assert self.config["device"] == "$torch.device('cpu')"
        return {"preprocessing": pre, "inferer": infer, "postprocessing": post,
                "network_def": torch.nn.Conv3d(1, 2, 1)}[key]

def open_text(path):
    import io, pathlib
    return io.StringIO(pathlib.Path(path).read_text())

ConfigParser = Parser

def pre(data):
    image = nibabel.load(data["image"])
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.allclose(image.header.get_zooms(), 2.0)
    return {"image": torch.from_numpy(image.get_fdata(dtype=np.float32))[None]}

def infer(inputs, network):
    assert inputs.shape == (1, 1, 7, 6, 5) and not network.training
    return network(inputs)

def post(data):
    assert data["pred"].shape == (2, 7, 6, 5)
    found = data["pred"].argmax(0, keepdim=True).float()
    diagonal = [-2.0, -2.0, 2.0, 1.0] if PLACE == "the CT" else [2.0, 2.0, 2.0, 1.0]
    found.affine = torch.diag(torch.tensor(diagonal))
    return {"pred": found}
"""


@pytest.fixture
def monai_bundle(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (packages / "monai").mkdir()
    (packages / "monai" / "__init__.py").touch()
    (packages / "monai" / "bundle.py").write_text(MONAI)
    _forget(monkeypatch, "monai")
    bundle = tmp_path / "heart_bundle"
    for folder in ("configs", "models"):
        (bundle / folder).mkdir(parents=True)
    steps = [{"_target_": "AsDiscreted"}, {"_target_": "SaveImaged"}]
    described = {
        "network_data_format": {"outputs": {"pred": {"channel_def": {"0": "background", "1": "heart"}}}}
    }
    (bundle / "configs" / "metadata.json").write_text(json.dumps(described))
    (bundle / "configs" / "inference.json").write_text(
        json.dumps({"postprocessing": {"transforms": steps}, "inferer": {}, "device": "cuda"})
    )
    weights = {"weight": torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1, 1), "bias": torch.zeros(2)}
    torch.save({"model": weights}, bundle / "models" / "model.pt")
    return bundle


def test_monai_bundle_is_run_without_saving_and_comes_back_in_place(ct: CtVolume, monai_bundle: Path) -> None:
    vote = MonaiBundleLabeller(monai_bundle).label(ct)
    _assert_marked(vote, "heart")
    assert vote.vocabulary == {"heart"}


def test_monai_answer_that_is_not_brought_back_is_refused(
    ct: CtVolume, monai_bundle: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (packages / "monai" / "bundle.py").write_text(MONAI.replace('PLACE = "the CT"', 'PLACE = "turned"'))
    _forget(monkeypatch, "monai")
    with pytest.raises(LabellerError, match="does not bring the answer back"):
        MonaiBundleLabeller(monai_bundle).label(ct)


def test_monai_configuration_of_another_kind_is_refused(ct: CtVolume, monai_bundle: Path) -> None:
    (monai_bundle / "configs" / "inference.json").write_text("{}")
    with pytest.raises(LabellerError, match="its configuration does not fit: 'postprocessing'"):
        MonaiBundleLabeller(monai_bundle).label(ct)


def test_monai_weights_of_another_network_are_refused(ct: CtVolume, monai_bundle: Path) -> None:
    torch.save({"other": torch.zeros(1)}, monai_bundle / "models" / "model.pt")
    with pytest.raises(LabellerError, match="does not fit its network"):
        MonaiBundleLabeller(monai_bundle).label(ct)


@pytest.mark.parametrize("name", ["models/model.pt", "configs/metadata.json", "configs/inference.json"])
def test_monai_bundle_without_a_file_names_it(monai_bundle: Path, name: str) -> None:
    (monai_bundle / name).unlink()
    with pytest.raises(LabellerError, match=f"missing: .*{name}"):
        MonaiBundleLabeller(monai_bundle)


# without the libraries, and answers that do not fit


def test_missing_library_is_told_with_how_to_get_it(
    ct: CtVolume, tmp_path: Path, nnunet_model: Path, monai_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, Any]] = [
        ("totalsegmentator", TotalSegmentatorLabeller(tmp_path)),
        ("cads", CadsLabeller(tmp_path)),
        ("monai", MonaiBundleLabeller(monai_bundle)),
        ("nnunetv2", NnUnetV2Labeller(nnunet_model)),
    ]
    for package, labeller in made:
        _forget(monkeypatch, package)
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(LabellerError, match=f"(?s){package} cannot be loaded.*pip install"):
            labeller.label(ct)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (np.zeros((7, 6, 5), np.int32), "has shape"),
        (np.full(SHAPE, 9, np.int32), "class 9, which it does not name"),
    ],
)
def test_answer_that_does_not_fit_is_refused(ct: CtVolume, numbers: Any, words: str) -> None:
    with pytest.raises(LabellerError, match=words):
        vote_of("theirs", ct, numbers, {1: "heart"})


def _forget(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let the next import look the package up anew, and leave nothing of it behind."""
    import sys

    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
