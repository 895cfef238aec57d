"""What the adapter hands to TotalSegmentator, and how the answer comes back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.totalsegmentator import TotalSegmentatorLabeller

MARK = [[3, 1, 5]]
"""The one dense voxel of the CT `marked`."""

Install = Callable[[str, str], None]


def _assert_marked(vote: LabelVote, name: str) -> None:
    assert np.argwhere(vote.mask(name)).tolist() == MARK


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
def total(install: Install, tmp_path: Path) -> Path:
    install("totalsegmentator.map_to_binary", 'class_map = {"total": {1: "spleen", 51: "heart"}}')
    install("totalsegmentator.bin.TotalSegmentator", TOTAL_MAIN)
    weights = tmp_path / "weights"
    (weights / "Dataset297_Fast").mkdir(parents=True)
    (weights / "Dataset302_vertebrae_body_1559subj").mkdir()
    return weights


def test_totalsegmentator_gets_place_and_weights_and_sends_nothing(marked: CtVolume, total: Path) -> None:
    vote = TotalSegmentatorLabeller(total, fast=True).label(marked)
    _assert_marked(vote, "heart")
    assert vote.vocabulary == {"spleen", "heart"}


def test_without_weights_it_would_download_and_is_refused(marked: CtVolume, total: Path) -> None:
    with pytest.raises(LabellerError, match=r"Dataset291_\*.*Apache-2\.0"):
        TotalSegmentatorLabeller(total).label(marked)


def test_failure_is_told_in_its_own_words(marked: CtVolume, total: Path, install: Install) -> None:
    install("totalsegmentator.bin.TotalSegmentator", 'raise SystemExit("no memory left")')
    with pytest.raises(LabellerError, match="failed on body: no memory left"):
        TotalSegmentatorLabeller(total, fast=True).label(marked)
