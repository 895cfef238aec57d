"""What the adapter hands to a MONAI bundle, and how the answer comes back."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.monai_bundle import MonaiBundleLabeller

MARK = [[3, 1, 5]]
"""The one dense voxel of the CT `marked`."""

Install = Callable[[str, str], None]


def _assert_marked(vote: LabelVote, name: str) -> None:
    assert np.argwhere(vote.mask(name)).tolist() == MARK


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
def bundle(install: Install, tmp_path: Path) -> Path:
    install("monai.bundle", MONAI)
    made = tmp_path / "heart_bundle"
    for folder in ("configs", "models"):
        (made / folder).mkdir(parents=True)
    steps = [{"_target_": "AsDiscreted"}, {"_target_": "SaveImaged"}]
    described = {
        "network_data_format": {"outputs": {"pred": {"channel_def": {"0": "background", "1": "heart"}}}}
    }
    (made / "configs" / "metadata.json").write_text(json.dumps(described))
    (made / "configs" / "inference.json").write_text(
        json.dumps({"postprocessing": {"transforms": steps}, "inferer": {}, "device": "cuda"})
    )
    weights = {"weight": torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1, 1), "bias": torch.zeros(2)}
    torch.save({"model": weights}, made / "models" / "model.pt")
    return made


def test_monai_bundle_is_run_without_saving_and_comes_back_in_place(marked: CtVolume, bundle: Path) -> None:
    vote = MonaiBundleLabeller(bundle).label(marked)
    _assert_marked(vote, "heart")
    assert vote.vocabulary == {"heart"}


def test_monai_answer_that_is_not_brought_back_is_refused(
    marked: CtVolume, bundle: Path, install: Install
) -> None:
    install("monai.bundle", MONAI.replace('PLACE = "the CT"', 'PLACE = "turned"'))
    with pytest.raises(LabellerError, match="does not bring the answer back"):
        MonaiBundleLabeller(bundle).label(marked)


def test_monai_configuration_of_another_kind_is_refused(marked: CtVolume, bundle: Path) -> None:
    (bundle / "configs" / "inference.json").write_text("{}")
    with pytest.raises(LabellerError, match="its configuration does not fit: 'postprocessing'"):
        MonaiBundleLabeller(bundle).label(marked)


def test_monai_weights_of_another_network_are_refused(marked: CtVolume, bundle: Path) -> None:
    torch.save({"other": torch.zeros(1)}, bundle / "models" / "model.pt")
    with pytest.raises(LabellerError, match="does not fit its network"):
        MonaiBundleLabeller(bundle).label(marked)


@pytest.mark.parametrize("name", ["models/model.pt", "configs/metadata.json", "configs/inference.json"])
def test_monai_bundle_without_a_file_names_it(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(LabellerError, match=f"missing: .*{name}"):
        MonaiBundleLabeller(bundle)
